//! Limits: how often, and how much.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Client, Response, Server,
    keys::{ALGORITHM, DeviceKeys, claim, count},
};

/// What a client must know to come back: a whole number of seconds, and the same in milliseconds.
fn says_when_to_come_back(answer: &Response) {
    let body = answer.error(429, "M_LIMIT_EXCEEDED");
    let seconds: u64 = answer.header("retry-after").parse().unwrap_or_else(|_| panic!("no Retry-After: {answer}"));
    assert!(seconds >= 1, "{answer}");
    if let Some(wait) = body["retry_after_ms"].as_u64() {
        assert_eq!(seconds, wait.div_ceil(1000), "{answer}");
    }
}

fn login(of: &Client, password: &str) -> Value {
    json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": of.user_id()}, "password": password})
}

/// GEN-6: who guesses at a password is stopped, and told when to come back; so is who tries names that are not there.
#[tokio::test]
async fn wrong_passwords_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    for _ in 0..20 {
        alice.post("/login", login(&alice, "wrong")).token(None).await.error(403, "M_FORBIDDEN");
    }
    says_when_to_come_back(&alice.post("/login", login(&alice, "wrong")).token(None).await);
    says_when_to_come_back(&alice.post("/login", login(&alice, alice.password())).token(None).await);
    // Neither the devices that are there nor other users feel it.
    alice.get("/account/whoami").await.ok();
    bob.another_device().await;
}

/// GEN-6: one address may not try without end, whatever it tries.
#[tokio::test]
async fn attempts_of_one_address_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let anonymous = server.anonymous();
    let attempts = (0..400).map(|n| {
        let anonymous = anonymous.clone();
        async move { anonymous.post("/refresh", json!({"refresh_token": format!("guess {n}")})).await }
    });
    let answers = join_all(attempts).await;
    let (limited, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert!(refused.len() >= 120 && !limited.is_empty(), "{} of 400 were limited", limited.len());
    for answer in refused {
        answer.error(401, "M_UNKNOWN_TOKEN");
    }
    for answer in limited {
        says_when_to_come_back(answer);
    }
}

fn names(upload: &Value) -> Vec<&String> {
    upload.as_object().unwrap().keys().collect()
}

/// OTK-16, OTK-3: a full pool drops its oldest keys; these are spent, and no upload brings them back.
#[tokio::test]
async fn a_full_pool_of_one_time_keys_drops_the_oldest() {
    let setting = |builder: olmstead::ServerBuilder| builder.without_limits().one_time_keys(10);
    let Some(server) = Server::with_settings(setting).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let [first, second, third] = [keys.one_time_keys(6), keys.one_time_keys(4), keys.one_time_keys(6)];
    for (upload, told) in [(&first, 6), (&second, 10), (&third, 10), (&first, 10)] {
        let answer = alice.post("/keys/upload", json!({"one_time_keys": upload})).await.ok();
        assert_eq!(answer["one_time_key_counts"][ALGORITHM], told);
    }
    for upload in [&second, &third] {
        for _ in names(upload) {
            let claimed = claim(&bob, &alice).await;
            let (name, key) = claimed.as_object().and_then(|claimed| claimed.iter().next()).expect("a key");
            assert_eq!(*key, upload[name], "{name} is of this upload");
        }
    }
    assert_eq!(claim(&bob, &alice).await, Value::Null);
    for upload in [&first, &second, &third] {
        alice.post("/keys/upload", json!({"one_time_keys": upload})).await.ok();
    }
    assert_eq!(count(&alice).await, 0);
    // Algorithms have a pool each.
    let plain: serde_json::Map<_, _> = (0..12).map(|n| (format!("curve25519:{n}"), json!("key"))).collect();
    let answer = alice.post("/keys/upload", json!({"one_time_keys": plain, "fallback_keys": {}})).await.ok();
    assert_eq!(answer["one_time_key_counts"], json!({ALGORITHM: 0, "curve25519": 10}));
}

/// OTK-16: without a setting a pool holds 5,000 keys.
#[tokio::test]
async fn a_pool_of_one_time_keys_holds_five_thousand() {
    let alice = Server::shared().await.user("alice").await;
    for (first, told) in [(0, 2_600), (2_600, 5_000), (5_200, 5_000)] {
        let keys: serde_json::Map<_, _> =
            (first..first + 2_600).map(|n| (format!("curve25519:{n}"), json!("k"))).collect();
        let answer = alice.post("/keys/upload", json!({"one_time_keys": keys})).await.ok();
        assert_eq!(answer["one_time_key_counts"]["curve25519"], told);
    }
}
