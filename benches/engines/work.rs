//! The workloads, for any engine.

use std::pin::Pin;

use olmstead_benches::run::{Measured, prepare};
use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData},
    json::RawJson,
    position::Cursor,
};
use olmstead_storage::{
    backups::{BackupKey, BackupSelection, PutBackupOutcome},
    cross_signing::{CrossSigningKeys, NewSignature, PutCrossSigningOutcome, SignatureTarget},
    devices::DeviceRef,
    keys::KeyQuery,
    rooms::Direction,
    sync::SyncQuery,
    to_device::{OutgoingMessage, Recipient},
};
use ruma::OwnedRoomId;
use tokio::sync::Mutex;

use crate::{
    rooms::Room,
    world::{KEYS, World, want},
};

/// How many commands are made at once, where a workload says nothing else.
const CLIENTS: usize = 8;

type Run = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = Measured> + 'a>>;

/// One kind of work.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What is done, as one operation.
    pub(crate) about: &'static str,
    pub(crate) run: Run,
}

macro_rules! workloads {
    ($($name:literal: $run:path, $about:literal;)*) => {
        /// All workloads, in the order of the report.
        pub(crate) const ALL: &[Workload] = &[$(Workload { name: $name, about: $about, run: |world| Box::pin($run(world)) }),*];
    };
}

workloads! {
    "claim, one device": claim_one,
        "8 tasks claim a key of the same device";
    "claim, many devices": claim_many,
        "8 tasks claim a key of different devices";
    "claim, 100 devices in one": claim_hundred,
        "one command claims a key of each of 100 devices";
    "upload device and 50 keys": upload,
        "identity keys, 50 one-time keys and a fallback key of a new device";
    "top up 50 keys": top_up,
        "50 more one-time keys of a device";
    "count keys": count,
        "the key counts of a device";
    "query 1 user": query_1,
        "stored keys of one user with one device";
    "query 100 users": query_100,
        "stored keys of 100 users in one read";
    "query 1,000 users": query_1000,
        "stored keys of 1,000 users in one read";
    "query a user of 50 devices": query_devices,
        "stored keys of one user with 50 devices";
    "cross-signing and signatures": cross_signing,
        "reads and stores the three keys, then adds a signature on the device";
    "to-device to 100 devices": to_device,
        "one command writes a message to each of 100 devices";
    "drain an inbox of 100": drain,
        "reads 100 messages of a device, then acknowledges them";
    "device change, room of 10": change_small,
        "new identity keys of a member of a room of 10";
    "device change, large room": change_large,
        "new identity keys of a member of the largest room, of everyone up to 10,000";
    "device change, all rooms": change_busy,
        "new identity keys of a user who is in every room, one for every ten users";
    "who of 100 shares a room": sharing,
        "which of 100 users share a room with one";
    "backup one session": backup_one,
        "puts one session";
    "backup 1,000 sessions": backup_bulk,
        "puts 1,000 sessions into an empty backup";
    "backup, replace 1,000": backup_replace,
        "puts 1,000 sessions that replace others";
    "backup, read 10,000": backup_read,
        "reads a backup of 10,000 sessions";
    "event, room of 10": event_small,
        "builds, signs and appends an event in a room of 10, one after another";
    "event, large room": event_large,
        "the same in the largest room, of everyone up to 10,000";
    "timeline of 20": timeline,
        "reads the last 20 events of the largest room";
    "empty sync, one room": sync_one,
        "what a sync reads for a user of two rooms when nothing has happened";
    "empty sync, all rooms": sync_busy,
        "what a sync reads for a user who is in every room, one for every ten users, when nothing has happened";
    "sync after 10 changes": sync_changes,
        "what a sync reads after ten device lists changed";
}

async fn claim_one(world: &World) -> Measured {
    let device = world.device().await;
    world.stock(&device, 2_000).await;
    let wants = [want(&device)];
    world.meter.measure(CLIENTS, 0..2_000, |_| world.storage.claim_keys(&wants)).await.0
}

