//! `GET /metrics`: names and labels.

use std::collections::BTreeSet;

use serde_json::json;

use super::nodes;
use crate::harness::{Server, at, free_address, keys::DeviceKeys, unique};

pub(super) async fn metrics(address: &str) -> String {
    let response = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer");
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    response.text().await.expect("text")
}

/// Names and labels without values.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("target_info"));
    lines.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect()
}

/// Names of labels.
pub(super) fn labels(text: &str) -> BTreeSet<String> {
    let inside = text.lines().filter_map(|line| Some(line.split_once('{')?.1.rsplit_once('}')?.0));
    inside
        .flat_map(|labels| labels.split("\","))
        .filter_map(|label| Some(label.split_once('=')?.0.to_owned()))
        .collect()
}

/// Labels of a series and their values.
fn pairs(series: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = series.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
    inside
        .split("\",")
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(name, value)| (name, value.trim_end_matches('"')))
}

/// Nodes of which the first tells its metrics at this address.
pub(super) async fn serving() -> Option<(Vec<Server>, String)> {
    let address = free_address();
    let listen = address.clone();
    let settings = move |node| if node == 0 { vec![("OLMSTEAD_ADMIN__LISTEN", listen.clone())] } else { Vec::new() };
    Some((nodes(settings).await?, address))
}

/// What clients do, with ids of their own in paths and bodies.
pub(super) async fn work(server: &Server) -> Vec<String> {
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut keys = DeviceKeys::new(&bob);
    bob.post("/keys/upload", json!({"device_keys": keys.signed(), "one_time_keys": keys.one_time_keys(1)})).await.ok();
    let wish = json!({"one_time_keys": {bob.user_id(): {bob.device_id(): "signed_curve25519"}}});
    for _ in 0..2 {
        alice.post("/keys/claim", wish.clone()).await.ok();
    }
    let event = alice.send_text(&room, "hello").await;
    alice.send_to_device("org.example", json!({bob.user_id(): {"*": {"a": 1}}})).await;
    bob.sync(None).await;
    alice.get(at!("/rooms/{}/event/{}", room, event)).await.ok();
    alice.get(format!("/no/such/path/{}", unique())).await.error(404, "M_UNRECOGNIZED");
    alice.call(http::Method::from_bytes(unique().to_uppercase().replace('-', "").as_bytes()).unwrap(), "/sync").await;
    vec![alice.user_id().to_owned(), bob.user_id().to_owned(), bob.device_id().to_owned(), room, event]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_are_few_and_name_nobody() {
    let Some((nodes, address)) = serving().await else { return };
    let server = &nodes[0];
    let mut ids = work(server).await;
    let first = metrics(&address).await;
    ids.extend(work(server).await);
    let text = metrics(&address).await;
    for id in &ids {
        assert!(!text.contains(id.as_str()), "{id} is in\n{text}");
    }
    let (before, after) = (series(&first), series(&text));
    for one in after.iter().filter(|series| is_background(series)) {
        for (name, value) in pairs(one).filter(|(name, _)| *name != "le") {
            let is_word = value.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_');
            assert!(is_word, "{name} has a value that is no fixed word: {one}");
        }
    }
    let more: Vec<_> = after.difference(&before).filter(|series| !is_background(series)).collect();
    assert!(more.is_empty(), "the same work with other ids made more series: {more:#?}");
    for (name, count) in [
        ("olmstead_one_time_keys_claims_total{outcome=\"one_time\"}", 2),
        ("olmstead_one_time_keys_claims_total{outcome=\"none\"}", 2),
        ("olmstead_one_time_keys_uploaded_total", 2),
        ("olmstead_to_device_sent_total", 2),
    ] {
        assert!(text.lines().any(|line| line == format!("{name} {count}")), "{name} is not {count} in\n{text}");
    }
    // Not where clients are.
    server.anonymous().get("/metrics").await.error(404, "M_UNRECOGNIZED");
}

/// What the server does by itself, now and then.
fn is_background(series: &str) -> bool {
    series.starts_with("olmstead_storage_command_duration")
}
