//! A store with users, devices, keys and rooms in it, that grows from one size to the next.

use std::sync::atomic::{AtomicU64, Ordering};

use olmstead_benches::{
    cpu::Processes,
    random::Random,
    run::{Meter, prepare_at_once},
};
use olmstead_domain::json::RawJson;
use olmstead_storage::{
    SharedStorage,
    accounts::Account,
    devices::{DeviceRef, LoginOutcome, NewSession},
    keys::{ClaimWant, KeysUpload, UploadOutcome},
};
use ruma::OwnedUserId;
use tokio::sync::Mutex;

use crate::{
    Options,
    engine::{Directory, Engine},
    rooms::{Room, Writer},
};

pub(crate) const SERVER: &str = "bench.example";
pub(crate) const ALGORITHM: &str = "signed_curve25519";

/// One-time keys of every user.
pub(crate) const KEYS: usize = 5;
/// The largest room of a world.
const MOST_MEMBERS: usize = 10_000;
/// So much is made at once: engines sync their log for many at a time.
const AT_ONCE: usize = 64;
/// Members of every other room.
const FEW_MEMBERS: usize = 10;

/// What is measured, and on what.
pub(crate) struct World {
    pub(crate) storage: SharedStorage,
    pub(crate) meter: Meter,
    pub(crate) users: Vec<DeviceRef>,
    pub(crate) writer: Writer,
    /// The room of as many as there are, at most 10,000.
    pub(crate) large: Mutex<Room>,
    /// A room of ten, out of many.
    pub(crate) small: Mutex<Room>,
    /// A user who is in every room.
    pub(crate) busy: DeviceRef,
    pub(crate) rooms: usize,
    names: AtomicU64,
    _directory: Directory,
}

impl World {
    /// A world of so many users in a fresh store; `number` tells its names from those of other worlds in one database.
    pub(crate) async fn new(options: &Options, number: usize, size: usize, directory: Directory) -> Self {
        let engine: Engine = options.engine;
        let storage = engine.open(directory.path(), options.url.as_deref()).await;
        let meter =
            Meter { server: Processes::new(&[std::process::id()]), database: Processes::new(&options.database_pid) };
        let names = AtomicU64::new(u64::try_from(number).unwrap_or_default() << 40);
        let users = prepare_at_once(AT_ONCE, 0..size, |_| device(&storage, &names)).await;
        prepare_at_once(AT_ONCE, &users, |user| stock(&storage, &names, user, KEYS)).await;
        let busy = device(&storage, &names).await;
        let ids: Vec<OwnedUserId> = users.iter().map(|user| user.user_id.clone()).collect();
        let mut random = Random::new(options.seed.wrapping_add(u64::try_from(number).unwrap_or_default() << 32));
        let writer = Writer::new();
        // Each with a sequence of its own, so that what is random does not depend on which is made first.
        let rooms: Vec<(&[OwnedUserId], Random)> =
            ids.chunks(FEW_MEMBERS).map(|members| (members, Random::new(random.number()))).collect();
        let mut rooms = prepare_at_once(AT_ONCE, rooms, |(members, mut random)| {
            let all = [members, std::slice::from_ref(&busy.user_id)].concat();
            let (writer, storage) = (&writer, &storage);
            async move { writer.room(storage, &mut random, &all).await }
        })
        .await;
        let large = writer.room(&storage, &mut random, &ids[..size.min(MOST_MEMBERS)]).await;
        let count = rooms.len() + 1;
        let small = rooms.remove(0);
        Self {
            storage,
            meter,
            users,
            writer,
            large: Mutex::new(large),
            small: Mutex::new(small),
            busy,
            rooms: count,
            names,
            _directory: directory,
        }
    }

    pub(crate) async fn close(self) {
        self.storage.close().await.unwrap();
    }

    /// A number that nothing else has.
    pub(crate) fn next(&self) -> u64 {
        self.names.fetch_add(1, Ordering::Relaxed)
    }

    /// A new user with a device that has no keys.
    pub(crate) async fn device(&self) -> DeviceRef {
        device(&self.storage, &self.names).await
    }

