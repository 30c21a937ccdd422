//! To-device messages.

mod deletion;
mod delivery;
mod pages;
mod recipients;
mod refusals;
mod transactions;
mod types;

use serde_json::{Value, json};

use crate::harness::{Client, Response, at, to_device};

const KIND: &str = "io.example.seq";

/// One request under a transaction id of the test's choice.
async fn put(by: &Client, kind: &str, transaction: &str, messages: Value) -> Response {
    by.put(at!("/sendToDevice/{}/{}", kind, transaction), json!({"messages": messages})).await
}

/// One numbered message to one device.
async fn send(by: &Client, transaction: &str, to: &Client, number: usize) {
    let messages = json!({to.user_id(): {to.device_id(): {"number": number}}});
    assert_eq!(put(by, KIND, transaction, messages).await.ok(), json!({}));
}

/// The numbers of the messages in an answer, in its order.
fn numbers(sync: &Value) -> Vec<usize> {
    to_device(sync)
        .iter()
        .filter(|event| event["type"] == KIND)
        .filter_map(|event| event["content"]["number"].as_u64())
        .map(|number| usize::try_from(number).unwrap())
        .collect()
}

fn next_batch(sync: &Value) -> String {
    sync["next_batch"].as_str().unwrap().to_owned()
}
