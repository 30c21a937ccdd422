//! The suite that all engines pass, on PostgreSQL. Each case has a database of its own on the server that
//! `OLMSTEAD_TEST_POSTGRES` names; `cargo xtask test` starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use olmstead_conformance::{Fixture, conformance_suite};
use olmstead_postgres::{Options, PostgresStore};
use olmstead_postgres_cluster::Database;
use olmstead_storage::SharedStorage;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

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

    async fn copy(address: &str) -> Database {
        let copy = Self::place().await;
        // The name is the path of the URL.
        let (server, name) = (std::env::var("OLMSTEAD_TEST_POSTGRES").unwrap(), copy.name());
        let original = address.split('?').next().unwrap().rsplit('/').next().unwrap();
        let mut connection = PgConnection::connect(&server).await.unwrap();
        for statement in [
            format!("DROP DATABASE {name}"),
            // Sessions of the store that was closed may still be ending.
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{original}'"),
            format!("CREATE DATABASE {name} TEMPLATE {original}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
        copy
    }

    async fn node(address: &str, _open: &SharedStorage) -> SharedStorage {
        Self::open(address).await
    }
}

conformance_suite!(Postgres);