    /// So many further devices of a user, with identity keys.
    pub(crate) async fn more_devices(&self, of: &DeviceRef, count: usize) {
        for _ in 0..count {
            let number = self.next();
            let session = session(&format!("MORE{number}"), number);
            let device = match self.storage.login(&of.user_id, session).await.unwrap() {
                LoginOutcome::LoggedIn { device, .. } => device,
                other => panic!("a login: {other:?}"),
            };
            self.storage.upload_keys(&device, self.identity(&device)).await.unwrap();
        }
    }

    /// Identity keys, a fallback key and so many one-time keys for a device.
    pub(crate) async fn stock(&self, device: &DeviceRef, keys: usize) {
        stock(&self.storage, &self.names, device, keys).await;
    }

    /// An upload of one-time keys alone.
    pub(crate) fn keys(&self, count: usize) -> KeysUpload {
        upload(&self.names, count)
    }

    /// New identity keys.
    pub(crate) fn identity(&self, device: &DeviceRef) -> KeysUpload {
        KeysUpload { device_keys: Some(identity(device, self.next())), ..upload(&self.names, 0) }
    }
}

/// The wish for a key of a device.
pub(crate) fn want(device: &DeviceRef) -> ClaimWant {
    let DeviceRef { user_id, device_id, .. } = device.clone();
    ClaimWant { user_id, device_id, algorithm: ALGORITHM.to_owned(), spares: false }
}

async fn device(storage: &SharedStorage, names: &AtomicU64) -> DeviceRef {
    let number = names.fetch_add(1, Ordering::Relaxed);
    let user_id = OwnedUserId::try_from(format!("@u{number}:{SERVER}")).unwrap();
    let account = Account::new(user_id.clone(), None, 0);
    assert!(storage.create_account(account, Some(session("DEVICE", number))).await.unwrap(), "the user is new");
    storage.device(&user_id, "DEVICE".into()).await.unwrap().unwrap().id
}

/// A session with tokens of this number.
fn session(device: &str, number: u64) -> NewSession {
    let mut access = [0; 32];
    access[..8].copy_from_slice(&number.to_be_bytes());
    NewSession {
        device_id: device.into(),
        initial_display_name: None,
        access,
        access_expires_at: None,
        refresh: None,
        now: 0,
        most_devices: usize::MAX,
    }
}

async fn stock(storage: &SharedStorage, names: &AtomicU64, device: &DeviceRef, keys: usize) {
    let mut all = upload(names, keys);
    all.device_keys = Some(identity(device, names.fetch_add(1, Ordering::Relaxed)));
    all.fallback_keys = upload(names, 1).one_time_keys;
    match storage.upload_keys(device, all).await.unwrap() {
        UploadOutcome::Stored { .. } => {}
        other => panic!("an upload: {other:?}"),
    }
}

fn upload(names: &AtomicU64, count: usize) -> KeysUpload {
    let keys = (0..count).map(|_| {
        let id = names.fetch_add(1, Ordering::Relaxed);
        let key = format!(r#"{{"key":"{id:043}","signatures":{{"@a:{SERVER}":{{"ed25519:DEVICE":"{id:086}"}}}}}}"#);
        (format!("{ALGORITHM}:{id:011}"), RawJson::from_text(key).unwrap())
    });
    KeysUpload { one_time_keys: keys.collect(), pool_limit: 1_000_000, claimed_memory: 10_000, ..KeysUpload::default() }
}

fn identity(device: &DeviceRef, number: u64) -> RawJson {
    let (user, id) = (&device.user_id, &device.device_id);
    let text = format!(
        r#"{{"user_id":"{user}","device_id":"{id}","algorithms":["m.olm.v1.curve25519-aes-sha2","m.megolm.v1.aes-sha2"],"keys":{{"curve25519:{id}":"{number:043}","ed25519:{id}":"{number:043}"}},"signatures":{{"{user}":{{"ed25519:{id}":"{number:086}"}}}}}}"#
    );
    RawJson::from_text(text).unwrap()
}
