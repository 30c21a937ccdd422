//! Several nodes on one store, with the requests of a client spread over them. An engine for one process has one node,
//! and the same must hold there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{AppendOutcome, Direction},
    sync::SyncQuery,
    to_device::TransactionKey,
};
use ruma::OwnedUserId;
use serde_json::json;

use crate::{
    Store,
    random::{Random, seed, setting},
    support::{
        account, body, parallel, raw,
        rooms::{TestRoom, message},
        to_all, to_device, transaction, user_id,
    },
};

const NODES: usize = 3;
const WRITERS: usize = 6;
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// Commands of one run, by all writers together, if none are set.
const STEPS: usize = 600;

async fn nodes(store: Store) -> Vec<Store> {
    let mut nodes = vec![store];
    while nodes.len() < NODES {
        nodes.push(nodes[0].node().await);
    }
    nodes
}

/// What was answered to writers, by the user who must be told.
#[derive(Default)]
struct Ledger(Mutex<BTreeMap<OwnedUserId, BTreeSet<String>>>);

impl Ledger {
    fn note(&self, users: impl IntoIterator<Item = OwnedUserId>, item: &str) {
        let mut ledger = self.0.lock().unwrap();
        for user in users {
            assert!(ledger.entry(user).or_default().insert(item.to_owned()), "{item} is written once");
        }
    }

    fn of(&self, user: &OwnedUserId) -> BTreeSet<String> {
        self.0.lock().unwrap().get(user).cloned().unwrap_or_default()
    }
}

/// What writers and readers know.
struct World {
    nodes: Vec<Store>,
    users: Vec<(OwnedUserId, DeviceRef)>,
    rooms: Vec<TestRoom>,
    ledger: Ledger,
    done: AtomicUsize,
}

