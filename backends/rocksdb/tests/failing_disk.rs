//! A disk that is full, or that does not bring the log to disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use olmstead_domain::{json::RawJson, position::Cursor};
use olmstead_rocksdb::{Disk, Options, RocksStore, Space};
use olmstead_storage::{
    AccountData as _, Accounts as _, Changes as _, Devices as _, Maintenance as _, Storage as _, StorageError,
    ToDevice as _, accounts::Account, devices::NewSession,
};
use ruma::{OwnedUserId, user_id};
use tempfile::TempDir;

/// A disk as a test wants it.
#[derive(Debug)]
struct Bad {
    free: AtomicU64,
    fails: AtomicBool,
}

impl Bad {
    fn new() -> Arc<Self> {
        Arc::new(Self { free: AtomicU64::new(u64::MAX), fails: AtomicBool::new(false) })
    }
}

impl Disk for Bad {
    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { free: self.free.load(Ordering::SeqCst), total: u64::MAX })
    }

    fn synced(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) { Err(io::Error::other("bad blocks")) } else { Ok(()) }
    }
}

fn open(directory: &TempDir, disk: &Arc<Bad>) -> Arc<RocksStore> {
    let disk: Arc<dyn Disk> = disk.clone();
    RocksStore::open(directory.path(), Options { disk, ..Options::default() }).unwrap()
}

fn alice() -> OwnedUserId {
    user_id!("@alice:example.org").to_owned()
}

async fn set(store: &RocksStore, kind: &str) -> Result<(), StorageError> {
    store.set_account_data(&alice(), None, kind, RawJson::from_text("{}".to_owned()).unwrap()).await
}

async fn is_set(store: &RocksStore, kind: &str) -> bool {
    store.account_data(&alice(), None, kind).await.unwrap().is_some()
}

async fn eventually<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// After a failed sync nothing is answered any more, even if the next would succeed: the system may have dropped what it
/// could not write, and say nothing more of it. A start reads what is there, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_promised_until_the_store_is_opened_anew() {
    let (directory, disk) = (TempDir::new().unwrap(), Bad::new());
    let store = open(&directory, &disk);
    store.create_account(Account::new(alice(), None, 0), None).await.unwrap();
    for n in 0..20 {
        set(&store, &format!("before {n}")).await.unwrap();
    }
    let horizon = store.horizon().await.unwrap();
    disk.fails.store(true, Ordering::SeqCst);
    let unlucky = futures(&store, "unlucky").await;
    assert!(unlucky.iter().all(|answer| matches!(answer, Err(StorageError::Unavailable { .. }))), "{unlucky:?}");
    let how = eventually("the failure", store.failed()).await;
    assert!(how.contains("bad blocks"), "{how}");
    let stuck = store.horizon().await.unwrap();
    assert!(stuck.position >= horizon.position);

    disk.fails.store(false, Ordering::SeqCst);
    for n in 0..5 {
        assert!(set(&store, &format!("after {n}")).await.is_err(), "the sync would succeed now, which says nothing");
    }
    assert!(store.ping().await.is_err());
    assert_eq!(store.horizon().await.unwrap(), stuck, "no token passes what may come back");
    assert!(store.close().await.is_err());
    drop(store);

    let store = open(&directory, &disk);
    for n in 0..20 {
        assert!(is_set(&store, &format!("before {n}")).await, "{n}");
    }
    assert!(store.horizon().await.unwrap().position > stuck.position, "no position is given twice");
    set(&store, "after").await.unwrap();
    store.ping().await.unwrap();
}

/// Several at once, so that they share a sync.
async fn futures(store: &Arc<RocksStore>, name: &'static str) -> Vec<Result<(), StorageError>> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = Arc::clone(store);
        tasks.spawn(async move { set(&store, &format!("{name} {n}")).await });
    }
    eventually("answers", tasks.join_all()).await
}

/// Where there is little space nothing is begun, so nothing can fail half-way. What needs no space goes on, and so does all
/// the rest once there is some.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_takes_no_commands_until_there_is_space() {
    let (directory, disk) = (TempDir::new().unwrap(), Bad::new());
    let store = open(&directory, &disk);
    store.create_account(Account::new(alice(), None, 0), None).await.unwrap();
    let session = NewSession {
        most_devices: usize::MAX,
        device_id: "A".into(),
        initial_display_name: None,
        access: [1; 32],
        access_expires_at: None,
        refresh: None,
        now: 0,
    };
    store.login(&alice(), session).await.unwrap();
    let device = store.session(&[1; 32]).await.unwrap().unwrap().device;
    set(&store, "before").await.unwrap();

    disk.free.store(1 << 20, Ordering::SeqCst);
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let refused = eventually("a refusal", async {
        loop {
            again.tick().await;
            if let Err(error) = set(&store, "meanwhile").await {
                return error;
            }
        }
    });
    let refused = refused.await.to_string();
    assert!(refused.contains("full but for 1 MiB"), "{refused}");
    let horizon = store.horizon().await.unwrap();
    assert!(is_set(&store, "before").await, "reads go on");
    store.acknowledge(&device, Cursor::at(horizon.position)).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.horizon().await.unwrap(), horizon, "nothing was begun");

    disk.free.store(u64::MAX, Ordering::SeqCst);
    eventually("space", async {
        loop {
            again.tick().await;
            if set(&store, "after").await.is_ok() {
                return;
            }
        }
    })
    .await;
    assert!(store.horizon().await.unwrap().position > horizon.position);
    assert!(is_set(&store, "before").await && is_set(&store, "after").await);
    assert!(tokio::time::timeout(Duration::ZERO, store.failed()).await.is_err(), "it did not fail");
}
