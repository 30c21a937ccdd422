//! When an upload of cross-signing keys asks for the password, and what a finished authentication is good for.

use serde_json::{Value, json};
use vodozemac::Ed25519SecretKey;

use super::{identity, master_of, public, query, upload, with};
use crate::harness::{Client, Response, Server, keys::CrossSigning};

/// The same master key with two other keys below it.
fn renewed(old: &CrossSigning, user: &Client) -> CrossSigning {
    let mut new = CrossSigning::new(user.user_id());
    new.master = Ed25519SecretKey::from_slice(&old.master.to_bytes());
    new
}

/// The session of a 401 that offers flows.
#[track_caller]
fn asked(response: &Response) -> Value {
    assert_eq!(response.status, 401, "{response}");
    let body = response.json();
    assert!(body["session"].is_string(), "{response}");
    assert_eq!(body["flows"], json!([{"stages": ["m.login.password"]}]), "{response}");
    body["session"].clone()
}

fn confirmed(body: &Value, user: &Client, session: &Value) -> Value {
    let auth = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user.user_id()},
        "password": user.password(),
        "session": session,
    });
    with(body.clone(), "auth", auth)
}

/// XS-6: while there is no master key, nobody is asked for a password.
#[tokio::test]
async fn first_keys_are_free() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = CrossSigning::new(alice.user_id());
    upload(&alice, keys.upload()).await.ok();
    assert_eq!(master_of(&alice).await, keys.master_key()["keys"]);
    let keys = CrossSigning::new(bob.user_id());
    upload(&bob, json!({"master_key": keys.master_key()})).await.ok();
    assert_eq!(master_of(&bob).await, keys.master_key()["keys"]);
}

/// XS-7: the same keys again, all or some of them, are no news.
#[tokio::test]
async fn the_same_keys_again_are_free() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let keys = identity(&alice).await;
    let before = query(&alice, &alice).await;
    let whole = keys.upload();
    let some = json!({"master_key": whole["master_key"], "self_signing_key": whole["self_signing_key"]});
    for body in [whole.clone(), some, json!({"master_key": whole["master_key"]})] {
        assert_eq!(upload(&alice, body).await.ok(), json!({}));
    }
    assert_eq!(query(&alice, &alice).await, before);
}

/// XS-8: whatever is new beside a stored master key needs the password, and without it changes nothing.
#[tokio::test]
async fn new_keys_need_the_password() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let first = identity(&alice).await;
    let (next, other) = (renewed(&first, &alice), CrossSigning::new(alice.user_id()));
    let before = query(&alice, &alice).await;
    let bodies = [
        json!({"self_signing_key": next.self_signing_key()}),
        json!({"user_signing_key": next.user_signing_key()}),
        json!({"master_key": first.master_key(), "self_signing_key": next.self_signing_key()}),
        json!({"master_key": first.master_key(), "self_signing_key": first.self_signing_key(),
            "user_signing_key": next.user_signing_key()}),
        json!({"master_key": with(first.master_key(), "org.example.added", json!(1))}),
        json!({"master_key": other.master_key()}),
        other.upload(),
    ];
    for body in &bodies {
        asked(&upload(&alice, body.clone()).await);
        assert_eq!(query(&alice, &alice).await, before, "{body}");
    }
    // A wrong password is told as such, and the question stays.
    let session = asked(&upload(&alice, other.upload()).await);
    let mut wrong = confirmed(&other.upload(), &alice, &session);
    wrong["auth"]["password"] = json!("not the password");
    let refused = upload(&alice, wrong).await;
    assert_eq!((asked(&refused), refused.errcode().as_str()), (session.clone(), "M_FORBIDDEN"));
    assert_eq!(query(&alice, &alice).await, before);
    upload(&alice, confirmed(&other.upload(), &alice, &session)).await.ok();
    assert_eq!(master_of(&alice).await, other.master_key()["keys"]);
}

/// XS-8: also a key that fills a free place, below a master key that came alone.
#[tokio::test]
async fn a_key_for_a_free_place_needs_the_password() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let keys = CrossSigning::new(alice.user_id());
    upload(&alice, json!({"master_key": keys.master_key()})).await.ok();
    asked(&upload(&alice, json!({"self_signing_key": keys.self_signing_key()})).await);
    asked(&upload(&alice, keys.upload()).await);
    assert_eq!(query(&alice, &alice).await["self_signing_keys"][alice.user_id()], Value::Null);
    upload(&alice, keys.upload()).with_password().await.ok();
    assert_eq!(query(&alice, &alice).await["self_signing_keys"][alice.user_id()], keys.self_signing_key());
}

