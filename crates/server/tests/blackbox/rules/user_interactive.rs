//! User-interactive authentication: who does what a stolen token must not do proves again who they are.

use http::Method;
use serde_json::{Map, Value, json};

use crate::harness::{Call, Client, Response, Server, at, keys::CrossSigning, unique};

const GET_TOKEN: &str = "/_matrix/client/v1/login/get_token";
const TOKEN: &str = "m.login.registration_token";
const DUMMY: &str = "m.login.dummy";

/// A request that asks for authentication.
struct Guarded {
    what: &'static str,
    method: Method,
    path: String,
    body: Value,
}

impl Guarded {
    fn call(&self, by: &Client, auth: Value) -> Call {
        let mut body = self.body.clone();
        if auth != Value::Null {
            body["auth"] = auth;
        }
        by.call(self.method.clone(), &self.path).json(body)
    }
}

/// Every request of a user that asks; those that end the caller come last.
async fn guarded(by: &Client) -> Vec<Guarded> {
    by.login("PHONE").await;
    by.post("/keys/device_signing/upload", CrossSigning::new(by.user_id()).upload()).await.ok();
    let post = |what, path: &str, body| Guarded { what, method: Method::POST, path: path.to_owned(), body };
    let path = at!("/devices/{}", "PHONE");
    vec![
        Guarded { what: "a device", method: Method::DELETE, path, body: json!({}) },
        post("devices", "/delete_devices", json!({"devices": ["PHONE"]})),
        post("cross-signing keys", "/keys/device_signing/upload", CrossSigning::new(by.user_id()).upload()),
        post("a login token", GET_TOKEN, json!({})),
        post("a password", "/account/password", json!({"new_password": "other", "logout_devices": false})),
        post("the account", "/account/deactivate", json!({"erase": false})),
    ]
}

fn password(of: &Client, session: &Value) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": of.user_id()},
        "password": of.password(),
        "session": session,
    })
}

/// The body of a 401 that asks for authentication.
#[track_caller]
fn challenge(reply: &Response) -> Map<String, Value> {
    assert_eq!(reply.status, 401, "{reply}");
    assert_eq!(reply.header("content-type"), "application/json");
    let body = reply.json().as_object().expect("an object").clone();
    let flows = body["flows"].as_array().expect("flows");
    assert!(!flows.is_empty() && flows.iter().all(|flow| flow["stages"].is_array()), "{reply}");
    assert!(body["params"].is_object(), "{reply}");
    assert!(body["session"].as_str().is_some_and(|session| session.len() >= 20), "{reply}");
    body
}

/// UIA-1, UIA-5: whoever brings no proof is asked for one, by every request that asks at all, and nothing is done.
#[tokio::test]
async fn without_proof_there_is_a_challenge() {
    let alice = Server::shared().await.user("alice").await;
    for request in guarded(&alice).await {
        let first = challenge(&request.call(&alice, Value::Null).await);
        assert!(!first.contains_key("errcode") && !first.contains_key("completed"), "{}: {first:?}", request.what);
        assert_eq!(first["flows"], json!([{"stages": ["m.login.password"]}]));
        for auth in [json!({}), json!({"session": first["session"]}), json!({"session": "never-was"})] {
            challenge(&request.call(&alice, auth).await);
        }
        let other = challenge(&request.call(&alice, Value::Null).await);
        assert_ne!(first["session"], other["session"]);
    }
    alice.get("/devices/PHONE").await.ok();
    alice.login("AGAIN").await;
}

/// UIA-5, UIA-1: nor is anybody registered without a challenge, though it asks for nothing.
#[tokio::test]
async fn a_registration_begins_with_a_challenge() {
    let server = Server::shared().await;
    let nobody = server.anonymous();
    let name = format!("u{}", unique());
    let body = json!({"username": name, "password": "x"});
    for auth in [Value::Null, json!({})] {
        let mut body = body.clone();
        body["auth"] = auth;
        let asked = challenge(&nobody.post("/register", body).await);
        assert_eq!(asked["flows"], json!([{"stages": [DUMMY]}]));
    }
    let asked = challenge(&nobody.post("/register", json!({})).await);
    nobody.get("/register/available").query("username", &name).await.ok();
    // A session that began with an empty body is good for the registration that follows.
    let mut body = body.clone();
    body["auth"] = json!({"type": DUMMY, "session": asked["session"]});
    nobody.post("/register", body).await.ok();
}

/// UIA-2: a wrong proof may be followed by a right one in the same session.
#[tokio::test]
async fn a_failed_stage_may_be_tried_again() {
    let alice = Server::shared().await.user("alice").await;
    for request in guarded(&alice).await {
        let session = challenge(&request.call(&alice, Value::Null).await)["session"].clone();
        for _ in 0..2 {
            let mut auth = password(&alice, &session);
            auth["password"] = json!("not the password");
            let reply = request.call(&alice, auth).await;
            let failed = challenge(&reply);
            assert_eq!((&failed["errcode"], &failed["session"]), (&json!("M_FORBIDDEN"), &session), "{reply}");
            assert!(failed["error"].is_string() && !failed.contains_key("completed"), "{reply}");
        }
        let done = request.call(&alice, password(&alice, &session)).await;
        assert_eq!(done.status, 200, "{}: {done}", request.what);
        if request.what == "a password" {
            break;
        }
    }
}