impl World {
    fn everyone(&self) -> impl Iterator<Item = OwnedUserId> + '_ {
        self.users.iter().map(|(user, _)| user.clone())
    }

    async fn write(&self, random: &mut Random, name: &str) {
        let node = random.pick(&self.nodes).clone();
        let (user, device) = random.pick(&self.users).clone();
        match random.below(7) {
            0 => {
                node.send_to_device(None, vec![to_device(&device, name)]).await.unwrap();
                self.ledger.note([user], &format!("message {}", json!(name)));
            }
            1 => {
                // Answered by one node, the answer lost, sent again to another.
                let key: TransactionKey = transaction(&device, "sendToDevice/m.x", name);
                let again = random.pick(&self.nodes).clone();
                let messages = || self.users.iter().map(|(user, _)| to_all(user, name)).collect::<Vec<_>>();
                assert!(node.send_to_device(Some(key.clone()), messages()).await.unwrap());
                assert!(!again.send_to_device(Some(key), messages()).await.unwrap(), "done on another node");
                self.ledger.note(self.everyone(), &format!("message {}", json!(name)));
            }
            2 => {
                node.set_account_data(&user, None, name, raw(json!({}))).await.unwrap();
                self.ledger.note([user], &format!("entry {name}"));
            }
            3 => {
                let other = user_id(&name.replace(' ', "x"));
                assert!(node.create_account(account(&other), None).await.unwrap());
                let next = random.pick(&self.nodes).clone();
                let theirs = next.log_in(&other, "DEVICE").await;
                random.pick(&self.nodes).upload_identity(&theirs, "1").await;
                self.ledger.note(self.everyone(), &format!("list {other}"));
            }
            4 => {
                let first = name.replace(' ', "").parse::<u64>().unwrap() * 8;
                node.upload_one_time(&device, first..first + 4).await;
                random.pick(&self.nodes).claim(&device).await.unwrap();
            }
            _ => {
                let room = random.pick(&self.rooms);
                let (pdu, outcome) = room.append_in_race(&node, message(&self.users[0].0, name), None).await;
                assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
                self.ledger.note(self.everyone(), &format!("event {}", pdu.event_id()));
            }
        }
    }

    /// Follows one device over all nodes. Whatever was answered before a read began must be in it or in an earlier one.
    async fn follow(&self, user: &OwnedUserId, device: &DeviceRef, from: Position, random: &mut Random) {
        let (mut since, mut inbox_from, mut seen) = (from, Cursor::at(from), BTreeSet::new());
        loop {
            let last = self.done.load(Ordering::SeqCst) == WRITERS;
            let answered = self.ledger.of(user);
            let node = random.pick(&self.nodes);
            let mut new = Vec::new();
            let horizon = loop {
                let query = SyncQuery { device: device.clone(), since: Some(since), inbox_from, inbox_limit: 7 };
                let facts = node.sync_facts(&query).await.unwrap().unwrap();
                assert!(facts.horizon.position >= since, "no node is behind what another one told");
                new.extend(facts.inbox.messages.iter().map(|(_, event)| format!("message {}", body(event))));
                if facts.inbox.more {
                    inbox_from = facts.inbox.messages.last().unwrap().0.next();
                    continue;
                }
                inbox_from = Cursor::at(facts.horizon.position);
                new.extend(facts.account_data.iter().map(|entry| format!("entry {}", entry.kind)));
                new.extend(facts.device_lists.iter().map(|user| format!("list {user}")));
                let (start, end) = (Cursor::at(since), inbox_from);
                for room in &self.rooms {
                    let page = node.timeline(&room.id, start, end, 10_000, Direction::Forward).await.unwrap();
                    new.extend(page.events.iter().map(|event| format!("event {}", event.pdu.event_id())));
                }
                break facts.horizon.position;
            };
            for item in new {
                // A page may be told again with those after it, but a message never is.
                assert!(seen.insert(item.clone()) || !item.starts_with("message"), "{item} is told once");
            }
            since = horizon;
            let missed: Vec<_> = answered.difference(&seen).collect();
            assert!(missed.is_empty(), "{user} read up to {since} and was not told of {missed:?}");
            if last {
                let written = self.ledger.of(user);
                assert_eq!(written.symmetric_difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new());
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Random commands of several tasks on all nodes, and readers that follow their tokens over all nodes: nobody misses
/// anything, nothing is told twice, and what was answered by one node is in the next read of any other (DL-9, TD-8).
pub async fn readers_on_all_nodes_miss_nothing(store: Store) {
    let seed = seed();
    let steps = setting("OLMSTEAD_CONFORMANCE_STEPS").unwrap_or(STEPS);
    println!("OLMSTEAD_CONFORMANCE_SEED={seed} OLMSTEAD_CONFORMANCE_STEPS={steps}");
    let nodes = nodes(store).await;
    let mut users = Vec::new();
    for name in USERS {
        users.push(nodes[0].user_with_device(name).await);
    }
    let rooms = vec![TestRoom::create(&nodes[0], &users[0].0).await, TestRoom::create(&nodes[1], &users[0].0).await];
    let from = nodes[2].position().await;
    let world = Arc::new(World { nodes, users, rooms, ledger: Ledger::default(), done: AtomicUsize::new(0) });
    let writers = parallel(WRITERS, |task| {
        let world = Arc::clone(&world);
        async move {
            let mut random = Random::new(seed.wrapping_add(u64::try_from(task).unwrap()));
            for number in 0..steps / WRITERS {
                world.write(&mut random, &format!("{} {number:06}", task + 1)).await;
            }
            world.done.fetch_add(1, Ordering::SeqCst);
        }
    });
    let readers = parallel(USERS.len() * 2, |reader| {
        let world = Arc::clone(&world);
        async move {
            let mut random = Random::new(seed.wrapping_sub(u64::try_from(reader).unwrap()));
            let (user, device) = world.users[reader % USERS.len()].clone();
            world.follow(&user, &device, from, &mut random).await;
        }
    });
    tokio::join!(writers, readers);
}

/// Claimers on all nodes empty a device: every key goes out once, and the fallback key only after the last (OTK-1).
pub async fn claims_on_all_nodes_get_every_key_once(store: Store) {
    const KEYS: u64 = 300;
    let nodes = nodes(store).await;
    let (_, device) = nodes[0].user_with_device("alice").await;
    nodes[0].upload_one_time(&device, 0..KEYS).await;
    nodes[1].upload_fallback(&device, 7).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let names = parallel(24, |task| {
        let (node, device, taken) = (nodes[task % NODES].clone(), device.clone(), Arc::clone(&taken));
        async move {
            let mut names = Vec::new();
            loop {
                let key = node.claim(&device).await.unwrap();
                if key.fallback {
                    return names;
                }
                taken.fetch_add(1, Ordering::SeqCst);
                names.push(key.key_name);
            }
        }
    })
    .await;
    let names: Vec<String> = names.into_iter().flatten().collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "no key went out twice");
    assert_eq!(names.len(), usize::try_from(KEYS).unwrap(), "the fallback key came after the last");
    assert_eq!(nodes[2].count(&device).await, 0);
}

/// A write on one node is a hint on the others.
pub async fn a_write_on_one_node_wakes_the_others(store: Store) {
    let nodes = nodes(store).await;
    let (_, device) = nodes[0].user_with_device("alice").await;
    for number in 0..6_u64 {
        let (writer, waiter) =
            (&nodes[usize::try_from(number).unwrap() % NODES], &nodes[(usize::try_from(number).unwrap() + 1) % NODES]);
        let before = waiter.position().await;
        let mut hint = waiter.hint();
        let waits = async { hint.wait_for(|position| *position > before).await.map(|position| *position).unwrap() };
        let (sent, hinted) = tokio::join!(
            writer.send_to_device(None, vec![to_device(&device, number)]),
            tokio::time::timeout(Duration::from_secs(30), waits)
        );
        assert!(sent.unwrap());
        assert!(hinted.expect("the hint comes") > before);
    }
}
