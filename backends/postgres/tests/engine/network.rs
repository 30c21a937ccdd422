//! What a network does that is slow, or gone without a word.

use std::{sync::Arc, time::Duration};

use olmstead_postgres::{Options, PostgresStore};
use olmstead_storage::{AccountData as _, StorageError};

use crate::{
    alice, database, json,
    proxy::Proxy,
    sessions::{COMMAND_BEGUN, WAITING, hold, until},
};

async fn through(proxy: &Proxy, statement_timeout: Duration) -> Arc<PostgresStore> {
    let options = Options { statement_timeout, ..Options::default() };
    PostgresStore::open(proxy.url(), options).await.unwrap()
}

async fn set(store: &PostgresStore, kind: &str) -> Result<(), StorageError> {
    store.set_account_data(&alice(), None, kind, json("{}")).await
}

/// A session that did nothing in its transaction for too long is ended by the server, and nothing was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_session_was_ended_is_run_again() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let store = through(&proxy, Duration::from_secs(2)).await;
    let holder = hold(&database, "account data", alice().as_str()).await;
    let command = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { set(&store, "kind").await })
    };
    until(&database, WAITING, 1).await;
    proxy.hold_requests(true);
    drop(holder);
    until(&database, COMMAND_BEGUN, 1).await;
    until(&database, COMMAND_BEGUN, 0).await;
    proxy.hold_requests(false);
    command.await.unwrap().unwrap();
    assert!(store.account_data(&alice(), None, "kind").await.unwrap().is_some());
}
