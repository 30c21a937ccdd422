//! What a message looks like when it arrives.

use http::Method;
use serde_json::json;

use super::{next_batch, numbers, put, send};
use crate::harness::{Server, at, to_device};

/// TD-3: sender, type and content and nothing else, the content as it was sent; what it says of a sender is only content.
#[tokio::test]
async fn content_arrives_unchanged() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let contents = [
        json!({}),
        json!({"sender": "@mallory:localhost", "type": "m.other", "content": {"sender": 1}}),
        json!({"deep": {"er": [[[{"x": null, "y": [true, false, ""]}]]]}, "": "", " ": "\u{0}\u{1}\u{7f}\u{2028}\u{1f600}"}),
        json!({"int": 9_007_199_254_740_991_i64, "negative": -9_007_199_254_740_991_i64, "zero": 0}),
        json!({"ciphertext": {"k+/": {"type": 0, "body": "AwogÖ+/="}}, "org.matrix.msgid": "x", "unsigned": {"age": 1}}),
    ];
    let mut since = next_batch(&bob.sync(None).await);
    for (number, content) in contents.iter().enumerate() {
        let messages = json!({bob.user_id(): {bob.device_id(): content}});
        put(&alice, "io.example.any", &format!("t{number}"), messages).await.ok();
        let sync = bob.sync(Some(&since)).await;
        let expected = json!({"sender": alice.user_id(), "type": "io.example.any", "content": content});
        assert_eq!(to_device(&sync), [expected]);
        since = next_batch(&sync);
    }
}

/// TD-3: the order of members, spaces, and what is written with escapes stay as they are, to the byte.
#[tokio::test]
async fn content_arrives_as_it_was_written() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let content = r#"{"z":1, "a":{"y":2,"b":"\u00e4\/"},  "n":[ 100 ]}"#;
    let body = format!(r#"{{"messages":{{"{}":{{"{}":{content}}}}}}}"#, bob.user_id(), bob.device_id());
    alice.call(Method::PUT, "/sendToDevice/io.example.raw/t").bytes(body, "application/json").await.ok();
    let text = bob.get("/sync").await.text();
    assert!(text.contains(content), "{text}");
}

/// TD-8: whom the user ignores is heard all the same: a key that is dropped cannot be asked for later.
#[tokio::test]
async fn messages_of_ignored_users_arrive() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let ignored = json!({"ignored_users": {alice.user_id(): {}}});
    bob.put(at!("/user/{}/account_data/m.ignored_user_list", bob.user_id()), ignored).await.ok();
    let mut sync = bob.syncing();
    sync.now().await;
    send(&alice, "t", &bob, 7).await;
    assert_eq!(numbers(&sync.now().await), [7]);
}
