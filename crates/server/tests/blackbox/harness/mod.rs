//! What tests are written with.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_stranger_may_not_speak() {
//!     let server = Server::shared().await;
//!     let alice = server.user("alice").await;
//!     let bob = server.user("bob").await;
//!     let room = alice.create_room(json!({})).await;
//!     bob.put(at!("/rooms/{}/send/m.room.message/1", room), json!({"body": "x", "msgtype": "m.text"}))
//!         .await
//!         .error(403, "M_FORBIDDEN");
//! }
//! ```
//!
//! Names are made unique, so tests share a server without meeting. Nothing here sleeps: what must happen is waited for
//! with a deadline ([`deadline`]), and a panic says what did not come.

mod admin;
mod backup;
mod binary;
mod call;
mod client;
mod clock;
mod engine;
mod in_process;
pub mod keys;
mod nodes;
mod process;
mod proxy;
mod raw;
mod server;
mod sliding;
mod sync;

use std::{future::Future, time::Duration};

pub use self::{
    binary::{Said, Special, free_address},
    call::{Call, Response},
    client::Client,
    clock::Clock,
    engine::{Engine, Place},
    raw::Raw,
    server::Server,
    sliding::{SLIDING_SYNC, Sliding, sliding_rooms, sliding_timeline, sliding_to_device},
    sync::{Syncing, device_lists_changed, device_lists_left, joined_room, timeline, to_device},
};

/// How long anything in a test may take: 20 s, or `BLACKBOX_DEADLINE` in seconds.
pub fn deadline() -> Duration {
    Duration::from_secs(setting("BLACKBOX_DEADLINE", 20))
}

/// Does what blocks, such as making or reading a place for data.
pub async fn in_place<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    server::blocking(work).await
}

/// With which the servers under test let administrators be made.
pub fn shared_secret() -> &'static str {
    admin::SECRET
}

/// A number from the environment.
pub fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Waits for something, at most until the deadline.
pub async fn within<F: Future>(what: &str, time: Duration, future: F) -> F::Output {
    match tokio::time::timeout(time, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: did not happen within {time:?}"),
    }
}

/// A short random text of lowercase letters and digits, good in user names, devices and transactions.
pub fn unique() -> String {
    let mut number: u64 = rand::random();
    let mut text = String::new();
    for _ in 0..10 {
        text.push(char::from(b"abcdefghijklmnopqrstuvwxyz012345"[(number % 32) as usize]));
        number /= 32;
    }
    text
}

/// One segment of a path, percent-encoded.
pub fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `at!("/rooms/{}/leave", room)`: `format!` with every argument percent-encoded.
macro_rules! at {
    ($format:literal $(, $argument:expr)* $(,)?) => {
        format!($format $(, $crate::harness::segment(::std::convert::AsRef::<str>::as_ref(&$argument)))*)
    };
}
pub(crate) use at;
