//! The suite that all engines pass, on PostgreSQL. Each case has a database of its own on the server that
//! `OLMSTEAD_TEST_POSTGRES` names; `cargo xtask test` starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod database;

use database::Database;
use olmstead_conformance::{Fixture, conformance_suite};
use olmstead_postgres::{Options, PostgresStore};
use olmstead_storage::SharedStorage;

struct Postgres;

#[async_trait::async_trait]
impl Fixture for Postgres {
    type Place = Database;

    async fn place() -> Database {
        Database::create().await
    }

    fn address(place: &Database) -> String {
        place.url().to_owned()
    }

    async fn open(address: &str) -> SharedStorage {
        PostgresStore::open(address, Options::default()).await.unwrap()
    }
}

conformance_suite!(Postgres);
