//! `GET /sync` as encryption depends on it.

mod account_data;
mod counts;
mod encryption;
mod lazy;
mod limits;
mod members;
mod membership;
mod state_after;
mod stripped;
mod tokens;
mod waiting;

use serde_json::{Value, json};

use crate::harness::Client;

/// The ways to ask where state stands, and the name it is answered under.
const STATES: [(&str, &str); 3] = [
    ("", "state"),
    ("use_state_after", "state_after"),
    ("org.matrix.msc4222.use_state_after", "org.matrix.msc4222.state_after"),
];

/// One sync that does not wait, with a filter, and a flag that is set if it is not empty.
async fn sync(client: &Client, since: Option<&str>, filter: &Value, flag: &str) -> Value {
    let mut call = client.get("/sync").query("filter", filter);
    if let Some(since) = since {
        call = call.query("since", since);
    }
    if !flag.is_empty() {
        call = call.query(flag, true);
    }
    call.await.ok()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn next_batch(answer: &Value) -> String {
    answer["next_batch"].as_str().unwrap().to_owned()
}

/// A filter with so many timeline events.
fn limited(limit: usize) -> Value {
    json!({"room": {"timeline": {"limit": limit}}})
}

/// A filter with so many timeline events that loads members lazily.
fn lazy(limit: usize) -> Value {
    json!({"room": {"timeline": {"limit": limit}, "state": {"lazy_load_members": true}}})
}

/// Type and state key of state events, sorted.
fn keys(events: &[Value]) -> Vec<String> {
    let mut keys: Vec<_> = events
        .iter()
        .map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["state_key"].as_str().unwrap()))
        .collect();
    keys.sort();
    keys
}