async fn claim_many(world: &World) -> Measured {
    let wants: Vec<_> = world.users.iter().map(|user| [want(user)]).collect();
    // No more than there are keys.
    let times = (world.users.len() * KEYS).min(2_000);
    world.meter.measure(CLIENTS, 0..times, |n| world.storage.claim_keys(&wants[n % wants.len()])).await.0
}

async fn claim_hundred(world: &World) -> Measured {
    let wants: Vec<_> = world.users.iter().take(100).map(want).collect();
    for user in &world.users[..wants.len()] {
        world.storage.upload_keys(user, world.keys(50)).await.unwrap();
    }
    world.meter.measure(CLIENTS, 0..50, |_| world.storage.claim_keys(&wants)).await.0
}

async fn upload(world: &World) -> Measured {
    let devices = prepare(0..200, |_| world.device()).await;
    world.meter.measure(CLIENTS, &devices, |device| world.stock(device, 50)).await.0
}

async fn top_up(world: &World) -> Measured {
    let one = async |n: usize| {
        let user = &world.users[n * 31 % world.users.len()];
        world.storage.upload_keys(user, world.keys(50)).await.unwrap()
    };
    world.meter.measure(CLIENTS, 0..300, one).await.0
}

async fn count(world: &World) -> Measured {
    world.meter.measure(CLIENTS, 0..4_000, |n| world.storage.key_counts(&world.users[n % world.users.len()])).await.0
}

async fn query(world: &World, users: usize, times: usize) -> Measured {
    let query =
        |n: usize| KeyQuery { user_id: world.users[n % world.users.len()].user_id.clone(), device_ids: Vec::new() };
    let asker = &world.busy.user_id;
    let one = async |n: usize| {
        let queries: Vec<KeyQuery> = (0..users).map(|more| query(n * 17 + more)).collect();
        world.storage.query_keys(&queries, Some(asker)).await.unwrap().len()
    };
    world.meter.measure(CLIENTS, 0..times, one).await.0
}

async fn query_1(world: &World) -> Measured {
    query(world, 1, 4_000).await
}

async fn query_100(world: &World) -> Measured {
    query(world, 100, 200).await
}

async fn query_1000(world: &World) -> Measured {
    query(world, 1_000, 30).await
}

async fn query_devices(world: &World) -> Measured {
    let user = world.device().await;
    world.stock(&user, 1).await;
    world.more_devices(&user, 49).await;
    let queries = [KeyQuery { user_id: user.user_id.clone(), device_ids: Vec::new() }];
    let one = async |_| {
        let answer = world.storage.query_keys(&queries, None).await.unwrap();
        assert_eq!(answer[0].devices.len(), 50, "every device is there");
    };
    world.meter.measure(CLIENTS, 0..800, one).await.0
}

/// Three keys, and a signature on the device.
async fn cross_signing(world: &World) -> Measured {
    let devices = prepare(0..100, |_| world.device()).await;
    prepare(&devices, |device| world.stock(device, 1)).await;
    let one = async |device: &DeviceRef| {
        let (user, number) = (&device.user_id, world.next());
        let key = |usage: &str| {
            let text = format!(
                r#"{{"user_id":"{user}","usage":["{usage}"],"keys":{{"ed25519:{number:043}":"{number:043}"}}}}"#
            );
            Some(RawJson::from_text(text).unwrap())
        };
        let keys = CrossSigningKeys {
            revision: 0,
            master: key("master"),
            self_signing: key("self_signing"),
            user_signing: key("user_signing"),
        };
        let before = world.storage.cross_signing_keys(user).await.unwrap().revision;
        let put = world.storage.put_cross_signing_keys(user, before, keys, vec![format!("{number:043}")]).await;
        assert_eq!(put.unwrap(), PutCrossSigningOutcome::Stored, "the keys are stored");
        let query = KeyQuery { user_id: user.clone(), device_ids: Vec::new() };
        let stored = world.storage.query_keys(&[query], None).await.unwrap().remove(0).devices.remove(0).keys;
        let signature = NewSignature {
            target: SignatureTarget::Device(user.clone(), device.device_id.clone()),
            verified_against: stored,
            signer: user.clone(),
            key_id: format!("ed25519:{number:043}"),
            signature: format!("{number:086}"),
        };
        assert_eq!(world.storage.add_signatures(vec![signature]).await.unwrap(), [true], "the signature is stored");
    };
    world.meter.measure(CLIENTS, &devices, one).await.0
}

