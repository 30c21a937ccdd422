//! Limits: how often, and how much.

use std::future::IntoFuture as _;

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

/// GEN-6: who has no good token cannot ask without end either, whatever is asked for; devices at the same address can.
#[tokio::test]
async fn requests_without_a_good_token_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let ask = |n: usize| {
        let token = n.is_multiple_of(2).then_some("no-such-token");
        anonymous.get("/_matrix/client/versions").token(token).into_future()
    };
    let (mut answered, mut limited) = (0, None);
    // Some come back each second, and a slow machine takes many.
    while limited.is_none() {
        let answers = join_all((0..100).map(ask)).await;
        answered += answers.iter().filter(|answer| answer.status != 429).count();
        limited = answers.into_iter().find(|answer| answer.status == 429);
        assert!(answered < 8_000, "there is an end");
    }
    assert!(answered >= 1_900, "{answered} are not many for all clients of an address");
    says_when_to_come_back(&limited.unwrap());
    alice.get("/account/whoami").await.ok();
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

/// Who claims keys of one device without end gets its fallback key after a while, and the pool is there for all others.
#[tokio::test]
async fn one_claimer_does_not_empty_a_pool() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let upload = json!({"one_time_keys": keys.one_time_keys(60), "fallback_keys": keys.fallback_keys()});
    alice.post("/keys/upload", upload).await.ok();
    let is_fallback = |claimed: &Value| {
        let key = claimed.as_object().and_then(|claimed| claimed.values().next()).expect("there always is a key");
        key["fallback"] == true
    };
    let mut taken = Vec::new();
    for _ in 0..100 {
        taken.push(is_fallback(&claim(&bob, &alice).await));
    }
    assert!(!taken[..20].contains(&true), "a few keys are nobody's flood");
    assert!(taken[50..].iter().all(|fallback| *fallback));
    let left = count(&alice).await.as_u64().unwrap();
    assert!(left >= 20, "{left} keys are left of 60");
    assert!(!is_fallback(&claim(&carol, &alice).await), "others are not spared");
}

/// All there is cannot be asked for without end.
#[tokio::test]
async fn first_syncs_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let answers = join_all((0..300).map(|_| async { alice.get("/sync?timeout=0").await })).await;
    let (limited, answered): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert!(answered.len() >= 100 && limited.len() >= 20, "{} of 300 were limited", limited.len());
    limited.into_iter().for_each(says_when_to_come_back);
    answered.into_iter().for_each(|answer| drop(answer.ok()));
    alice.get("/account/whoami").await.ok();
    bob.get("/sync?timeout=0").await.ok();
}

/// A user cannot let more requests wait than any client needs; what is open ends as it would.
#[tokio::test]
async fn long_polls_of_one_user_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let since = alice.get("/sync?timeout=0&set_presence=offline").await.ok()["next_batch"].as_str().unwrap().to_owned();
    let poll = format!("/sync?timeout=3000&set_presence=offline&since={since}");
    let answers = join_all((0..100).map(|_| async { alice.get(&poll).await })).await;
    let (limited, answered): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert_eq!((answered.len(), limited.len()), (64, 36));
    limited.into_iter().for_each(says_when_to_come_back);
    alice.get(&poll).await.ok();
    bob.get("/sync?timeout=0").await.ok();
}

/// One address has so many connections and no more; those it has go on.
#[tokio::test]
async fn connections_of_one_address_are_limited() {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };
    let Some(server) = Server::with_settings(|builder| builder.connections(100, 10)).await else { return };
    let address = server.base().trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(TcpStream::connect(&address).await.unwrap());
    }
    let ask = "GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for stream in &mut open {
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let mut refused = TcpStream::connect(&address).await.unwrap();
    let mut answer = Vec::new();
    // It may be closed before anything is asked.
    let _ = refused.write_all(ask.as_bytes()).await;
    let _ = refused.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    drop(open);
    // They are counted until the server has seen that they are closed.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let mut answer = [0; 12];
        if stream.write_all(ask.as_bytes()).await.is_ok() && stream.read_exact(&mut answer).await.is_ok() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "places are given back");
        tokio::task::yield_now().await;
    }
}

/// GEN-22: a user has so many devices; who has them is told so, with a known device logs in as ever, and with a new one when
/// another is logged out. A login token is not spent for the refusal.
#[tokio::test]
async fn devices_of_a_user_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder.devices_per_user(3)).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let second = alice.another_device().await;
    alice.another_device().await;
    let body = login(&alice, alice.password());
    let refused = alice.post("/login", body.clone()).token(None).await.error(403, "M_USER_LIMIT_EXCEEDED");
    assert_eq!(refused["info_uri"], "https://localhost/");
    assert!(refused["error"].as_str().unwrap().contains('3'), "{refused}");
    assert_eq!(alice.get("/devices").await.ok()["devices"].as_array().unwrap().len(), 3);
    bob.another_device().await;
    let known = alice.login(second.device_id()).await;
    let token = known.post("/_matrix/client/v1/login/get_token", json!({})).with_password().await.ok();
    let by_token = json!({"type": "m.login.token", "token": token["login_token"]});
    alice.post("/login", by_token.clone()).token(None).await.error(403, "M_USER_LIMIT_EXCEEDED");
    known.post("/logout", json!({})).await.ok();
    alice.post("/login", by_token).token(None).await.ok();
    alice.post("/login", body).token(None).await.error(403, "M_USER_LIMIT_EXCEEDED");
}

/// One user cannot fill the inbox of a device that does not sync; others can still reach it, the sender can reach others, and
/// all that was accepted is there when it does sync.
#[tokio::test]
async fn messages_of_one_sender_to_one_device_are_limited() {
    let Some(server) = Server::with_settings(|builder| builder).await else { return };
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let send = |to: &Client, n: usize, bytes: usize| {
        let content = json!({"n": n, "padding": "x".repeat(bytes)});
        json!({"messages": {to.user_id(): {to.device_id(): content}}})
    };
    let mut accepted = 0;
    let stopped = loop {
        let path = format!("/sendToDevice/m.test/t{accepted}");
        let answer = bob.put(&path, send(&alice, accepted, 60_000)).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 2_000, "there is an end");
    };
    says_when_to_come_back(&stopped);
    assert!(accepted >= 300, "{accepted} are far from what a client sends");
    bob.put("/sendToDevice/m.test/other", send(&carol, 0, 10)).await.ok();
    carol.put("/sendToDevice/m.test/other", send(&alice, accepted, 10)).await.ok();
    let mut seen = Vec::new();
    let mut since = None::<String>;
    while seen.len() <= accepted {
        let place = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let sync = alice.get(format!("/sync?timeout=0{place}")).await.ok();
        let events = sync["to_device"]["events"].as_array().cloned().unwrap_or_default();
        assert!(!events.is_empty(), "{} of {} arrived", seen.len(), accepted + 1);
        seen.extend(events.iter().map(|event| event["content"]["n"].as_u64().unwrap()));
        since = sync["next_batch"].as_str().map(str::to_owned);
    }
    assert!(seen.iter().copied().eq(0..=accepted as u64));
}
