//! Every endpoint against every kind of caller.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use http::Method;
use serde_json::json;

use super::routes::{self, Needs, Route};
use crate::harness::{Client, Clock, Response, Server};

/// Asks something of all routes, a few at a time.
async fn each<F: Future<Output = ()>>(routes: &[Route], ask: impl Fn(Route) -> F) {
    stream::iter(routes.iter().cloned()).map(ask).buffer_unordered(8).collect::<Vec<()>>().await;
}

/// Routes that ask who is there.
fn with_callers() -> Vec<Route> {
    routes::all().into_iter().filter(|route| route.needs != Needs::Nothing).collect()
}

/// Those that a token may be used on without ending it.
fn harmless() -> Vec<Route> {
    with_callers().into_iter().filter(|route| !route.template.contains("/logout")).collect()
}

#[track_caller]
fn is(route: &Route, answer: &Response, status: u16, errcode: &str) {
    assert!(
        answer.status == status && answer.errcode() == errcode,
        "{}\n{answer}\nnot {status} {errcode}",
        route.name()
    );
}

/// The table knows every path and every method of the router, and nothing that is not there.
#[tokio::test]
async fn the_table_of_endpoints_is_complete() {
    let server = Server::shared().await;
    let anonymous = server.anonymous();
    let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in routes::all() {
        table.entry(route.template.clone()).or_default().insert(route.method.to_string());
    }
    let router: BTreeSet<String> = routes::of_the_router().into_iter().collect();
    let known: BTreeSet<String> = table.keys().cloned().collect();
    let (missing, gone): (Vec<_>, Vec<_>) = (router.difference(&known).collect(), known.difference(&router).collect());
    assert!(missing.is_empty(), "endpoints that rules/access/routes.rs does not know: {missing:#?}");
    assert!(gone.is_empty(), "endpoints of rules/access/routes.rs that the router does not have: {gone:#?}");
    each(&routes::all(), |route| {
        let (anonymous, methods) = (anonymous.clone(), table[&route.template].clone());
        async move {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
                let other = Route { method: method.clone(), ..route.clone() };
                let answer = other.call(&anonymous, "@nobody:localhost").await;
                assert_eq!(answer.status != 405, methods.contains(method.as_str()), "{}\n{answer}", other.name());
            }
        }
    })
    .await;
}

/// GEN-4: without a good token, nothing that needs one is looked at, and it is said why.
#[tokio::test]
async fn no_endpoint_takes_a_bad_token() {
    let clock = Arc::new(Clock::default());
    let environment = clock.clone();
    let setting = |builder: olmstead::ServerBuilder| {
        builder.without_limits().access_token_lifetime(Duration::from_secs(60)).environment(environment)
    };
    let Some(server) = Server::with_settings(setting).await else { return };
    let alice = server.user("alice").await;
    let logged_out = alice.another_device().await;
    logged_out.logout().await;
    let (expired, _) = alice.login_with(json!({"refresh_token": true})).await;
    clock.forward(Duration::from_secs(61));
    let deactivated = server.user("gone").await;
    deactivated.post("/account/deactivate", json!({})).with_password().await.ok();
    each(&with_callers(), |route| {
        let callers = [
            (alice.with_token("olt_no-such-token"), false),
            (logged_out.clone(), false),
            (deactivated.clone(), false),
            (expired.clone(), true),
        ];
        let nobody = server.anonymous();
        async move {
            for (caller, soft_logout) in callers {
                let answer = route.call(&caller, caller.user_id()).await;
                is(&route, &answer, 401, "M_UNKNOWN_TOKEN");
                assert_eq!(answer.json()["soft_logout"], soft_logout, "{}", route.name());
            }
            if route.needs == Needs::GoodTokenIfAny {
                return;
            }
            // Not even for who says nonsense is anything else said.
            for call in [route.call(&nobody, "@a:localhost"), route.call(&nobody, "nobody").json(routes::nonsense())] {
                is(&route, &call.await, 401, "M_MISSING_TOKEN");
            }
        }
    })
    .await;
    alice.get("/account/whoami").await.ok();
}