/// UIA-2: another user's password proves nothing, nor one's own under another's name.
#[tokio::test]
async fn the_proof_is_of_the_caller() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.login("PHONE").await;
    let delete = |auth: Value| alice.call(Method::DELETE, "/devices/PHONE").json(json!({ "auth": auth }));
    let session = challenge(&alice.delete("/devices/PHONE").await)["session"].clone();
    let mut mixed = password(&alice, &session);
    mixed["identifier"]["user"] = json!(bob.user_id());
    for wrong in [password(&bob, &session), mixed] {
        assert_eq!(challenge(&delete(wrong).await)["errcode"], "M_FORBIDDEN");
    }
    let mut third = password(&alice, &session);
    third["identifier"] = json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org"});
    delete(third).await.error(403, "M_FORBIDDEN");
    alice.get("/devices/PHONE").await.ok();
    // The localpart alone is a name as well, and older clients send it as `user`.
    let localpart = alice.user_id()[1..].split(':').next().unwrap();
    let auth = json!({"type": "m.login.password", "user": localpart, "password": alice.password(), "session": session});
    delete(auth).await.ok();
}

/// A server where one registers with a token, and a registration there.
async fn by_token() -> Option<(Server, String)> {
    let server = Server::with_settings(|builder| builder.without_limits().registration_token("let-me-in")).await?;
    Some((server, format!("u{}", unique())))
}

/// UIA-2, UIA-3, UIA-4: stages are done in their order, each once, and what was done is told.
#[tokio::test]
async fn stages_are_done_in_order_and_once() {
    let Some((server, name)) = by_token().await else { return };
    let register = |auth: Value| {
        let body = json!({"username": name, "password": "secret-7", "auth": auth});
        server.anonymous().post("/register", body)
    };
    let asked = challenge(&register(Value::Null).await);
    assert_eq!(asked["flows"], json!([{"stages": [TOKEN, DUMMY]}]));
    let session = &asked["session"];

    // The second stage first; a stage of no flow; a wrong token.
    let reply = challenge(&register(json!({"type": DUMMY, "session": session})).await);
    assert!(!reply.contains_key("completed") && reply["errcode"].is_string(), "{reply:?}");
    let reply = challenge(&register(json!({"type": "m.login.password", "password": "x", "session": session})).await);
    assert!(!reply.contains_key("completed") && reply["errcode"].is_string(), "{reply:?}");
    let reply = challenge(&register(json!({"type": TOKEN, "token": "wrong", "session": session})).await);
    assert_eq!((reply.get("completed"), &reply["errcode"]), (None, &json!("M_FORBIDDEN")));

    let reply = challenge(&register(json!({"type": TOKEN, "token": "let-me-in", "session": session})).await);
    assert_eq!((&reply["completed"], &reply["session"]), (&json!([TOKEN]), session));
    assert!(!reply.contains_key("errcode"), "{reply:?}");
    // Again, even with a token that is wrong: the stage is over.
    let reply = challenge(&register(json!({"type": TOKEN, "token": "wrong", "session": session})).await);
    assert_eq!((&reply["completed"], reply.get("errcode")), (&json!([TOKEN]), None));
    // The session alone asks how far it is.
    let reply = challenge(&register(json!({"session": session})).await);
    assert_eq!((&reply["completed"], reply.get("errcode")), (&json!([TOKEN]), None));
    // A failure later takes nothing back.
    let reply = challenge(&register(json!({"type": "io.example.none", "session": session})).await);
    assert_eq!(reply["completed"], json!([TOKEN]));
    assert!(reply["errcode"].is_string());

    let done = register(json!({"type": DUMMY, "session": session})).await.ok();
    assert!(done["access_token"].is_string(), "{done}");
    // Another session knows nothing of it.
    let body = json!({"username": format!("u{}", unique()), "password": "x", "auth": {"type": DUMMY}});
    let reply = challenge(&server.anonymous().post("/register", body).await);
    assert!(!reply.contains_key("completed"), "{reply:?}");
}