/// XS-6, XS-8: of two first uploads at once one is the first, and the other is asked for the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_upload_is_the_first() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let uploads = (0..8).map(|_| {
        let (alice, keys) = (alice.clone(), CrossSigning::new(alice.user_id()));
        tokio::spawn(async move { (upload(&alice, keys.upload()).await, public(&keys.master)) })
    });
    let mut stored = Vec::new();
    for upload in uploads.collect::<Vec<_>>() {
        let (response, master) = upload.await.unwrap();
        if response.status == 200 {
            stored.push(master);
        } else {
            asked(&response);
        }
    }
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(master_of(&alice).await, json!({format!("ed25519:{}", stored[0]): stored[0]}));
}

/// XS-13, UIA-7: an authentication is for the body it was asked for and for no other, before it is finished and after.
#[tokio::test]
async fn an_authentication_stores_one_body_only() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let first = identity(&alice).await;
    let (wanted, other) = (CrossSigning::new(alice.user_id()), CrossSigning::new(alice.user_id()));
    let session = asked(&upload(&alice, wanted.upload()).await);
    upload(&alice, confirmed(&other.upload(), &alice, &session)).await.error(403, "M_FORBIDDEN");
    let mixed = with(wanted.upload(), "self_signing_key", other.self_signing_key());
    assert_ne!(upload(&alice, confirmed(&mixed, &alice, &session)).await.status, 200);
    assert_eq!(master_of(&alice).await, first.master_key()["keys"]);

    upload(&alice, confirmed(&wanted.upload(), &alice, &session)).await.ok();
    assert_eq!(master_of(&alice).await, wanted.master_key()["keys"]);
    for body in [other.upload(), json!({"user_signing_key": renewed(&wanted, &alice).user_signing_key()})] {
        // Also without the password, as a stage that is done needs none again.
        let session_only = with(body.clone(), "auth", json!({"session": session}));
        for attempt in [confirmed(&body, &alice, &session), session_only] {
            assert!(matches!(upload(&alice, attempt).await.status, 401 | 403));
        }
    }
    assert_eq!(query(&alice, &alice).await["user_signing_keys"][alice.user_id()], wanted.user_signing_key());
    assert_eq!(master_of(&alice).await, wanted.master_key()["keys"]);
}

/// XS-13: keys that are refused ask nobody for a password, and so leave no authentication behind.
#[tokio::test]
async fn refused_keys_ask_for_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    identity(&alice).await;
    let (new, other) = (CrossSigning::new(alice.user_id()), CrossSigning::new(alice.user_id()));
    let bodies = [
        (with(new.upload(), "self_signing_key", other.self_signing_key()), 400, "M_INVALID_SIGNATURE"),
        (with(new.upload(), "master_key", CrossSigning::new(bob.user_id()).master_key()), 400, "M_INVALID_PARAM"),
        (with(new.upload(), "user_signing_key", json!([])), 400, "M_BAD_JSON"),
    ];
    for (body, status, errcode) in bodies {
        let error = upload(&alice, body).await.error(status, errcode);
        assert_eq!((&error["session"], &error["flows"]), (&Value::Null, &Value::Null));
    }
    alice.login(&public(&new.user_signing)).await;
    let error = upload(&alice, new.upload()).await.error(403, "M_FORBIDDEN");
    assert_eq!(error["session"], Value::Null);
}

/// XS-13: keys that were good when the password was asked for and are not any more are refused, and what was begun for
/// them stores nothing else.
#[tokio::test]
async fn an_authentication_for_keys_gone_bad_is_worth_nothing() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let first = identity(&alice).await;
    let below = json!({"self_signing_key": renewed(&first, &alice).self_signing_key()});
    let session = asked(&upload(&alice, below.clone()).await);
    let second = CrossSigning::new(alice.user_id());
    upload(&alice, second.upload()).with_password().await.ok();
    let before = query(&alice, &alice).await;
    upload(&alice, confirmed(&below, &alice, &session)).await.error(400, "M_INVALID_SIGNATURE");
    let third = CrossSigning::new(alice.user_id());
    let attempt = upload(&alice, confirmed(&third.upload(), &alice, &session)).await;
    assert!(matches!(attempt.status, 401 | 403), "{attempt}");
    assert_eq!(query(&alice, &alice).await, before);
}

/// XS-13: the session of one user is nothing to another, nor that of another endpoint to this one.
#[tokio::test]
async fn sessions_of_others_are_worth_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (alices, bobs) = (identity(&alice).await, identity(&bob).await);
    let session = asked(&upload(&bob, CrossSigning::new(bob.user_id()).upload()).await);
    let new = CrossSigning::new(alice.user_id());
    assert!(matches!(upload(&alice, confirmed(&new.upload(), &alice, &session)).await.status, 401 | 403));
    let phone = alice.another_device().await;
    let deletion = alice.delete(format!("/devices/{}", phone.device_id())).await;
    let session = asked(&deletion);
    assert!(matches!(upload(&alice, confirmed(&new.upload(), &alice, &session)).await.status, 401 | 403));
    assert_eq!(master_of(&alice).await, alices.master_key()["keys"]);
    assert_eq!(master_of(&bob).await, bobs.master_key()["keys"]);
}
