//! The suite that all engines pass, on RocksDB.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;

use olmstead_conformance::{Fixture, conformance_suite};
use olmstead_rocksdb::{Options, RocksStore};
use olmstead_storage::SharedStorage;
use tempfile::TempDir;

struct Rocks;

#[async_trait::async_trait]
impl Fixture for Rocks {
    type Place = TempDir;

    async fn place() -> TempDir {
        TempDir::new().unwrap()
    }

    fn address(place: &TempDir) -> String {
        place.path().to_str().unwrap().to_owned()
    }

    async fn copy(address: &str) -> TempDir {
        let copy = TempDir::new().unwrap();
        for entry in std::fs::read_dir(address).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        copy
    }

    async fn open(address: &str) -> SharedStorage {
        RocksStore::open(Path::new(address), Options::default()).unwrap()
    }
}

conformance_suite!(Rocks);