/// UIA-6: what is wrong with the request itself is an ordinary error, before a proof and after it.
#[tokio::test]
async fn other_failures_are_ordinary_errors() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let good = CrossSigning::new(alice.user_id());
    alice.post("/keys/device_signing/upload", good.upload()).await.ok();
    let localpart = bob.user_id()[1..].split(':').next().unwrap();
    let taken = json!({"username": localpart, "password": "x"});
    let cases: [(&str, Value, u16, &str); 9] = [
        ("/register", taken, 400, "M_USER_IN_USE"),
        ("/register", json!({"username": "NOT GOOD", "password": "x"}), 400, "M_INVALID_USERNAME"),
        ("/register", json!({"username": format!("u{}", unique()), "password": ""}), 400, "M_WEAK_PASSWORD"),
        ("/delete_devices", json!({}), 400, "M_MISSING_PARAM"),
        ("/delete_devices", json!({"devices": 1}), 400, "M_BAD_JSON"),
        ("/account/password", json!({}), 400, "M_MISSING_PARAM"),
        ("/account/password", json!({"new_password": ""}), 400, "M_WEAK_PASSWORD"),
        ("/keys/device_signing/upload", json!({"self_signing_key": 1}), 400, "M_BAD_JSON"),
        ("/account/deactivate", json!({"erase": "yes"}), 400, "M_BAD_JSON"),
    ];
    for (path, body, status, errcode) in cases {
        for auth in [None, Some(password(&alice, &Value::Null)), Some(json!({"type": DUMMY}))] {
            let mut body = body.clone();
            if let Some(mut auth) = auth {
                auth.as_object_mut().unwrap().remove("session");
                body["auth"] = auth;
            }
            let reply = alice.post(path, body).await;
            let error = reply.error(status, errcode);
            assert!(error.get("flows").is_none() && error.get("session").is_none(), "{reply}");
        }
    }
    for bad in [json!(1), json!("text"), json!([])] {
        alice.post(GET_TOKEN, json!({ "auth": bad })).await.error(400, "M_BAD_JSON");
    }
    alice.post(GET_TOKEN, json!({"auth": {"type": "m.login.password"}})).await.error(400, "M_MISSING_PARAM");
    // A token that is no token is told first.
    let stranger = alice.with_token("never-was");
    stranger.post(GET_TOKEN, json!({})).await.error(401, "M_UNKNOWN_TOKEN");
}

/// UIA-7: a session is for one user, one endpoint, one body, and one time.
#[tokio::test]
async fn an_authentication_is_for_one_request() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    for id in ["ONE", "TWO"] {
        alice.login(id).await;
        bob.login(id).await;
    }
    let delete = |by: &Client, id: &str, auth: Value| {
        by.call(Method::DELETE, at!("/devices/{}", id)).json(json!({ "auth": auth }))
    };
    let several = |ids: Value, auth: Value| alice.post("/delete_devices", json!({"devices": ids, "auth": auth}));
    let begin = async |call: Call| challenge(&call.await)["session"].clone();

    let session = begin(alice.delete("/devices/ONE")).await;
    delete(&alice, "TWO", password(&alice, &session)).await.error(403, "M_FORBIDDEN");
    delete(&bob, "ONE", password(&bob, &session)).await.error(403, "M_FORBIDDEN");
    several(json!(["ONE"]), password(&alice, &session)).await.error(403, "M_FORBIDDEN");
    alice.post(GET_TOKEN, json!({"auth": password(&alice, &session)})).await.error(403, "M_FORBIDDEN");
    let session = begin(alice.post("/delete_devices", json!({"devices": ["ONE"]}))).await;
    several(json!(["TWO"]), password(&alice, &session)).await.error(403, "M_FORBIDDEN");
    several(json!(["ONE", "TWO"]), password(&alice, &session)).await.error(403, "M_FORBIDDEN");
    let session = begin(bob.delete("/devices/ONE")).await;
    delete(&alice, "ONE", password(&alice, &session)).await.error(403, "M_FORBIDDEN");
    for client in [&alice, &bob] {
        assert_eq!(client.get("/devices").await.ok()["devices"].as_array().unwrap().len(), 3);
    }

    // What it was for still works, and once.
    let session = begin(alice.post("/delete_devices", json!({"devices": ["ONE"]}))).await;
    several(json!(["ONE"]), password(&alice, &session)).await.ok();
    let again = several(json!(["ONE"]), password(&alice, &session)).await;
    assert!(matches!(again.status, 401 | 403), "{again}");
    alice.get("/devices/ONE").await.error(404, "M_NOT_FOUND");
    alice.get("/devices/TWO").await.ok();
}

/// UIA-7: of two requests that end the same session one is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_one_request() {
    let alice = Server::shared().await.user("alice").await;
    let session = challenge(&alice.post(GET_TOKEN, json!({})).await)["session"].clone();
    let body = json!({"auth": password(&alice, &session)});
    let replies = (0..6).map(|_| {
        let (alice, body) = (alice.clone(), body.clone());
        tokio::spawn(async move { alice.post(GET_TOKEN, body).await.status })
    });
    let mut done = 0;
    for reply in replies.collect::<Vec<_>>() {
        let status = reply.await.unwrap();
        assert!(matches!(status, 200 | 401 | 403), "{status}");
        done += usize::from(status == 200);
    }
    assert_eq!(done, 1);
}
