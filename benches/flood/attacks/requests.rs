//! Requests that are too many.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Found, STOCK, WORKERS, World, all_at_once, flood, refused, shared};
use crate::{
    client::{Client, PASSWORD},
    tally::Tally,
};

/// What one claimer may take at most, with what comes back during an attack.
const BUDGET: u64 = 32;

pub(super) async fn claims(world: &World, by: &[Client], end: Instant, tally: &Tally) -> Found {
    let (user, device) = (&world.victim.user_id, &world.victim.device_id);
    let body = json!({"one_time_keys": {user: {device: "signed_curve25519"}}});
    let before = stock(&world.victim).await?;
    flood(WORKERS.max(by.len()), end, tally, |worker, _| {
        let (by, body) = (&by[worker % by.len()], &body);
        async move {
            let answer = match by.send(Method::POST, "/keys/claim", Some(body)).await {
                Ok(answer) if answer.status == 200 => answer.body,
                Ok(answer) => return answer.status.to_string(),
                Err(word) => return word,
            };
            let keys = answer["one_time_keys"][user][device].as_object().cloned().unwrap_or_default();
            match keys.values().next() {
                Some(key) if key["fallback"] == true => "200 fallback key".to_owned(),
                Some(_) => "200 one-time key".to_owned(),
                None => "200 without a key".to_owned(),
            }
        }
    })
    .await;
    let (left, taken) = (stock(&world.victim).await?, tally.of("200 one-time key"));
    if taken != before - left {
        return Err(format!("{taken} keys were handed out, and {} are gone", before - left));
    }
    if taken > BUDGET * by.len() as u64 {
        return Err(format!("{} claimers took {taken} keys", by.len()));
    }
    Ok(Some(format!("{left} of {STOCK} keys left")))
}

async fn stock(of: &Client) -> Result<u64, String> {
    let answer = of.done(Method::POST, "/keys/upload", Some(&json!({}))).await?;
    answer["one_time_key_counts"]["signed_curve25519"].as_u64().ok_or_else(|| format!("no count: {answer}"))
}

pub(super) async fn one_time_keys(world: &World, end: Instant, tally: &Tally) -> Found {
    let by = &world.mallory;
    flood(WORKERS, end, tally, |worker, n| async move {
        let keys: serde_json::Map<_, _> =
            (0..500).map(|key| (format!("curve25519:{worker}.{n}.{key}"), json!("k"))).collect();
        by.outcome(Method::POST, "/keys/upload", Some(&json!({"one_time_keys": keys}))).await
    })
    .await;
    let answer = by.done(Method::POST, "/keys/upload", Some(&json!({}))).await?;
    let kept = answer["one_time_key_counts"]["curve25519"].as_u64().unwrap_or(0);
    if kept > 5_000 { Err(format!("{kept} keys are kept")) } else { Ok(Some(format!("{kept} keys kept"))) }
}

fn password(user: &str, password: &str) -> Value {
    json!({"type": "m.login.password", "password": password, "identifier": {"type": "m.id.user", "user": user}})
}

pub(super) async fn wrong_passwords(world: &World, end: Instant, tally: &Tally) -> Found {
    let body = password(&world.victim.user_id, "wrong");
    flood(WORKERS, end, tally, |_, _| world.nobody.outcome(Method::POST, "/login", Some(&body))).await;
    refused(tally, "429")
}

pub(super) async fn registrations(world: &World, end: Instant, tally: &Tally) -> Found {
    flood(WORKERS, end, tally, |worker, n| async move {
        let name = format!("flood{worker}.{n}");
        let body = json!({"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}});
        world.nobody.outcome(Method::POST, "/register", Some(&body)).await
    })
    .await;
    refused(tally, "429")
}

pub(super) async fn without_token(world: &World, end: Instant, tally: &Tally) -> Found {
    flood(WORKERS, end, tally, |worker, n| async move {
        world.nobody.with_token(&format!("olt_{worker}.{n}")).outcome(Method::GET, "/account/whoami", None).await
    })
    .await;
    refused(tally, "429")
}

pub(super) async fn first_syncs(world: &World, end: Instant, tally: &Tally) -> Found {
    flood(WORKERS, end, tally, |_, _| world.mallory.outcome(Method::GET, "/sync?timeout=0", None)).await;
    refused(tally, "429")
}

pub(super) async fn long_polls(world: &World, end: Instant, tally: &Tally) -> Found {
    let since = world.gang[0].done(Method::GET, "/sync?timeout=0", None).await?;
    let since = since["next_batch"].as_str().unwrap_or_default().to_owned();
    let left = end.saturating_duration_since(Instant::now()).as_millis();
    let path = format!("/sync?set_presence=offline&timeout={left}&since={since}");
    let by = shared(&world.gang[0]);
    all_at_once(500, tally, |_| {
        let (by, path) = (by.clone(), path.clone());
        async move { by.outcome(Method::GET, &path, None).await }
    })
    .await;
    match tally.of("200") {
        0..=64 => refused(tally, "429"),
        more => Err(format!("{more} waited at once")),
    }
}

pub(super) async fn messages(world: &World, end: Instant, tally: &Tally) -> Found {
    let (user, device) = (&world.sleeper.user_id, &world.sleeper.device_id);
    let body = json!({"messages": {user: {device: {"padding": "x".repeat(60_000)}}}});
    flood(WORKERS, end, tally, |worker, n| {
        let body = &body;
        async move {
            let path = format!("/sendToDevice/m.flood/{worker}.{n}");
            world.mallory.outcome(Method::PUT, &path, Some(body)).await
        }
    })
    .await;
    // With 16 units each, of 5,000 in a burst.
    match tally.of("200") {
        0..=400 => refused(tally, "429"),
        more => Err(format!("{more} were accepted")),
    }
}

pub(super) async fn devices(world: &World, end: Instant, tally: &Tally) -> Found {
    let (began, body) = (Instant::now(), password(&world.mallory.user_id, PASSWORD));
    flood(WORKERS, end, tally, |_, _| world.nobody.outcome(Method::POST, "/login", Some(&body))).await;
    // Hashing alone may be slower than the limit.
    let (made, allowed) = (tally.of("200"), 120 + 10 * (began.elapsed().as_secs() + 1));
    if made <= allowed { Ok(None) } else { Err(format!("{made} devices were made")) }
}
