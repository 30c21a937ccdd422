//! `deploy/openapi/admin.json` against the server: what is described is there, what is there is described, and answers are
//! as they are described.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    schema::{DESCRIPTION, faults, resolved},
    support::Managed,
};
use crate::harness::{deadline, keys::DeviceKeys, within};

const PREFIX: &str = olmstead_http::admin::PREFIX;
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// The paths of the API as the description has them, without the prefix.
fn described() -> BTreeSet<String> {
    let paths = DESCRIPTION["paths"].as_object().expect("paths").keys();
    paths.filter_map(|path| path.strip_prefix(PREFIX)).map(str::to_owned).collect()
}

/// The paths that the router has, in the router's own words: it tells them in its `Debug` form only.
fn of_the_router() -> BTreeSet<String> {
    let text = format!("{:?}", olmstead_http::admin::routes());
    let (_, paths) = text.split_once("paths: {").expect("the router tells its paths");
    let (paths, _) = paths.split_once("\"}").expect("the list of paths ends");
    paths.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn operation(method: &str, path: &str) -> &'static Value {
    let path = if path == "/metrics" { path.to_owned() } else { format!("{PREFIX}{path}") };
    &DESCRIPTION["paths"][path][method.to_lowercase()]
}

#[test]
fn the_description_has_the_paths_of_the_router() {
    assert!(of_the_router().len() > 10);
    assert_eq!(described(), of_the_router());
    let others: Vec<&String> =
        DESCRIPTION["paths"].as_object().unwrap().keys().filter(|path| !path.starts_with(PREFIX)).collect();
    assert_eq!(others, ["/metrics"], "it is served beside the API and tested with the metrics");
}

/// Each path takes the methods that are described, and no others; its variables are described, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_has_the_methods_of_the_server() {
    let Some(managed) = Managed::start().await else { return };
    for path in described() {
        let variables: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let actual = variables.iter().fold(path.clone(), |path, name| path.replace(&format!("{{{name}}}"), "x"));
        for method in METHODS {
            let (status, answer) = managed.ask(method, &actual, None).await;
            let operation = operation(method, &path);
            assert_eq!(status == 405, operation.is_null(), "{method} {path}: {answer}");
            if !operation.is_null() {
                assert_ne!(answer["errcode"], "M_UNRECOGNIZED", "{method} {path}");
                let named = operation["parameters"].as_array().into_iter().flatten();
                let named: BTreeSet<&str> =
                    named.filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
                assert_eq!(named, variables, "{method} {path}");
            }
        }
    }
}

/// Asks, and holds question and answer against the description.
struct Held<'a> {
    managed: &'a Managed,
    answered: BTreeSet<String>,
}

impl Held<'_> {
    /// `parts` are the values of the path's variables in order, with a query after the last of them.
    async fn ask(&mut self, method: &str, path: &str, parts: &[&str], body: Option<Value>, expected: u16) -> Value {
        let mut actual = String::new();
        let mut parts = parts.iter();
        for part in path.split('/').skip(1) {
            let value = if part.starts_with('{') { parts.next().expect("a value") } else { part };
            actual.push_str(&format!("/{value}"));
        }
        actual.push_str(parts.next().unwrap_or(&""));
        let operation = operation(method, path);
        let (status, answer) = self.managed.ask(method, &actual, body.clone()).await;
        assert_eq!(status, expected, "{method} {actual}: {answer}");
        let response = resolved(&operation["responses"][status.to_string()]);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}: {status} is not described");
        assert_eq!(faults(schema, &answer), Vec::<String>::new(), "{method} {actual}: {answer}");
        if status == 200 {
            let asked = &operation["requestBody"]["content"]["application/json"]["schema"];
            match &body {
                Some(body) => assert_eq!(faults(asked, body), Vec::<String>::new(), "{method} {path}: {body}"),
                None => assert!(asked.is_null(), "{method} {path} has a body"),
            }
            self.answered.insert(operation["operationId"].as_str().expect("an id").to_owned());
        }
        answer
    }
}

