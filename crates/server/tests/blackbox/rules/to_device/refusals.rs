//! Requests that are refused whole.

use http::Method;
use serde_json::json;

use super::{KIND, numbers, put, send};
use crate::harness::{Server, at, to_device};

/// TD-1: `messages` by user and device is needed, and its content are objects; nothing of a bad request is sent.
#[tokio::test]
async fn bad_messages_are_refused_whole() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let path = format!("/sendToDevice/{KIND}/t");
    for body in [json!({}), json!([]), json!({"messages": null}), json!({"messages": []}), json!({"messages": "x"})] {
        alice.put(&path, body).await.error(400, "M_BAD_JSON");
    }
    let good = json!({bob.device_id(): {"number": 1}});
    for bad in [
        json!({bob.user_id(): {bob.device_id(): {"number": 1}, "*": "text"}}),
        json!({bob.user_id(): {bob.device_id(): {"number": 1}, "OTHER": null}}),
        json!({bob.user_id(): {bob.device_id(): [1]}}),
        json!({bob.user_id(): good, "@z:localhost": []}),
        json!({bob.user_id(): good, "@z:localhost": null}),
        json!({bob.user_id(): good, "nobody": {}}),
        json!({bob.user_id(): good, "": {"*": {}}}),
    ] {
        put(&alice, KIND, "t", bad).await.error(400, "M_BAD_JSON");
    }
    for body in ["{", "messages", "{\"messages\":{}"] {
        alice.call(Method::PUT, &path).bytes(body, "application/json").await.error(400, "M_NOT_JSON");
    }
    alice.put(&path, json!({"messages": {}})).token(None).await.error(401, "M_MISSING_TOKEN");
    alice.post(&path, json!({"messages": {}})).await.error(405, "M_UNRECOGNIZED");
    assert!(to_device(&bob.sync(None).await).is_empty());
    // What is more in the body than is known does no harm.
    let body = json!({"messages": {bob.user_id(): {bob.device_id(): {"number": 2}}}, "org.example": [1]});
    assert_eq!(alice.put(&path, body).await.ok(), json!({}));
    assert_eq!(numbers(&bob.sync(None).await), [2]);
}

/// TD-17: a message that would not fit into a transaction between servers is refused, and all of its request; what just
/// fits comes through.
#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let long = |length: usize| json!({"number": 1, "long": "x".repeat(length)});
    for bad in [
        json!({bob.user_id(): {bob.device_id(): {"number": 1}, "OTHER": long(70_000)}}),
        json!({bob.user_id(): {"*": long(65_536)}}),
        json!({bob.user_id(): {bob.device_id(): long(66_000)}, alice.user_id(): {"*": {"number": 1}}}),
        // Also for who is not there: the size does not tell who is.
        json!({"@nobody:elsewhere.example": {"*": long(65_536)}, bob.user_id(): {"*": {"number": 1}}}),
    ] {
        put(&alice, KIND, "t", bad).await.error(413, "M_TOO_LARGE");
    }
    assert!(to_device(&bob.sync(None).await).is_empty());
    assert!(to_device(&alice.sync(None).await).is_empty());
    put(&alice, KIND, "t", json!({bob.user_id(): {"*": long(64_500)}})).await.ok();
    send(&alice, "u", &bob, 2).await;
    assert_eq!(numbers(&bob.sync(None).await), [1, 2]);
    // The same counts what JSON says in canonical form, so escapes are as long as what they stand for.
    let body = format!(
        r#"{{"messages":{{"{}":{{"{}":{{"number":3,"long":"{}"}}}}}}}}"#,
        bob.user_id(),
        bob.device_id(),
        "\\u0078".repeat(20_000)
    );
    alice.call(Method::PUT, at!("/sendToDevice/{}/v", KIND)).bytes(body, "application/json").await.ok();
    assert_eq!(numbers(&bob.sync(None).await), [1, 2, 3]);
}