fn messages(devices: &[DeviceRef]) -> Vec<OutgoingMessage> {
    let content = "x".repeat(600);
    let event =
        format!(r#"{{"sender":"@a:bench.example","type":"m.room.encrypted","content":{{"body":"{content}"}}}}"#);
    let event = RawJson::from_text(event).unwrap();
    let to = |device: &DeviceRef| Recipient::Device(device.user_id.clone(), device.device_id.clone());
    devices.iter().map(|device| OutgoingMessage { recipient: to(device), event: event.clone() }).collect()
}

async fn to_device(world: &World) -> Measured {
    let messages = messages(&world.users[..100]);
    world.meter.measure(CLIENTS, 0..100, |_| world.storage.send_to_device(None, messages.clone())).await.0
}

async fn drain(world: &World) -> Measured {
    let devices = prepare(0..50, |_| world.device()).await;
    for _ in 0..100 {
        world.storage.send_to_device(None, messages(&devices)).await.unwrap();
    }
    let to = world.storage.horizon().await.unwrap().position;
    let one = async |device: &DeviceRef| {
        let page = world.storage.inbox(device, Cursor::START, to, 100).await.unwrap();
        assert_eq!(page.messages.len(), 100, "every message is there");
        world.storage.acknowledge(device, Cursor::at(to)).await.unwrap();
    };
    world.meter.measure(CLIENTS, &devices, one).await.0
}

async fn change(world: &World, devices: &[&DeviceRef]) -> Measured {
    let one = async |n: usize| {
        let device = devices[n % devices.len()];
        world.storage.upload_keys(device, world.identity(device)).await.unwrap()
    };
    world.meter.measure(CLIENTS, 0..300, one).await.0
}

async fn change_small(world: &World) -> Measured {
    let members: Vec<&DeviceRef> = world.users.iter().take(10).collect();
    change(world, &members).await
}

async fn change_large(world: &World) -> Measured {
    let members: Vec<&DeviceRef> = world.users.iter().take(100).collect();
    change(world, &members).await
}

async fn change_busy(world: &World) -> Measured {
    world.stock(&world.busy, 1).await;
    change(world, &[&world.busy]).await
}

async fn sharing(world: &World) -> Measured {
    let others: Vec<_> = world.users.iter().take(100).map(|user| user.user_id.clone()).collect();
    let user = &world.users[world.users.len() / 2].user_id;
    world.meter.measure(CLIENTS, 0..400, |_| world.storage.sharing_rooms(user, &others, true, true)).await.0
}

fn sessions(first: usize, count: usize, index: u64) -> Vec<BackupKey> {
    let text = format!(r#"{{"ciphertext":"{}","ephemeral":"{}","mac":"m"}}"#, "c".repeat(700), "e".repeat(43));
    let session_data = RawJson::from_text(text).unwrap();
    (first..first + count)
        .map(|number| BackupKey {
            room_id: OwnedRoomId::try_from(format!("!r{}:bench.example", number / 50)).unwrap(),
            session_id: format!("session{number:036}"),
            data: KeyBackupData {
                first_message_index: index,
                forwarded_count: 0,
                is_verified: true,
                session_data: session_data.clone(),
            },
        })
        .collect()
}

async fn backup(world: &World) -> (DeviceRef, BackupVersion) {
    let device = world.device().await;
    let auth = RawJson::from_text("{}".to_owned()).unwrap();
    let version = world.storage.create_backup(&device.user_id, "m.megolm_backup.v1".to_owned(), auth).await.unwrap();
    (device, version)
}

async fn put(world: &World, backup: &(DeviceRef, BackupVersion), keys: Vec<BackupKey>) {
    match world.storage.put_backup_keys(&backup.0.user_id, backup.1, keys).await.unwrap() {
        PutBackupOutcome::Stored(_) => {}
        other => panic!("a backup: {other:?}"),
    }
}

async fn backup_one(world: &World) -> Measured {
    let backups = prepare(0..CLIENTS, |_| backup(world)).await;
    world.meter.measure(CLIENTS, 0..1_000, |n| put(world, &backups[n % CLIENTS], sessions(n, 1, 0))).await.0
}

async fn backup_bulk(world: &World) -> Measured {
    let backups = prepare(0..24, |_| backup(world)).await;
    world.meter.measure(CLIENTS, &backups, |backup| put(world, backup, sessions(0, 1_000, 1))).await.0
}

async fn backup_replace(world: &World) -> Measured {
    let backups = prepare(0..24, |_| backup(world)).await;
    prepare(&backups, |backup| put(world, backup, sessions(0, 1_000, 1))).await;
    world.meter.measure(CLIENTS, &backups, |backup| put(world, backup, sessions(0, 1_000, 0))).await.0
}

async fn backup_read(world: &World) -> Measured {
    let backup = backup(world).await;
    for first in (0..10_000).step_by(1_000) {
        put(world, &backup, sessions(first, 1_000, 0)).await;
    }
    let one = async |_| {
        let keys = world.storage.backup_keys(&backup.0.user_id, backup.1, BackupSelection::All).await.unwrap().unwrap();
        assert_eq!(keys.len(), 10_000, "every session is there");
    };
    world.meter.measure(CLIENTS, 0..16, one).await.0
}

async fn speak(world: &World, room: &Mutex<Room>) -> Measured {
    let sender = &world.users[0].user_id;
    // Each event is built on the one before.
    let one = async |_| world.writer.speak(&world.storage, &mut *room.lock().await, sender).await;
    world.meter.measure(1, 0..300, one).await.0
}

async fn event_small(world: &World) -> Measured {
    speak(world, &world.small).await
}

async fn event_large(world: &World) -> Measured {
    speak(world, &world.large).await
}

async fn timeline(world: &World) -> Measured {
    let room = world.large.lock().await;
    let to = Cursor::at(world.storage.horizon().await.unwrap().position);
    let one = async |_| {
        let page = world.storage.timeline(&room.id, Cursor::START, to, 20, Direction::Backward).await.unwrap();
        assert_eq!(page.events.len(), 20, "a whole page");
    };
    world.meter.measure(CLIENTS, 0..400, one).await.0
}

async fn sync(world: &World, device: &DeviceRef, times: usize) -> Measured {
    let position = world.storage.horizon().await.unwrap().position;
    let query =
        SyncQuery { device: device.clone(), since: Some(position), inbox_from: Cursor::at(position), inbox_limit: 100 };
    world.meter.measure(CLIENTS, 0..times, |_| world.storage.sync_facts(&query)).await.0
}

async fn sync_one(world: &World) -> Measured {
    sync(world, &world.users[world.users.len() - 1], 2_000).await
}

async fn sync_busy(world: &World) -> Measured {
    sync(world, &world.busy, (20_000 / world.rooms).clamp(20, 2_000)).await
}

/// The device lists of ten others changed.
async fn sync_changes(world: &World) -> Measured {
    let position = world.storage.horizon().await.unwrap().position;
    for device in &world.users[..10] {
        world.storage.upload_keys(device, world.identity(device)).await.unwrap();
    }
    let device = world.users[11].clone();
    let query = SyncQuery { device, since: Some(position), inbox_from: Cursor::at(position), inbox_limit: 100 };
    let one = async |_| {
        let facts = world.storage.sync_facts(&query).await.unwrap().unwrap();
        assert!(facts.device_lists.len() >= 10, "every change is told");
    };
    world.meter.measure(CLIENTS, 0..2_000, one).await.0
}
