//! A process that is killed while it writes, and the check of what it leaves.
//!
//! The parent starts the test binary again, for the same test, with the address of the store in the environment. The
//! child writes to the store, and says on its standard output what was acknowledged, a line each. The parent reads a
//! number of lines, kills the child and opens the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData},
    position::{Cursor, Position},
};
use olmstead_storage::{
    backups::{BackupKey, BackupSelection, PutBackupOutcome},
    devices::DeviceRef,
    rooms::{AppendOutcome, Direction},
};
use ruma::{EventId, OwnedEventId, RoomId, UserId};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    Store,
    support::{
        keys::key_name,
        raw, room_id,
        rooms::{TestRoom, ids, message},
        to_device, transaction,
    },
};

/// Names the address of the store to the child.
pub(crate) const ADDRESS: &str = "OLMSTEAD_CONFORMANCE_CRASH_ADDRESS";

const ROUNDS: usize = 3;
const CLAIMERS: usize = 2;
const LINES: usize = 400;
const DEADLINE: Duration = Duration::from_secs(120);

/// Says that something was acknowledged. Fails, and so ends the child, when the parent is gone.
fn acknowledge(kind: &str, what: impl std::fmt::Display) {
    println!("ACK {kind} {what}");
}

/// Writes until it is killed.
pub(crate) async fn child(store: Store) {
    // libtest has begun a line.
    println!();
    let user = store.user(&format!("child{}", std::process::id())).await;
    let device = store.log_in(&user, "DEVICE").await;
    acknowledge("user", &user);

    let (mut tasks, clone) = (Vec::new(), || (store.clone(), device.clone()));
    let (s, d) = clone();
    tasks.push(tokio::spawn(async move {
        for number in 0_u64.. {
            let key = transaction(&d, "sendToDevice/m.dummy", &number.to_string());
            assert!(s.send_to_device(Some(key), vec![to_device(&d, number)]).await.unwrap());
            acknowledge("message", number);
        }
    }));
    let (s, d) = clone();
    tasks.push(tokio::spawn(async move {
        for batch in 0_u64.. {
            s.upload_one_time(&d, batch * 5..batch * 5 + 5).await;
            acknowledge("upload", batch);
        }
    }));
    for _ in 0..CLAIMERS {
        let (s, d) = clone();
        tasks.push(tokio::spawn(async move {
            loop {
                match s.claim_name(&d).await {
                    Some(name) => acknowledge("claim", name),
                    None => tokio::task::yield_now().await,
                }
            }
        }));
    }
    let (s, d) = clone();
    tasks.push(tokio::spawn(async move {
        let room = TestRoom::create(&s, &d.user_id).await;
        acknowledge("room", &room.id);
        for number in 0_u64.. {
            let (pdu, outcome) = room.append_in_race(&s, message(&d.user_id, &number.to_string()), None).await;
            assert!(matches!(outcome, AppendOutcome::Appended(_)));
            acknowledge("event", pdu.event_id());
        }
    }));
    let (s, d) = clone();
    tasks.push(tokio::spawn(async move {
        let version = s.create_backup(&d.user_id, "algorithm".to_owned(), raw(json!({}))).await.unwrap();
        acknowledge("version", version);
        for number in 0_u64.. {
            let data = KeyBackupData {
                first_message_index: 0,
                forwarded_count: 0,
                is_verified: true,
                session_data: raw(json!({ "n": number })),
            };
            let key = BackupKey { room_id: room_id("r"), session_id: number.to_string(), data };
            let outcome = s.put_backup_keys(&d.user_id, version, vec![key]).await.unwrap();
            assert!(matches!(outcome, PutBackupOutcome::Stored(_)));
            acknowledge("key", number);
        }
    }));
    let (s, d) = clone();
    tasks.push(tokio::spawn(async move {
        for number in 0_u64.. {
            s.set_account_data(&d.user_id, None, &format!("k{number}"), raw(json!({ "n": number }))).await.unwrap();
            acknowledge("entry", number);
            acknowledge("horizon", s.position().await);
        }
    }));
    // A parent that died does not kill its child.
    let _ = tokio::time::timeout(DEADLINE, async {
        for task in tasks {
            task.await.expect("a writer goes on until it is killed");
        }
    })
    .await;
}

/// Kills the child, whatever becomes of the parent.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a child acknowledged, by kind, in the order of the lines.
type Acknowledged = BTreeMap<String, Vec<String>>;

/// Runs children on the store and checks what they leave.
pub(crate) async fn parent(store: Store) {
    let mut vacant = store.close_and_leave().await;
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(run_and_kill(vacant.address(), vacant.test_name()).await);
        let store = vacant.open().await;
        let last = all.len() - 1;
        for (round, acknowledged) in all.iter().enumerate() {
            check(&store, acknowledged, round == last).await;
        }
        vacant = store.close_and_leave().await;
    }
}

