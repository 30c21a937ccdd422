//! One-time keys: uploads, counts and claims.

use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{
    Client, Raw, Server, deadline,
    keys::{ALGORITHM, DeviceKeys, claim, count, device_keys},
};

fn names(keys: &Value) -> BTreeSet<String> {
    keys.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// The name of the one key that was claimed, `None` if there was none.
fn name(claimed: &Value) -> Option<String> {
    let names = names(claimed);
    assert!(names.len() <= 1, "one key at most: {claimed}");
    names.into_iter().next()
}

async fn upload(by: &Client, one_time_keys: &Value) -> Value {
    by.post("/keys/upload", json!({"one_time_keys": one_time_keys})).await.ok()["one_time_key_counts"].clone()
}

/// OTK-1, OTK-2, OTK-3: parallel claims get different keys, all are gone afterwards, and a late retry of the upload brings
/// none of them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_given_out_at_most_once() {
    const KEYS: usize = 60;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let uploaded = keys.one_time_keys(KEYS);
    upload(&alice, &uploaded).await;
    let claims = (0..KEYS + 20).map(|_| {
        let (alice, bob) = (alice.clone(), bob.clone());
        tokio::spawn(async move { claim(&bob, &alice).await })
    });
    let mut seen = HashSet::new();
    for claim in claims.collect::<Vec<_>>() {
        if let Some(name) = name(&claim.await.unwrap()) {
            assert!(seen.insert(name.clone()), "{name} was given out twice");
        }
    }
    assert_eq!(seen.len(), KEYS);
    assert_eq!(count(&alice).await, 0);
    for _ in 0..2 {
        assert_eq!(upload(&alice, &uploaded).await[ALGORITHM], 0);
        assert_eq!(claim(&bob, &alice).await, Value::Null);
    }
}

/// OTK-3: while claims go on, the same upload is sent again and again, and brings nothing back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retried_uploads_among_claims_bring_nothing_back() {
    const KEYS: usize = 40;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let uploaded = DeviceKeys::new(&alice).one_time_keys(KEYS);
    upload(&alice, &uploaded).await;
    let uploads = join_all((0..10).map(|_| upload(&alice, &uploaded)));
    let claims = join_all((0..KEYS).map(|_| claim(&bob, &alice)));
    let (_, claimed) = tokio::join!(uploads, claims);
    let claimed: Vec<_> = claimed.iter().filter_map(name).collect();
    assert_eq!(claimed.len(), KEYS);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), names(&uploaded));
    assert_eq!(upload(&alice, &uploaded).await[ALGORITHM], 0);
    assert_eq!(claim(&bob, &alice).await, Value::Null);
}

/// OTK-4: names are an algorithm and an id, values a string or a signed key.
#[tokio::test]
async fn one_time_keys_have_their_form() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let key = json!({"key": "x", "signatures": {}});
    for (name, value) in [
        ("noname", key.clone()),
        (":id", key.clone()),
        ("signed_curve25519:", key.clone()),
        ("", key.clone()),
        ("signed_curve25519:AA", json!(1)),
        ("signed_curve25519:AA", json!(null)),
        ("signed_curve25519:AA", json!([])),
        ("signed_curve25519:AA", json!({"key": "x"})),
        ("signed_curve25519:AA", json!({"signatures": {}})),
        ("signed_curve25519:AA", json!({"key": 1, "signatures": {}})),
        ("signed_curve25519:AA", json!({"key": "x", "signatures": []})),
    ] {
        for part in ["one_time_keys", "fallback_keys"] {
            let body = json!({part: {name: value}});
            alice.post("/keys/upload", body).await.error(400, "M_BAD_JSON");
        }
    }
    for wrong in [json!([]), json!("x"), json!([key])] {
        alice.post("/keys/upload", json!({"one_time_keys": wrong})).await.error(400, "M_BAD_JSON");
    }
    assert_eq!(count(&alice).await, 0);
    assert_eq!(
        upload(&alice, &json!({"curve25519:AA": "a string", "signed_curve25519:AA:1": key})).await["curve25519"],
        1
    );
    assert_eq!(claim(&bob, &alice).await, json!({"signed_curve25519:AA:1": key}));
}

