//! A clock that is put forward or back.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Client, Clock, Server, at, joined_room, timeline, to_device, unique};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn server(limits: bool) -> Option<(Server, Arc<Clock>)> {
    let clock = Arc::new(Clock::default());
    let of_server = Arc::clone(&clock);
    let server = Server::with_settings(move |builder| {
        let builder = if limits { builder } else { builder.without_limits() };
        builder.environment(of_server)
    });
    Some((server.await?, clock))
}

/// Order is by positions. Events and messages to devices come in the order they were accepted in, each once,
/// whatever the clock does between them.
#[tokio::test]
async fn nothing_is_ordered_by_the_clock() {
    let Some((server, clock)) = server(false).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let (mut bodies, mut numbers) = (Vec::new(), Vec::new());
    for n in 0..12 {
        match n % 3 {
            0 => clock.back(3 * DAY),
            1 => clock.forward(5 * DAY),
            _ => {}
        }
        alice.send_text(&room, &format!("text {n}")).await;
        let message = json!({"messages": {bob.user_id(): {bob.device_id(): {"n": n}}}});
        alice.put(format!("/sendToDevice/m.test/{}", unique()), message).await.ok();
        if n % 4 == 3 {
            let answer = sync.now().await;
            bodies.extend(timeline(&answer, &room).iter().map(|event| event["content"]["body"].clone()));
            numbers.extend(to_device(&answer).iter().map(|event| event["content"]["n"].clone()));
        }
    }
    assert_eq!(bodies, (0..12).map(|n| Value::from(format!("text {n}"))).collect::<Vec<_>>());
    assert_eq!(numbers, (0..12).map(Value::from).collect::<Vec<_>>());
    assert!(to_device(&sync.now().await).is_empty());

    let answer = alice.get(at!("/rooms/{}/messages", room)).query("dir", "b").query("limit", 12).await.ok();
    let found: Vec<_> =
        answer["chunk"].as_array().expect("events").iter().map(|e| e["content"]["body"].clone()).collect();
    assert_eq!(found, (0..12).rev().map(|n| Value::from(format!("text {n}"))).collect::<Vec<_>>());
    // A token of when the clock was ahead is as good as any.
    clock.back(30 * DAY);
    alice.send_text(&room, "last").await;
    let last: Vec<_> =
        timeline(&sync.now().await, &room).iter().map(|event| event["content"]["body"].clone()).collect();
    assert_eq!(last, ["last"]);
}

async fn is_good(client: &Client) -> bool {
    let answer = client.get("/account/whoami").await;
    if answer.status == 200 {
        return true;
    }
    assert_eq!(answer.error(401, "M_UNKNOWN_TOKEN")["soft_logout"], true, "the device is kept");
    false
}

/// An access token that lives five minutes does not live a day more because the clock was put back; nor does one that was
/// made just before a step of a few seconds die of it. The client refreshes it in any case.
#[tokio::test]
async fn access_tokens_live_no_longer_when_the_clock_is_put_back() {
    let Some((server, clock)) = server(false).await else { return };
    let alice = server.user("alice").await;
    let (device, answer) = alice.login_with(json!({"refresh_token": true})).await;
    clock.back(Duration::from_secs(20));
    assert!(is_good(&device).await, "clocks are corrected by seconds");
    clock.back(DAY);
    assert!(!is_good(&device).await);
    let answer = server.anonymous().post("/refresh", json!({"refresh_token": answer["refresh_token"]})).await.ok();
    let device = device.with_token(answer["access_token"].as_str().expect("a token"));
    assert!(is_good(&device).await);
    clock.forward(DAY);
    assert!(!is_good(&device).await);
    server.anonymous().post("/refresh", json!({"refresh_token": answer["refresh_token"]})).await.ok();
}

/// Who has guessed too often waits five minutes, and not as long as the clock was wrong.
#[tokio::test]
async fn nobody_is_locked_out_by_a_clock_that_is_put_back() {
    let Some((server, clock)) = server(true).await else { return };
    let alice = server.user("alice").await;
    let login = |password: &str| {
        let body = json!({"type": "m.login.password", "password": password,
            "identifier": {"type": "m.id.user", "user": alice.user_id()}});
        alice.post("/login", body).token(None)
    };
    for _ in 0..20 {
        login("wrong").await.error(403, "M_FORBIDDEN");
    }
    login(alice.password()).await.error(429, "M_LIMIT_EXCEEDED");
    clock.back(DAY);
    login(alice.password()).await.ok();
    // And guesses are counted from now on.
    for _ in 0..20 {
        login("wrong").await.error(403, "M_FORBIDDEN");
    }
    login(alice.password()).await.error(429, "M_LIMIT_EXCEEDED");
}

/// Limits of requests are of the time that passes, which no clock changes.
#[tokio::test]
async fn limits_do_not_know_the_clock() {
    let Some((server, clock)) = server(true).await else { return };
    let anonymous = server.anonymous();
    let attempts = async |count: usize| {
        let mut limited = 0;
        for n in 0..count {
            let answer = anonymous.post("/refresh", json!({"refresh_token": format!("guess {n}")})).await;
            limited += usize::from(answer.status == 429);
        }
        limited
    };
    attempts(140).await;
    assert!(attempts(40).await > 0, "the limit is reached");
    clock.forward(30 * DAY);
    assert!(attempts(40).await > 0, "and stays so");
    clock.back(60 * DAY);
    assert!(attempts(40).await > 0);
}

/// Who typed, and who was there, by a clock that was ahead, does not do so until it is there again.
#[tokio::test]
async fn typing_and_presence_end_when_the_clock_is_put_back() {
    let Some((server, clock)) = server(false).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    alice.syncing().now().await;
    let mut sync = bob.syncing();
    sync.now().await;
    let body = json!({"typing": true, "timeout": 120_000});
    alice.put(at!("/rooms/{}/typing/{}", room, alice.user_id()), body).await.ok();
    let typing = |answer: &Value| {
        let events = joined_room(answer, &room)["ephemeral"]["events"].as_array()?.clone();
        let event = events.into_iter().find(|event| event["type"] == "m.typing")?;
        Some(event["content"]["user_ids"].as_array()?.len())
    };
    assert_eq!(sync.until("typing", typing).await, 1);
    clock.back(DAY);
    assert_eq!(sync.until("the end of typing", typing).await, 0);
    let presence = async || bob.get(at!("/presence/{}/status", alice.user_id())).await.ok()["presence"].clone();
    super::eventually("alice is offline", async || (presence().await == "offline").then_some(())).await;
    let is_back = async || {
        // One of her syncs may be before the node has met that she went.
        alice.syncing().now().await;
        (presence().await == "online").then_some(())
    };
    super::eventually("alice is online", is_back).await;
}