async fn run_and_kill(address: &str, test_name: &str) -> Acknowledged {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test_name, "--nocapture", "--test-threads=1"]);
    let mut child = Killed(command.env(ADDRESS, address).stdout(Stdio::piped()).spawn().unwrap());
    let output = BufReader::new(child.0.stdout.take().unwrap());
    let (sender, mut lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut acknowledged = Acknowledged::new();
    let mut note = |line: &str| {
        let mut words = line.splitn(3, ' ');
        if let (Some("ACK"), Some(kind), Some(what)) = (words.next(), words.next(), words.next()) {
            acknowledged.entry(kind.to_owned()).or_default().push(what.to_owned());
        }
        // Of each kind of write there must be some.
        acknowledged.len() == 10 && acknowledged.values().map(Vec::len).sum::<usize>() >= LINES
    };
    let wait = async {
        while let Some(line) = lines.recv().await {
            if note(&line) {
                return;
            }
        }
        panic!("the child ended by itself");
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the child writes");
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    // What it said before it was killed counts. The last line may be cut, and then was not said.
    while let Some(line) = lines.recv().await {
        note(&line);
    }
    acknowledged
}

fn numbers(acknowledged: &Acknowledged, kind: &str) -> Vec<u64> {
    acknowledged[kind].iter().map(|number| number.parse().unwrap()).collect()
}

/// Checks all that a child acknowledged. Claims are made only if it is the `last` one.
async fn check(store: &Store, acknowledged: &Acknowledged, last: bool) {
    let user = UserId::parse(&acknowledged["user"][0]).unwrap();
    let devices = store.devices(&user).await.unwrap();
    let device = devices.into_iter().next().expect("the child's device is there").id;
    check_messages(store, acknowledged, &device).await;
    if last {
        check_claims(store, acknowledged, &device).await;
    }
    check_events(store, acknowledged).await;

    let version = BackupVersion(numbers(acknowledged, "version")[0]);
    let keys = store.backup_keys(&user, version, BackupSelection::All).await.unwrap().unwrap();
    let sessions: BTreeSet<u64> = keys.iter().map(|key| key.session_id.parse().unwrap()).collect();
    assert!(numbers(acknowledged, "key").iter().all(|number| sessions.contains(number)), "backed up keys");
    let info = store.backup(&user, None).await.unwrap().unwrap();
    assert_eq!(info.count, u64::try_from(keys.len()).unwrap(), "the count is that of the keys");

    for number in numbers(acknowledged, "entry") {
        let content = store.account_data(&user, None, &format!("k{number}")).await.unwrap();
        assert_eq!(content, Some(raw(json!({ "n": number }))), "account data");
    }
    let horizon = numbers(acknowledged, "horizon").into_iter().max().map(Position).unwrap();
    let now = store.position().await;
    assert!(now >= horizon, "no position is given out again: {now} after {horizon}");
}

async fn check_messages(store: &Store, acknowledged: &Acknowledged, device: &DeviceRef) {
    let sent = numbers(acknowledged, "message");
    let waiting: Vec<u64> = store.waiting(device).await.iter().map(|body| Value::as_u64(body).unwrap()).collect();
    let expected: Vec<u64> = (0..u64::try_from(waiting.len()).unwrap()).collect();
    assert_eq!(waiting, expected, "messages are there once, in order, without a hole");
    assert!(waiting.len() >= sent.len(), "{} of {} messages", waiting.len(), sent.len());
    for number in sent.iter().rev().take(20) {
        let key = transaction(device, "sendToDevice/m.dummy", &number.to_string());
        assert!(!store.send_to_device(Some(key), vec![to_device(device, "again")]).await.unwrap(), "transactions");
    }
}

async fn check_claims(store: &Store, acknowledged: &Acknowledged, device: &DeviceRef) {
    let claimed: BTreeSet<&String> = acknowledged["claim"].iter().collect();
    assert_eq!(claimed.len(), acknowledged["claim"].len(), "no key was claimed twice");
    let counted = store.count(device).await;
    let mut left = BTreeSet::new();
    while let Some(name) = store.claim_name(device).await {
        assert!(!claimed.contains(&name), "{name} was claimed before the process was killed");
        assert!(left.insert(name), "no key is claimed twice");
    }
    assert_eq!(u64::try_from(left.len()).unwrap(), counted, "the count is that of the keys");
    let uploaded: Vec<u64> =
        numbers(acknowledged, "upload").iter().flat_map(|batch| batch * 5..batch * 5 + 5).collect();
    let lost =
        uploaded.iter().map(|number| key_name(*number)).filter(|name| !claimed.contains(name) && !left.contains(name));
    // A claim that was committed but not said yet is spent (OTK-15).
    let lost: Vec<String> = lost.collect();
    assert!(lost.len() <= CLAIMERS, "keys are gone without a claim: {lost:?}");
    assert_eq!(store.upload_one_time(device, uploaded).await, 0, "claimed keys do not come back (OTK-3)");
}

async fn check_events(store: &Store, acknowledged: &Acknowledged) {
    let room = RoomId::parse(&acknowledged["room"][0]).unwrap();
    let sent: Vec<OwnedEventId> = acknowledged["event"].iter().map(|id| EventId::parse(id).unwrap()).collect();
    let page = store.timeline(&room, Cursor::START, Cursor::END, 1_000_000, Direction::Forward).await.unwrap();
    let stored = ids(&page.events);
    let from = stored.iter().position(|id| *id == sent[0]).expect("the first event");
    assert!(stored[from..].starts_with(&sent), "events are there, in order");
    let head = store.room_head(&room).await.unwrap().unwrap();
    assert_eq!(head.extremities.as_slice(), &stored[stored.len() - 1..], "the head is that of the events");
    let found = store.events(&sent).await.unwrap();
    assert!(found.iter().all(Option::is_some));
}
