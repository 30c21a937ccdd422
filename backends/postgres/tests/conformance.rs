//! The suite that all engines pass, on PostgreSQL. Each case has a database of its own on the server that
//! `OLMSTEAD_TEST_POSTGRES` names; `cargo xtask test` starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use olmstead_conformance::{Fixture, conformance_suite};
use olmstead_postgres::{Options, PostgresStore};
use olmstead_postgres_cluster::Database;
use olmstead_storage::SharedStorage;

struct Postgres;

#[async_trait::async_trait]
impl Fixture for Postgres {
    type Place = Database;

    async fn place() -> Database {
        let server =
            std::env::var("OLMSTEAD_TEST_POSTGRES").expect("OLMSTEAD_TEST_POSTGRES is set by `cargo xtask test`");
        Database::create(&server, "conformance").unwrap()
    }

    fn address(place: &Database) -> String {
        place.url().to_owned()
    }

    async fn open(address: &str) -> SharedStorage {
        PostgresStore::open(address, Options::default()).await.unwrap()
    }

    async fn node(address: &str, _open: &SharedStorage) -> SharedStorage {
        Self::open(address).await
    }
}

conformance_suite!(Postgres);