/// OTK-5, OTK-6: the same key again is no news, however it is signed; another key under its id is refused by name.
#[tokio::test]
async fn a_key_id_stands_for_one_key() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let first = keys.one_time_keys(1);
    let name = name(&first).unwrap();
    let mut signed_anew = first.clone();
    signed_anew[&name]["signatures"] = json!({alice.user_id(): {"ed25519:OTHER": "another"}});
    for again in [&first, &first, &signed_anew] {
        assert_eq!(upload(&alice, again).await[ALGORITHM], 1);
    }
    let mut other = first.clone();
    other[&name]["key"] = json!("another");
    let mut more = first.clone();
    more[&name]["org.example"] = json!(1);
    for refused in [other, more, json!({&name: "text"})] {
        let answer = alice.post("/keys/upload", json!({"one_time_keys": refused})).await;
        assert_eq!(answer.status, 400, "{answer}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(&format!("One time key {name} already exists")), "{error}");
        assert_eq!(count(&alice).await, 1);
    }
    assert_eq!(claim(&bob, &alice).await, first, "the first one stays");
}

/// OTK-7, OTK-13: uploads and syncs tell the same count of keys that are left, without fallback keys, and a claim is in
/// the next one.
#[tokio::test]
async fn counts_are_of_keys_that_are_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let mut one_time = keys.one_time_keys(3);
    one_time["curve25519:A"] = json!("key");
    let body = json!({"one_time_keys": one_time, "fallback_keys": keys.fallback_keys()});
    let told = alice.post("/keys/upload", body).await.ok()["one_time_key_counts"].clone();
    assert_eq!(told, json!({ALGORITHM: 3, "curve25519": 1}));
    let mut sync = alice.syncing();
    assert_eq!(sync.now().await["device_one_time_keys_count"], told);
    for left in [2, 1, 0] {
        assert!(claim(&bob, &alice).await.is_object());
        assert_eq!(sync.now().await["device_one_time_keys_count"][ALGORITHM], left);
        assert_eq!(alice.sync(None).await["device_one_time_keys_count"][ALGORITHM], left);
        assert_eq!(count(&alice).await, left);
    }
    assert!(claim(&bob, &alice).await.is_object(), "the fallback key");
    let last = sync.now().await["device_one_time_keys_count"].clone();
    assert_eq!(last, json!({ALGORITHM: 0, "curve25519": 1}));
}

/// OTK-13: a sync that waits is answered when a key is claimed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_wakes_the_sync_of_its_device() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 2, false).await;
    let mut sync = alice.syncing();
    sync.now().await;
    let wait = async { sync.step(deadline() * 2).await };
    let began = Instant::now();
    let (told, _) = tokio::join!(wait, claim(&bob, &alice));
    assert_eq!(told["device_one_time_keys_count"][ALGORITHM], 1);
    assert!(began.elapsed() < deadline(), "it was woken");
}

/// OTK-8: keys of an earlier upload go first, whatever their names.
#[tokio::test]
async fn keys_go_in_the_order_of_their_uploads() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let mut uploads = Vec::new();
    for _ in 0..4 {
        let some = keys.one_time_keys(3);
        upload(&alice, &some).await;
        uploads.push(some);
    }
    let plain = json!({"curve25519:A": "key"});
    upload(&alice, &plain).await;
    for some in uploads {
        let mut claimed = BTreeSet::new();
        for _ in 0..3 {
            claimed.extend(name(&claim(&bob, &alice).await));
        }
        assert_eq!(claimed, names(&some));
    }
}

