//! JSON that is kept unread, and nested deeper than clients can read, or with numbers that they cannot hold.

use serde_json::{Value, json};

use crate::harness::{Client, Response, Server, at, keys::DeviceKeys};

/// Objects within each other, so many.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[track_caller]
fn is_refused_when_deep(deep: &Response, fine: &Response) {
    deep.error(400, "M_BAD_JSON");
    fine.ok();
}

fn key(data: Value) -> Value {
    json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": true, "session_data": data})
}

/// BKP-20: a key that is nested too deeply is refused, else none of the backup could be read.
#[tokio::test]
async fn a_backup_stays_readable() {
    let alice = Server::shared().await.user("alice").await;
    let version = |data| json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": data});
    let post = |depth| alice.post("/room_keys/version", version(nested(depth)));
    is_refused_when_deep(&post(101).await, &post(100).await);
    let put = |depth| alice.put("/room_keys/version/1", version(nested(depth)));
    is_refused_when_deep(&put(101).await, &put(100).await);
    let sessions = |depth| json!({"sessions": {"s": key(nested(depth))}});
    for (path, body) in [
        ("/room_keys/keys", (&|depth| json!({"rooms": {"!r:localhost": sessions(depth)}})) as &dyn Fn(usize) -> Value),
        ("/room_keys/keys/!r:localhost", &sessions),
        ("/room_keys/keys/!r:localhost/s", &|depth| key(nested(depth))),
    ] {
        let put = |depth| alice.put(path, body(depth)).query("version", 1);
        is_refused_when_deep(&put(101).await, &put(100).await);
    }
    let all = alice.get("/room_keys/keys").query("version", 1).await.ok();
    assert_eq!(all["rooms"]["!r:localhost"]["sessions"]["s"]["session_data"], nested(100));
}

/// KQ-1: nor can a user make the keys of others unreadable that are asked for together with theirs.
#[tokio::test]
async fn keys_stay_readable() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let odd = |by: &Client, depth| {
        let (user, device) = (by.user_id(), by.device_id());
        json!({"user_id": user, "device_id": device, "algorithms": [], "keys": {format!("ed25519:{device}"): "a"},
            "signatures": {}, "org.example": nested(depth)})
    };
    for depth in [101, 110, 126] {
        let upload = json!({ "device_keys": odd(&alice, depth) });
        assert_eq!(alice.post("/keys/upload", upload).await.status, 400, "{depth}");
        let upload = json!({"one_time_keys": {"signed_curve25519:A": {"key": "a", "org.example": nested(depth)}}});
        assert_eq!(alice.post("/keys/upload", upload).await.status, 400, "{depth}");
        let upload = json!({"fallback_keys": {"signed_curve25519:A": {"key": "a", "org.example": nested(depth)}}});
        assert_eq!(alice.post("/keys/upload", upload).await.status, 400, "{depth}");
    }
    alice.post("/keys/upload", json!({ "device_keys": odd(&alice, 90) })).await;
    DeviceKeys::new(&bob).upload(&bob, 1, false).await;
    let query = json!({"device_keys": {alice.user_id(): [], bob.user_id(): []}});
    assert!(bob.post("/keys/query", query).await.ok()["device_keys"][bob.user_id()].is_object());
}

/// AD-6: nor is a number taken that readers of JSON cannot hold; it would be in each sync from then on.
#[tokio::test]
async fn numbers_stay_readable() {
    let alice = Server::shared().await.user("alice").await;
    let path = at!("/user/{}/account_data/org.example", alice.user_id());
    let put =
        |number: &str| alice.call(http::Method::PUT, &path).bytes(format!("{{\"n\": {number}}}"), "application/json");
    let digits = "9".repeat(400);
    for number in ["1e999", "-1E+400", digits.as_str(), "[0, 1e309]"] {
        put(number).await.error(400, "M_BAD_JSON");
    }
    for number in ["1e308", "-1E-999", "0.5", "18446744073709551616"] {
        put(number).await.ok();
        alice.sync(None).await;
    }
}

/// Filters, pushers and the data of dehydrated devices come back as they were, so they are such as can be read.
#[tokio::test]
async fn what_comes_back_as_it_was_can_be_read() {
    let alice = Server::shared().await.user("alice").await;
    let filter = |depth| alice.post(at!("/user/{}/filter", alice.user_id()), nested(depth));
    is_refused_when_deep(&filter(101).await, &filter(100).await);
    let pusher = |depth| {
        let data = json!({"url": "https://push.example.org/_matrix/push/v1/notify", "a": nested(depth)});
        alice.post(
            "/pushers/set",
            json!({"kind": "http", "app_id": "a", "pushkey": "k", "app_display_name": "a", "device_display_name": "d",
                "lang": "en", "data": data}),
        )
    };
    is_refused_when_deep(&pusher(99).await, &pusher(98).await);
    alice.get("/pushers").await.ok();
    let dehydrated = |depth| {
        let path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
        let keys =
            json!({"user_id": alice.user_id(), "device_id": "D", "algorithms": [], "keys": {}, "signatures": {}});
        alice.put(path, json!({"device_id": "D", "device_data": nested(depth), "device_keys": keys}))
    };
    dehydrated(101).await.error(400, "M_BAD_JSON");
}
