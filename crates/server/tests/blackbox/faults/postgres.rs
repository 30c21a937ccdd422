//! A PostgreSQL that takes no writes, is gone, or lost something.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use olmstead_postgres_cluster::{Cluster, Options, Shutdown};

use super::{eventually, is_kept, keep, says_to_try_again};
use crate::harness::{Client, Engine, Place, Said, Server, Special, in_place};

/// A server with a PostgreSQL of its own.
struct Own {
    cluster: Arc<Cluster>,
    place: Arc<Place>,
    server: Server,
    said: Said,
    alice: Client,
}

impl Own {
    async fn start() -> Option<Self> {
        if Engine::chosen() != Engine::Postgres {
            return None;
        }
        let (cluster, place) = in_place(|| {
            let cluster = Cluster::start(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
            let place = Place::in_cluster(&cluster.url("postgres"));
            (Arc::new(cluster), Arc::new(place))
        })
        .await;
        let said = Said::default();
        let special = Special { said: Some(said.clone()), ..Special::default() };
        let server = Server::special_process(Arc::clone(&place), special).await?;
        let alice = server.user("alice").await;
        for n in 0..10 {
            keep(&alice, &format!("before {n}")).await.ok();
        }
        Some(Self { cluster, place, server, said, alice })
    }

    /// Runs a statement beside the server.
    async fn run(&self, statement: &'static str) {
        let place = Arc::clone(&self.place);
        in_place(move || match &*place {
            Place::Database(database) => database.run(statement).unwrap_or_else(|error| panic!("{error}")),
            Place::Directory(_) => panic!("a database"),
        })
        .await;
    }

    /// All is there that was answered, and more can be written.
    async fn is_whole(&self) {
        keep(&self.alice.patient(), "after").await.ok();
        for n in 0..10 {
            assert!(is_kept(&self.alice, &format!("before {n}")).await, "{n}");
        }
        assert!(!self.said.text().contains("panicked"), "{}", self.said.text());
    }
}

/// Writes wait a bounded time and are refused; reads go on, and so does all when writes are taken again.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_told_in_the_log() {
    let Some(own) = Own::start().await else { return };
    own.run("ALTER SYSTEM SET default_transaction_read_only = on").await;
    own.run("SELECT pg_reload_conf()").await;
    let began = Instant::now();
    let refused = eventually("a refusal", async || {
        Some(keep(&own.alice, "meanwhile").await).filter(|answer| answer.status != 200)
    });
    says_to_try_again(&refused.await);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(is_kept(&own.alice, "before 0").await, "reads go on");
    // The first refusal may have been of a connection from before.
    let said = eventually("the log's word", async || {
        keep(&own.alice, "meanwhile").await;
        own.said.text().contains("takes no writes").then_some(())
    });
    said.await;
    let (status, text) = Server::refuses(&own.place, Special::default()).await;
    assert!(status.code() == Some(1) && text.contains("olmstead: PostgreSQL takes no writes"), "{text}");
    // What is over this setting can end it.
    own.run("ALTER SYSTEM RESET default_transaction_read_only").await;
    own.run("SELECT pg_reload_conf()").await;
    own.is_whole().await;
}

/// A server that is gone is waited for, for a bounded time, and found when it is back.
#[tokio::test]
async fn a_database_that_is_gone_is_found_when_it_is_back() {
    let Some(own) = Own::start().await else { return };
    for how in [Shutdown::Fast, Shutdown::Immediate] {
        let cluster = Arc::clone(&own.cluster);
        in_place(move || cluster.down(how).unwrap_or_else(|error| panic!("{error}"))).await;
        let began = Instant::now();
        says_to_try_again(&keep(&own.alice, "meanwhile").within(Duration::from_secs(60)).await);
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        assert_eq!(own.server.anonymous().get("/health").await.status, 503);
        let (status, text) = Server::refuses(&own.place, Special::default()).await;
        assert!(status.code() == Some(1) && text.contains("olmstead: PostgreSQL cannot be reached"), "{text}");
        let cluster = Arc::clone(&own.cluster);
        in_place(move || cluster.up().unwrap_or_else(|error| panic!("{error}"))).await;
        own.is_whole().await;
    }
}

/// A table that is missing is told when the server starts, and is no store without it.
#[tokio::test]
async fn a_missing_table_is_named() {
    let Some(own) = Own::start().await else { return };
    own.run("ALTER TABLE inbox RENAME TO mislaid").await;
    own.server.kill().await;
    let (status, text) = Server::refuses(&own.place, Special::default()).await;
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("column inbox.event") && text.contains("olmstead restore"), "{text}");
    own.run("ALTER TABLE mislaid RENAME TO inbox").await;
    own.server.restart().await;
    own.is_whole().await;
}