/// GEN-15: a locked account is told so by every endpoint but those that log out.
#[tokio::test]
async fn no_endpoint_serves_a_locked_account() {
    let server = Server::shared().await;
    let (admin, alice) = (server.admin().await, server.user("alice").await);
    admin.lock(&alice, true).await;
    each(&harmless(), |route| {
        let alice = alice.clone();
        async move {
            let answer = route.call(&alice, alice.user_id()).await;
            is(&route, &answer, 401, "M_USER_LOCKED");
            assert_eq!(answer.json()["soft_logout"], true, "{}", route.name());
        }
    })
    .await;
    let locked: Vec<_> = with_callers().into_iter().filter(|route| route.locked).map(|route| route.template).collect();
    assert!(locked.iter().all(|path| path.contains("/logout")) && locked.len() == 4, "{locked:?}");
}

/// GEN-16, GEN-17, GEN-18: each endpoint takes suspended accounts and guests, or says that it does not.
#[tokio::test]
async fn every_endpoint_knows_suspended_accounts_and_guests() {
    let server = Server::shared().await;
    let (admin, suspended, guest) = (server.admin().await, server.user("alice").await, server.guest().await);
    admin.suspend(&suspended, true).await;
    each(&harmless(), |route| {
        let (suspended, guest) = (suspended.clone(), guest.clone());
        async move {
            let answer = route.call(&guest, guest.user_id()).await;
            let refused = answer.errcode() == "M_GUEST_ACCESS_FORBIDDEN";
            assert_eq!(refused, !route.guests, "{}\n{answer}", route.name());
            assert!(!refused || answer.status == 403, "{answer}");
            let answer = route.call(&suspended, suspended.user_id()).await;
            let refused = answer.errcode() == "M_USER_SUSPENDED";
            assert!(route.suspended.is_none_or(|may| refused != may), "{}\n{answer}", route.name());
            assert!(!refused || answer.status == 403, "{answer}");
        }
    })
    .await;
}

/// AD-1: what is of another user is forbidden, and so is what is an administrator's to do.
#[tokio::test]
async fn no_endpoint_acts_for_another_user() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let before = alice.sync(None).await;
    let routes: Vec<Route> = harmless().into_iter().filter(|route| route.own || route.administrators).collect();
    assert!(routes.len() > 30);
    each(&routes, |mut route| {
        // Both are in this room.
        route.template = route.template.replace("{room_id}", &crate::harness::segment(&room));
        let (alice, bob) = (alice.clone(), bob.clone());
        async move {
            is(&route, &route.call(&bob, alice.user_id()).await, 403, "M_FORBIDDEN");
            let answer = route.call(&alice, alice.user_id()).await;
            assert_eq!(answer.status == 403, route.administrators, "{}\n{answer}", route.name());
        }
    })
    .await;
    // Nor did a request of the other's do anything before it was refused.
    assert_eq!(own_keys(&before), own_keys(&bob.sync(None).await), "account data of the other");
}

/// The types of global account data in a sync.
fn own_keys(sync: &serde_json::Value) -> Vec<String> {
    let events = sync["account_data"]["events"].as_array().cloned().unwrap_or_default();
    events.iter().map(|event| event["type"].to_string()).collect()
}

/// Every endpoint answers regular accounts: not with a 401 that is about the token, nor with a failure of the server.
#[tokio::test]
async fn every_endpoint_serves_regular_accounts() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    each(&harmless(), |route| {
        let alice: Client = alice.clone();
        async move {
            let answer = route.call(&alice, alice.user_id()).await;
            let asks = answer.status == 401 && answer.json()["flows"].is_array();
            assert!(asks || ![401, 405].contains(&answer.status), "{}\n{answer}", route.name());
            assert!(answer.status < 500, "{}\n{answer}", route.name());
        }
    })
    .await;
}
