//! Device lists: nobody who must know misses a change.

mod changes;
mod concurrent;
mod everyday;
mod filters;
mod identities;
mod invited;
mod leaving;
mod lost;
mod names;
mod random;
mod sharing;
mod waking;

use std::fmt;

use serde_json::{Value, json};

use crate::harness::{
    Client, Syncing, at, device_lists_changed, device_lists_left,
    keys::{CrossSigning, DeviceKeys},
};

/// New identity keys for a device.
async fn upload_keys(of: &Client) -> DeviceKeys {
    let keys = DeviceKeys::new(of);
    of.post("/keys/upload", json!({"device_keys": keys.signed()})).await.ok();
    keys
}

/// A new cross-signing identity.
async fn upload_identity(of: &Client) -> CrossSigning {
    let keys = CrossSigning::new(of.user_id());
    of.post("/keys/device_signing/upload", keys.upload()).with_password().await.ok();
    keys
}

/// `kick`, `ban` or `unban`.
async fn act(by: &Client, action: &str, room: &str, on: &Client) {
    by.post(format!("{}/{action}", at!("/rooms/{}", room)), json!({"user_id": on.user_id()})).await.ok();
}

async fn forget(by: &Client, room: &str) {
    by.post(at!("/rooms/{}/forget", room), json!({})).await.ok();
}

pub(super) async fn encrypt(by: &Client, room: &str) {
    by.send_state(room, "m.room.encryption", "", json!({"algorithm": "m.megolm.v1.aes-sha2"})).await;
}

/// A room without encryption, with these users in it.
async fn clear_room(of: &Client, others: &[&Client]) -> String {
    let invited: Vec<_> = others.iter().map(|client| client.user_id()).collect();
    let room = of.create_room(json!({"preset": "private_chat", "invite": invited})).await;
    for other in others {
        other.join(&room).await;
    }
    room
}

/// A device that syncs and looks at the device lists.
struct Watch {
    client: Client,
    syncing: Syncing,
}

/// What one answer tells of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Changed,
    Left,
}

impl Watch {
    /// Begins now.
    async fn start(client: &Client) -> Self {
        Self::with_filter(client, &json!({})).await
    }

    async fn with_filter(client: &Client, filter: &Value) -> Self {
        let mut syncing = client.syncing().filter(filter);
        syncing.now().await;
        Self { client: client.clone(), syncing }
    }

    /// The same device, from another token.
    fn from(&self, token: &str) -> Self {
        Self { client: self.client.clone(), syncing: self.client.syncing().since(token) }
    }

    fn token(&self) -> String {
        self.syncing.token().to_owned()
    }

    async fn next(&mut self) -> Lists {
        Lists::of(self.syncing.now().await)
    }

    /// As if the answer was lost.
    async fn peek(&self) -> Lists {
        Lists::of(self.syncing.peek(std::time::Duration::ZERO).await)
    }
}

/// The device lists of an answer.
struct Lists {
    changed: Vec<String>,
    left: Vec<String>,
    answer: Value,
}

impl Lists {
    /// Reads them. What holds for all answers is looked at here: nobody is named twice, nor in both lists.
    #[track_caller]
    fn of(answer: Value) -> Self {
        let lists = Self { changed: device_lists_changed(&answer), left: device_lists_left(&answer), answer };
        lists.check();
        lists
    }

    /// Of an answer of `keys/changes`, which must have both lists.
    #[track_caller]
    fn of_changes(answer: Value) -> Self {
        assert!(answer["changed"].is_array() && answer["left"].is_array(), "{answer}");
        Self::of(json!({"device_lists": answer}))
    }

    #[track_caller]
    fn check(&self) {
        let mut all: Vec<&String> = self.changed.iter().chain(&self.left).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "somebody is named twice: {self}");
    }

    fn about(&self, user: &Client) -> Told {
        let names = |list: &[String]| list.iter().any(|name| name == user.user_id());
        match (names(&self.changed), names(&self.left)) {
            (false, false) => Told::Nothing,
            (true, _) => Told::Changed,
            (false, true) => Told::Left,
        }
    }

    /// Requires what is told of a user.
    #[track_caller]
    fn tell(&self, user: &Client, expected: Told, why: &str) -> &Self {
        assert_eq!(self.about(user), expected, "{why}: of {}: {self}", user.user_id());
        self
    }

    /// Requires that nobody is named.
    #[track_caller]
    fn are_empty(&self, why: &str) {
        assert!(self.changed.is_empty() && self.left.is_empty(), "{why}: {self}");
    }
}

impl fmt::Display for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changed {:?}, left {:?}, in {}", self.changed, self.left, self.answer)
    }
}
