//! Workloads against any engine, through the storage traits: what one command costs.
//!
//! Each engine is one function that opens a fresh store; the workloads know `SharedStorage` only.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering};

use divan::Bencher;
use olmstead_domain::{json::RawJson, position::Cursor};
use olmstead_storage::{
    SharedStorage,
    accounts::Account,
    devices::{DeviceRef, NewSession},
    keys::{ClaimWant, KeysUpload},
    sync::SyncQuery,
    to_device::{OutgoingMessage, Recipient},
};
use ruma::OwnedUserId;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// The engines to compare.
#[derive(Debug, Clone, Copy)]
enum Engine {
    RocksDb,
}

const ENGINES: [Engine; 1] = [Engine::RocksDb];

/// A store, and what must outlive it.
struct Bench {
    runtime: Runtime,
    storage: SharedStorage,
    names: AtomicU64,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage: SharedStorage = match engine {
            Engine::RocksDb => {
                olmstead_rocksdb::RocksStore::open(directory.path(), olmstead_rocksdb::Options::default()).unwrap()
            }
        };
        Self { runtime: Runtime::new().unwrap(), storage, names: AtomicU64::new(0), _directory: directory }
    }

    fn next(&self) -> u64 {
        self.names.fetch_add(1, Ordering::Relaxed)
    }

    /// A fresh user with one device.
    fn device(&self) -> DeviceRef {
        let user_id = OwnedUserId::try_from(format!("@u{}:bench.example", self.next())).unwrap();
        let mut access = [0; 32];
        access[..8].copy_from_slice(&self.next().to_be_bytes());
        let account = Account {
            user_id: user_id.clone(),
            password_hash: None,
            guest: false,
            admin: false,
            deactivated: false,
            locked: false,
            suspended: false,
            created_at: 0,
        };
        let session = NewSession {
            device_id: "DEVICE".into(),
            initial_display_name: None,
            access,
            access_expires_at: None,
            refresh: None,
            now: 0,
        };
        self.runtime.block_on(async {
            assert!(self.storage.create_account(account, Some(session)).await.unwrap());
            self.storage.device(&user_id, "DEVICE".into()).await.unwrap().unwrap().id
        })
    }

    fn upload(&self, device: &DeviceRef, count: u64) {
        let keys = (0..count).map(|_| {
            let id = self.next();
            let key = format!(
                r#"{{"key":"{id:043}","signatures":{{"{}":{{"ed25519:DEVICE":"{id:086}"}}}}}}"#,
                device.user_id
            );
            (format!("signed_curve25519:{id:011}"), RawJson::from_text(key).unwrap())
        });
        let upload = KeysUpload {
            one_time_keys: keys.collect(),
            pool_limit: 100_000,
            claimed_memory: 10_000,
            ..KeysUpload::default()
        };
        self.runtime.block_on(self.storage.upload_keys(device, upload)).unwrap();
    }
}

#[divan::bench(args = ENGINES)]
fn claim_one_key(bencher: Bencher<'_, '_>, engine: Engine) {
    let bench = Bench::new(engine);
    let device = bench.device();
    bench.upload(&device, 20_000);
    let want =
        ClaimWant { user_id: device.user_id, device_id: device.device_id, algorithm: "signed_curve25519".to_owned() };
    bencher.bench_local(|| bench.runtime.block_on(bench.storage.claim_keys(std::slice::from_ref(&want))).unwrap());
}

#[divan::bench(args = ENGINES)]
fn top_up_of_50_keys(bencher: Bencher<'_, '_>, engine: Engine) {
    let bench = Bench::new(engine);
    let device = bench.device();
    bencher.bench_local(|| bench.upload(&device, 50));
}

#[divan::bench(args = ENGINES)]
fn to_device_to_100_devices(bencher: Bencher<'_, '_>, engine: Engine) {
    let bench = Bench::new(engine);
    let event =
        RawJson::from_text(r#"{"sender":"@a:bench.example","type":"m.dummy","content":{}}"#.to_owned()).unwrap();
    let messages: Vec<_> = (0..100)
        .map(|_| {
            let device = bench.device();
            OutgoingMessage { recipient: Recipient::Device(device.user_id, device.device_id), event: event.clone() }
        })
        .collect();
    bencher.bench_local(|| bench.runtime.block_on(bench.storage.send_to_device(None, messages.clone())).unwrap());
}

#[divan::bench(args = ENGINES)]
fn facts_of_an_empty_sync(bencher: Bencher<'_, '_>, engine: Engine) {
    let bench = Bench::new(engine);
    let device = bench.device();
    let horizon = bench.runtime.block_on(bench.storage.horizon()).unwrap();
    let query =
        SyncQuery { device, since: Some(horizon.position), inbox_from: Cursor::at(horizon.position), inbox_limit: 100 };
    bencher.bench_local(|| bench.runtime.block_on(bench.storage.sync_facts(&query)).unwrap());
}
