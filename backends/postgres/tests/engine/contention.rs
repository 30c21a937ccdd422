//! What waits for a lock stands in nobody else's way.

use std::{sync::Arc, time::Duration};

use olmstead_postgres::{Options, PostgresStore};
use olmstead_storage::{
    AccountData as _, Ephemeral as _, StorageError,
    account_data::Pusher,
    ephemeral::{Presence, Syncing},
};
use ruma::{OwnedUserId, UserId, user_id};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    alice, database, device, json, open,
    sessions::{WAITING, hold, session, until},
};

/// Longer than anything takes here, and shorter than what a lock is waited for.
const SOON: Duration = Duration::from_secs(8);

async fn small(url: &str, acquire_timeout: Duration) -> Arc<PostgresStore> {
    let options = Options { max_connections: 3, acquire_timeout, ..Options::default() };
    PostgresStore::open(url, options).await.unwrap()
}

fn set(store: &Arc<PostgresStore>, user_id: &UserId, kind: &str) -> JoinHandle<Result<(), StorageError>> {
    let (store, user_id, kind) = (Arc::clone(store), user_id.to_owned(), kind.to_owned());
    tokio::spawn(async move { store.set_account_data(&user_id, None, &kind, json("{}")).await })
}

/// However many commands wait for a lock, connections are left for who does not need it.
#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_for_a_lock_leave_connections_to_others() {
    let database = database();
    let store = small(database.url(), Duration::from_secs(30)).await;
    let holder = hold(&database, "account data", alice().as_str()).await;
    let waiting: Vec<_> = (0..20).map(|number| set(&store, &alice(), &format!("k{number}"))).collect();
    until(&database, WAITING, 1).await;
    let bob = user_id!("@bob:example.org");
    for _ in 0..10 {
        timeout(SOON, set(&store, bob, "k")).await.expect("others go on").unwrap().unwrap();
    }
    until(&database, WAITING, 1).await;
    drop(holder);
    for command in waiting {
        command.await.unwrap().unwrap();
    }
}

/// Who gives up its place lets the next one on.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_its_place_lets_the_next_one_on() {
    let database = database();
    let store = small(database.url(), Duration::from_secs(30)).await;
    let holder = hold(&database, "account data", alice().as_str()).await;
    for _ in 0..5 {
        let first = set(&store, &alice(), "first");
        until(&database, WAITING, 1).await;
        let second = set(&store, &alice(), "second");
        first.abort();
        second.abort();
        until(&database, WAITING, 0).await;
    }
    let last = set(&store, &alice(), "last");
    until(&database, WAITING, 1).await;
    drop(holder);
    timeout(SOON, last).await.expect("all places before it are free").unwrap().unwrap();
    for kind in ["first", "second"] {
        assert_eq!(store.account_data(&alice(), None, kind).await.unwrap(), None);
    }
}

/// Whoever waits is told in time that it was in vain.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_not_waited_for_without_end() {
    let database = database();
    let store = small(database.url(), Duration::from_secs(1)).await;
    let _holder = hold(&database, "account data", alice().as_str()).await;
    let first = set(&store, &alice(), "first");
    until(&database, WAITING, 1).await;
    let second = timeout(SOON, set(&store, &alice(), "second")).await.expect("it ends").unwrap();
    assert!(matches!(second, Err(StorageError::Unavailable { .. } | StorageError::Conflict)), "{second:?}");
    first.abort();
}

/// Commands that take several locks, on several nodes with few connections, all get through.
#[tokio::test(flavor = "multi_thread")]
async fn commands_with_several_locks_get_through() {
    let database = database();
    let nodes = [small(database.url(), SOON).await, small(database.url(), SOON).await];
    let device = device(&nodes[0], "DEVICE").await;
    let commands = (0..120).map(|number| {
        let store = Arc::clone(&nodes[number % 2]);
        let mut device = device.clone();
        device.user_id = UserId::parse(format!("@user{}:example.org", number % 3)).unwrap();
        let pushkey = format!("key {}", number % 5);
        let pusher = Pusher { app_id: "app".to_owned(), pushkey, device, data: json("{}") };
        tokio::spawn(async move {
            let set = store.set_pusher(pusher, number % 7 == 0).await;
            // A crowd may be told to come back, but is never left waiting.
            assert!(matches!(set, Ok(()) | Err(StorageError::Conflict)), "{set:?}");
        })
    });
    for command in commands.collect::<Vec<_>>() {
        timeout(SOON * 4, command).await.expect("nobody waits for each other").unwrap();
    }
}

/// Who begins to sync holds what says so before the presence, as the one who ends it does.
#[tokio::test(flavor = "multi_thread")]
async fn beginning_and_ending_to_sync_do_not_wait_for_each_other() {
    let database = database();
    let store = open(&database).await;
    let carol: OwnedUserId = user_id!("@carol:example.org").to_owned();
    let syncing = |until| Syncing { user_id: carol.clone(), until };
    store.begin_syncing(syncing(1_000), "online", 1).await.unwrap();
    let mut holder = session(&database).await;
    sqlx::query("SELECT FROM presence FOR UPDATE").execute(&mut holder).await.unwrap();
    let beginning = {
        let (store, syncing) = (Arc::clone(&store), syncing(9_000));
        tokio::spawn(async move { store.begin_syncing(syncing, "unavailable", 2_000).await })
    };
    until(&database, WAITING, 1).await;
    let ended = timeout(SOON, store.end_syncing(2_000)).await.expect("who begins again is left alone").unwrap();
    assert_eq!(ended, 0);
    drop(holder);
    beginning.await.unwrap().unwrap();
    let Presence { presence, .. } = store.presence(&carol).await.unwrap().unwrap();
    assert_eq!(presence, "unavailable");
}