/// OTK-9: a claim names an algorithm, and gets one key of it under its full name, to the byte as it was uploaded.
#[tokio::test]
async fn a_claimed_key_is_the_text_that_was_uploaded() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let text = r#"{ "signatures" : { "@u:x" : {"ed25519:D":"s\/s"} },"zz" : [1e2,  -0 ], "key":"k\u00e9\u0041" }"#;
    let upload = |name: &str, key: &str| {
        let body = format!(r#"{{"one_time_keys": {{"{name}": {key}}}}}"#);
        alice.call(Method::POST, "/keys/upload").bytes(body, "application/json")
    };
    upload("signed_curve25519:AAAAHg", text).await.ok();
    upload("curve25519:AAAAHg", r#""pl\u0061in""#).await.ok();
    upload("signed_curve25519_v2:AAAAHg", text).await.ok();
    for (algorithm, key) in
        [("curve25519", r#""pl\u0061in""#), ("signed_curve25519", text), ("signed_curve25519_v2", text)]
    {
        let claim = json!({"one_time_keys": {alice.user_id(): {alice.device_id(): algorithm}}});
        let answer = bob.post("/keys/claim", claim.clone()).await;
        let claimed = answer.ok()["one_time_keys"][alice.user_id()][alice.device_id()].clone();
        assert_eq!(name(&claimed), Some(format!("{algorithm}:AAAAHg")));
        assert!(answer.text().contains(&format!(r#""{algorithm}:AAAAHg":{key}"#)), "{answer}");
        let again = bob.post("/keys/claim", claim).await.ok();
        assert_eq!(again["one_time_keys"], json!({}));
    }
}

/// OTK-10, OTK-11: devices without keys, unknown devices, users and algorithms are absent, servers out of reach are
/// failures, and the rest is answered.
#[tokio::test]
async fn what_cannot_be_claimed_is_absent() {
    let server = Server::shared().await;
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    DeviceKeys::new(&alice).upload(&alice, 2, false).await;
    DeviceKeys::new(&carol).upload(&carol, 0, false).await;
    let nobody = format!("@nobody-here:{}", server.name().await);
    let wish = json!({"one_time_keys": {
        alice.user_id(): {alice.device_id(): ALGORITHM, "NOPE": ALGORITHM},
        carol.user_id(): {carol.device_id(): ALGORITHM},
        &nobody: {"A": ALGORITHM},
    }});
    let answer = bob.post("/keys/claim", wish.clone()).await.ok();
    assert_eq!(answer["failures"], json!({}));
    assert_eq!(names(&answer["one_time_keys"]), [alice.user_id().to_owned()].into());
    assert_eq!(names(&answer["one_time_keys"][alice.user_id()]), [alice.device_id().to_owned()].into());

    let mut far = wish;
    far["one_time_keys"]["@x:nowhere.invalid"] = json!({"A": ALGORITHM});
    let answer = bob.post("/keys/claim", far).await.ok();
    assert_eq!(names(&answer["failures"]), ["nowhere.invalid".to_owned()].into());
    assert!(answer["failures"]["nowhere.invalid"].is_object());
    assert!(answer["one_time_keys"][alice.user_id()][alice.device_id()].is_object(), "{answer}");
    let odd = json!({"one_time_keys": {alice.user_id(): {"A\0B": ALGORITHM, alice.device_id(): "no\0thing", "": ""}}});
    assert_eq!(bob.post("/keys/claim", odd).await.ok()["one_time_keys"], json!({}));
    let of_no_device = json!({"one_time_keys": {alice.user_id(): {}}});
    assert_eq!(bob.post("/keys/claim", of_no_device).await.ok()["one_time_keys"], json!({}));
}

/// OTK-12: what to claim must be said; how long to wait for other servers may be.
#[tokio::test]
async fn a_claim_says_what_it_wants() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 10, false).await;
    bob.post("/keys/claim", json!({})).await.error(400, "M_MISSING_PARAM");
    bob.post("/keys/claim", json!({"timeout": 10_000})).await.error(400, "M_MISSING_PARAM");
    let user = alice.user_id();
    for wrong in [
        json!([]),
        json!({user: 1}),
        json!({user: []}),
        json!({user: {alice.device_id(): 1}}),
        json!({user: {alice.device_id(): [ALGORITHM]}}),
        json!({"nobody": {}}),
    ] {
        bob.post("/keys/claim", json!({"one_time_keys": wrong})).await.error(400, "M_BAD_JSON");
    }
    let wish = json!({user: {alice.device_id(): ALGORITHM}, "@x:nowhere.invalid": {"A": ALGORITHM}});
    for wrong in [json!("soon"), json!(-1), json!([]), json!(0.5)] {
        bob.post("/keys/claim", json!({"one_time_keys": wish, "timeout": wrong})).await.error(400, "M_BAD_JSON");
    }
    assert_eq!(count(&alice).await, 10, "what is refused takes no key");
    for timeout in [json!(0), json!(1), json!(10_000), json!(null)] {
        let began = Instant::now();
        let answer = bob.post("/keys/claim", json!({"one_time_keys": wish, "timeout": timeout})).await.ok();
        assert!(answer["one_time_keys"][user].is_object() && answer["failures"]["nowhere.invalid"].is_object());
        assert!(began.elapsed() < Duration::from_secs(15));
    }
}

/// OTK-14: however a device ends, a later one of the same id has none of its keys.
#[tokio::test]
async fn a_new_device_of_an_old_id_has_no_keys() {
    let bob = Server::shared().await.user("bob").await;
    for way in ["logout", "logout all", "delete", "delete many", "new password"] {
        let mut alice = bob.server().user("alice").await;
        let phone = alice.login("PHONE").await;
        let mut keys = DeviceKeys::new(&phone);
        let body = json!({"device_keys": keys.signed(), "one_time_keys": keys.one_time_keys(3),
            "fallback_keys": keys.fallback_keys()});
        phone.post("/keys/upload", body.clone()).await.ok();
        match way {
            "logout" => phone.logout().await,
            "logout all" => {
                alice.post("/logout/all", json!({})).await.ok();
            }
            "delete" => {
                alice.delete("/devices/PHONE").with_password().await.ok();
            }
            "delete many" => {
                alice.post("/delete_devices", json!({"devices": ["PHONE"]})).with_password().await.ok();
            }
            _ => {
                alice
                    .post("/account/password", json!({"new_password": "another-good-one-9"}))
                    .with_password()
                    .await
                    .ok();
                alice = alice.with_new_password("another-good-one-9");
            }
        }
        assert_eq!(claim(&bob, &phone).await, Value::Null, "{way}");
        assert_eq!(device_keys(&bob, &phone).await, Value::Null, "{way}");
        let phone = alice.login("PHONE").await;
        assert_eq!(count(&phone).await, 0, "{way}");
        assert_eq!(claim(&bob, &phone).await, Value::Null, "{way}");
        assert_eq!(device_keys(&bob, &phone).await, Value::Null, "{way}");
        assert_eq!(phone.sync(None).await["device_unused_fallback_key_types"], json!([]), "{way}");
        // What the old one spent is no matter for the new one.
        let counts = phone.post("/keys/upload", body).await.ok();
        assert_eq!(counts["one_time_key_counts"][ALGORITHM], 3, "{way}");
    }
}

/// OTK-15, OTK-1: keys whose claims were answered to nobody stay spent, also when the server is killed afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_lost_answers_stay_spent() {
    const LOST: usize = 8;
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let uploaded = DeviceKeys::new(&alice).one_time_keys(20);
    upload(&alice, &uploaded).await;
    let wish = json!({"one_time_keys": {alice.user_id(): {alice.device_id(): ALGORITHM}}}).to_string();
    let mut unread = Vec::new();
    for _ in 0..LOST {
        let mut raw = Raw::open(&server).await;
        raw.head(&Method::POST, "/keys/claim", &bob, &format!("Content-Length: {}", wish.len())).await;
        assert!(raw.send(wish.as_bytes()).await);
        unread.push(raw);
    }
    let mut sync = alice.syncing();
    let spent = |sync: &Value| (sync["device_one_time_keys_count"][ALGORITHM] == 20 - LOST).then_some(());
    sync.until("all claims are done", spent).await;
    drop(unread);
    server.kill().await;
    server.restart().await;

    assert_eq!(upload(&alice, &uploaded).await[ALGORITHM], 20 - LOST);
    let mut claimed = BTreeSet::new();
    for _ in LOST..20 {
        let name = name(&claim(&bob, &alice).await).expect("a key is left");
        assert!(claimed.insert(name.clone()), "{name} was given out twice");
    }
    assert_eq!(claim(&bob, &alice).await, Value::Null);
}