/// Every operation answers as it is described, and so do its refusals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_described() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob, gone] = managed.server.users(["alice", "bob", "gone"]).await;
    let phone = alice.login("PHONE").await;
    DeviceKeys::new(&alice).upload(&alice, 2, true).await;
    DeviceKeys::new(&phone).upload(&phone, 0, true).await;
    alice
        .post("/room_keys/version", json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {}}))
        .await;
    bob.send_to_device("org.example", json!({alice.user_id(): {"*": {}}})).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut held = Held { managed: &managed, answered: BTreeSet::new() };
    let (user, nobody) = (alice.user_id(), "@nobody:localhost");

    held.ask("GET", "/users", &[], None, 200).await;
    held.ask("GET", "/users", &["?limit=1"], None, 200).await;
    held.ask("GET", "/users", &["?search=alice"], None, 200).await;
    held.ask("GET", "/users", &["?limit=x"], None, 400).await;
    held.ask("POST", "/users", &[], Some(json!({"username": "made"})), 200).await;
    held.ask("POST", "/users", &[], Some(json!({"username": "made"})), 400).await;
    for (path, method, body) in [
        ("/users/{user_id}", "GET", None),
        ("/users/{user_id}/devices", "GET", None),
        ("/users/{user_id}/standing", "PUT", Some(json!({"locked": false, "suspended": null}))),
        ("/users/{user_id}/password", "PUT", Some(json!({"password": "correct horse"}))),
        ("/e2ee/users/{user_id}", "GET", None),
    ] {
        held.ask(method, path, &[user], body.clone(), 200).await;
        held.ask(method, path, &[nobody], body.clone(), 404).await;
        held.ask(method, path, &["@:"], body, 400).await;
    }
    held.ask("PUT", "/users/{user_id}/password", &["made"], Some(json!({"logout": true})), 200).await;
    held.ask("DELETE", "/users/{user_id}/devices/{device_id}", &[user, "PHONE"], None, 200).await;
    held.ask("DELETE", "/users/{user_id}/devices/{device_id}", &[user, "PHONE"], None, 404).await;
    let path = "/users/{user_id}/deactivate";
    held.ask("POST", path, &[gone.user_id()], Some(json!({"erase": true})), 200).await;
    held.ask("POST", path, &[gone.user_id()], Some(json!({})), 403).await;
    held.ask("POST", path, &[nobody], Some(json!({})), 404).await;
    held.ask("GET", "/users/{user_id}", &[gone.user_id()], None, 200).await;

    let tokens = "/registration_tokens";
    held.ask(
        "POST",
        tokens,
        &[],
        Some(json!({"token": "one", "uses_allowed": 1, "expires_at": u32::MAX as u64 * 1_000})),
        200,
    )
    .await;
    held.ask("POST", tokens, &[], Some(json!({})), 200).await;
    held.ask("POST", tokens, &[], Some(json!({"token": "one"})), 400).await;
    held.ask("GET", tokens, &["?limit=1"], None, 200).await;
    held.ask("GET", "/registration_tokens/{token}", &["one"], None, 200).await;
    held.ask("DELETE", "/registration_tokens/{token}", &["one"], None, 200).await;
    held.ask("DELETE", "/registration_tokens/{token}", &["one"], None, 404).await;
    held.ask("GET", "/registration_tokens/{token}", &["one"], None, 404).await;

    held.ask("GET", "/rooms", &[], None, 200).await;
    held.ask("GET", "/rooms/{room_id}", &[&room], None, 200).await;
    held.ask("GET", "/rooms/{room_id}", &["!none:localhost"], None, 404).await;
    held.ask("GET", "/rooms/{room_id}", &["none"], None, 400).await;
    let doctor = held.ask("GET", "/e2ee/doctor", &[], None, 200).await;
    assert!(!doctor["identities"].as_array().unwrap().is_empty());
    held.ask("GET", "/e2ee/doctor", &["?user=@nobody:localhost"], None, 404).await;
    let device = alice.device_id();
    for mend in [
        json!({"action": "drop_one_time_keys", "device_id": device}),
        json!({"action": "announce_device_list", "dry_run": true}),
        json!({"action": "drop_inbox", "device_id": device, "older_than_ms": 0}),
    ] {
        for (user, status) in [(user, 200), (nobody, 404)] {
            let mut body = mend.clone();
            body["user_id"] = json!(user);
            held.ask("POST", "/e2ee/repair", &[], Some(body), status).await;
        }
    }
    held.ask("POST", "/e2ee/repair", &[], Some(json!({})), 400).await;
    let audit = held.ask("GET", "/audit", &["?limit=2"], None, 200).await;
    assert!(audit["next"].is_u64());

    let counted = async {
        let mut again = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            again.tick().await;
            if held.ask("GET", "/stats", &[], None, 200).await["census"].is_object() {
                return;
            }
        }
    };
    within("a census", deadline(), counted).await;

    let all = DESCRIPTION["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let all: BTreeSet<String> = all.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect();
    let missing: Vec<&String> = all.difference(&held.answered).collect();
    assert_eq!(missing, ["metrics"]);
}
