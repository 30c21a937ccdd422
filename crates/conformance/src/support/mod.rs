//! What cases have in common: users, devices, keys, rooms.

pub(crate) mod keys;
pub(crate) mod rooms;

use std::{
    fmt::Debug,
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{
    accounts::Account,
    changes::{ChangeKey, Changed},
    devices::{DeviceRef, LoginOutcome, NewSession, TokenHash},
    to_device::{OutgoingMessage, Recipient, TransactionKey},
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::Store;

/// The server that the users of all cases are of.
pub(crate) const SERVER: &str = "conformance.test";

/// Ids of rooms that engines may confuse.
pub(crate) const ODD_ROOMS: [&str; 7] =
    ["!a", "!ab", "!a\u{1}", "!a\u{1}b", "!a\u{1}\u{1}", "!a\u{1}\u{2}", "!\u{1F600}\u{7f}"];

/// A number that is given out once in this process.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// `@name:conformance.test`.
pub(crate) fn user_id(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:{SERVER}")).unwrap()
}

/// The id of a room that need not exist.
pub(crate) fn room_id(name: &str) -> OwnedRoomId {
    RoomId::parse(format!("!{name}:{SERVER}")).unwrap()
}

/// JSON as text.
pub(crate) fn raw(value: Value) -> RawJson {
    RawJson::from_value(&value).unwrap()
}

/// The hash of a token that nobody else has.
pub(crate) fn token() -> TokenHash {
    let mut hash = [0xA5; 32];
    hash[..8].copy_from_slice(&unique().to_be_bytes());
    // Other processes write to the same store.
    hash[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    hash
}

/// An account with a password.
pub(crate) fn account(user_id: &UserId) -> Account {
    Account::new(user_id.to_owned(), Some("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$first".to_owned()), 1_000)
}

/// A session for a device, with new tokens.
pub(crate) fn session(device_id: &str) -> NewSession {
    NewSession {
        device_id: device_id.into(),
        initial_display_name: Some(format!("name of {device_id}")),
        access: token(),
        access_expires_at: None,
        refresh: Some(token()),
        now: 2_000,
        most_devices: usize::MAX,
    }
}

/// The transaction of a device on one path.
pub(crate) fn transaction(device: &DeviceRef, scope: &str, id: &str) -> TransactionKey {
    TransactionKey { device: device.clone(), scope: scope.to_owned(), transaction_id: id.to_owned() }
}

/// A message to all devices of a user.
pub(crate) fn to_all(user_id: &UserId, body: impl Into<Value>) -> OutgoingMessage {
    OutgoingMessage { recipient: Recipient::AllDevices(user_id.to_owned()), event: event(body) }
}

/// A message to one device.
pub(crate) fn to_device(device: &DeviceRef, body: impl Into<Value>) -> OutgoingMessage {
    let recipient = Recipient::Device(device.user_id.clone(), device.device_id.clone());
    OutgoingMessage { recipient, event: event(body) }
}

/// A to-device event.
pub(crate) fn event(body: impl Into<Value>) -> RawJson {
    raw(json!({
        "sender": format!("@sender:{SERVER}"),
        "type": "m.room.encrypted",
        "content": { "algorithm": "m.olm.v1.curve25519-aes-sha2", "body": body.into() },
    }))
}

/// The body of [`event`].
pub(crate) fn body(event: &RawJson) -> Value {
    event.read::<Value>().unwrap()["content"]["body"].clone()
}

/// Sorted, for comparisons where the order is free.
pub(crate) fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}

/// Runs tasks in parallel and waits for all; the answers are in the order of the tasks.
pub(crate) async fn parallel<T, Fut>(count: usize, task: impl Fn(usize) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<JoinHandle<T>> = (0..count).map(|index| tokio::spawn(task(index))).collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        answers.push(task.await.expect("a parallel task ends well"));
    }
    answers
}

/// Asserts that two collections hold the same, in any order.
#[track_caller]
pub(crate) fn assert_same<T: Ord + Debug>(left: impl IntoIterator<Item = T>, right: impl IntoIterator<Item = T>) {
    assert_eq!(sorted(left), sorted(right));
}

impl Store {
    /// A new user.
    pub(crate) async fn user(&self, name: &str) -> OwnedUserId {
        let user_id = user_id(name);
        assert!(self.create_account(account(&user_id), None).await.unwrap(), "{user_id} is new");
        user_id
    }

    /// Logs a user in; the device is made if it is not there.
    pub(crate) async fn log_in(&self, user_id: &UserId, device_id: &str) -> DeviceRef {
        match self.login(user_id, session(device_id)).await.unwrap() {
            LoginOutcome::LoggedIn { device, .. } => device,
            other => panic!("login of {user_id} to {device_id}: {other:?}"),
        }
    }

    /// A new user with one device.
    pub(crate) async fn user_with_device(&self, name: &str) -> (OwnedUserId, DeviceRef) {
        let user_id = self.user(name).await;
        let device = self.log_in(&user_id, "DEVICE").await;
        (user_id, device)
    }

    /// The position of the horizon.
    pub(crate) async fn position(&self) -> Position {
        self.horizon().await.unwrap().position
    }

    /// Users whose device list changed since a position, sorted.
    pub(crate) async fn lists_changed_since(&self, from: Position) -> Vec<OwnedUserId> {
        let to = self.position().await;
        sorted(self.device_list_changes(from, to).await.unwrap())
    }

    /// The bodies of all messages that wait for a device.
    pub(crate) async fn waiting(&self, device: &DeviceRef) -> Vec<Value> {
        let to = self.position().await;
        let page = self.inbox(device, Default::default(), to, 100_000).await.unwrap();
        assert!(!page.more, "a page below its limit is the last");
        page.messages.iter().map(|(_, event)| body(event)).collect()
    }

    /// Asserts that what was written since `from` wakes one of `keys`.
    pub(crate) async fn assert_wakes(&self, from: Position, what: &str, keys: &[ChangeKey]) {
        let to = self.position().await;
        assert!(to > from, "{what}: the horizon covers the write when it returns");
        match self.changed(from, to).await.unwrap() {
            Changed::Everything => {}
            Changed::Keys(changed) => {
                assert!(changed.iter().any(|key| keys.contains(key)), "{what}: one of {keys:?} in {changed:?}");
            }
        }
    }
}
