//! The first upload of a large backup fits in all limits.

use serde_json::{Value, json};

use super::{KEYS, all, info, new_version, of_version};
use crate::harness::{Client, Server};

/// A key of the size it has in reality, about 600 bytes with its id.
fn real(number: usize) -> Value {
    json!({
        "first_message_index": 0, "forwarded_count": 0, "is_verified": true,
        "session_data": {
            "ciphertext": format!("{number:0>384}"), "ephemeral": format!("{number:0>43}"), "mac": "0123456789a",
        },
    })
}

fn session(number: usize) -> String {
    format!("{number:0>43}")
}

/// So many keys from a number on, a hundred to a room.
fn batch(from: usize, count: usize, key: fn(usize) -> Value) -> Value {
    let mut rooms = serde_json::Map::new();
    for number in from..from + count {
        let room = rooms.entry(format!("!room{}:example.org", number / 100)).or_insert(json!({"sessions": {}}));
        room["sessions"][session(number)] = key(number);
    }
    json!({"rooms": rooms})
}

fn small(_: usize) -> Value {
    super::key(0, 0, true)
}

async fn with_limits() -> Option<Client> {
    Some(Server::with_settings(|builder| builder).await?.user("alice").await)
}

/// BKP-35: as many requests, one after the other and as fast as they go, as a client makes that sends 100,000 keys by the
/// hundred; none of them is told to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_uploads_in_a_row_are_taken() {
    const REQUESTS: usize = 1_000;
    let Some(alice) = with_limits().await else { return };
    let version = new_version(&alice).await;
    for number in 0..REQUESTS {
        let answer = of_version(alice.put(KEYS, batch(number, 1, small)), &version).await.ok();
        assert_eq!(answer["count"], number + 1);
    }
    assert_eq!(info(&alice, &version).await["count"], REQUESTS);
}

/// BKP-35, BKP-22: a body far larger than others may be is taken, one hundred keys like another, and all comes back in one
/// answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_are_taken() {
    const LARGE: usize = 20_000;
    const BATCHES: usize = 10;
    let Some(alice) = with_limits().await else { return };
    let version = new_version(&alice).await;
    for number in 0..BATCHES {
        let answer = of_version(alice.put(KEYS, batch(LARGE + number * 200, 200, real)), &version).await.ok();
        assert_eq!(answer["count"], (number + 1) * 200);
    }
    let large = batch(0, LARGE, real);
    assert!(large.to_string().len() > 8 * 1024 * 1024, "more than an ordinary request may have");
    let answer = of_version(alice.put(KEYS, large), &version).await.ok();
    assert_eq!(answer["count"], LARGE + BATCHES * 200);
    let stored = all(&alice, &version).await;
    let rooms = stored["rooms"].as_object().unwrap().values();
    let count: usize = rooms.map(|room| room["sessions"].as_object().unwrap().len()).sum();
    assert_eq!(count, LARGE + BATCHES * 200);
    assert_eq!(stored["rooms"]["!room17:example.org"]["sessions"][session(1_723)], real(1_723));
}
