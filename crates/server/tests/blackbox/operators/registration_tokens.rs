//! Registration tokens: made by operators, used by whoever registers.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::Managed;
use crate::harness::{Call, unique};

const FIXED: &str = "the-token-of-the-configuration";

async fn with_tokens() -> Option<Managed> {
    Managed::start_with(|builder| builder.registration_token(FIXED)).await
}

async fn is_valid(managed: &Managed, token: &str) -> bool {
    let path = "/_matrix/client/v1/register/m.login.registration_token/validity";
    let answer = managed.server.anonymous().get(path).query("token", token).await.ok();
    answer["valid"].as_bool().expect("a truth")
}

/// Somebody who registers, in steps.
struct Newcomer<'a> {
    managed: &'a Managed,
    body: Value,
}

impl<'a> Newcomer<'a> {
    fn new(managed: &'a Managed) -> Self {
        Self { managed, body: json!({"username": format!("new-{}", unique()), "password": "correct horse"}) }
    }

    fn post(&self, auth: Value) -> Call {
        let mut body = self.body.clone();
        body["auth"] = auth;
        self.managed.server.anonymous().post("/register", body)
    }

    /// Passes the first stage; gives the session.
    async fn begin(&self, token: &str) -> String {
        let answer = self.post(json!({"type": "m.login.registration_token", "token": token})).await;
        assert_eq!(answer.status, 401, "{answer}");
        let answer = answer.json();
        assert_eq!(answer["completed"], json!(["m.login.registration_token"]), "{answer}");
        answer["session"].as_str().expect("a session").to_owned()
    }

    fn finish(&self, session: &str) -> Call {
        self.post(json!({"type": "m.login.dummy", "session": session}))
    }

    async fn register(&self, token: &str) {
        let session = self.begin(token).await;
        self.finish(&session).await.ok();
    }

    /// The token does not pass the first stage.
    async fn is_refused(&self, token: &str) {
        let answer = self.post(json!({"type": "m.login.registration_token", "token": token})).await;
        let error = answer.error(401, "M_FORBIDDEN");
        assert!(error["session"].is_string() && error.get("completed").is_none(), "{error}");
        assert_eq!(error["flows"][0]["stages"][0], "m.login.registration_token");
    }
}

async fn made(managed: &Managed, arguments: &[&str]) -> String {
    let printed = managed.run(&[&["registration-token", "create"], arguments].concat()).await.ok();
    printed.trim_end().to_owned()
}

async fn uses(managed: &Managed, token: &str) -> (u64, bool) {
    let (status, answer) = managed.ask("GET", &format!("/registration_tokens/{token}"), None).await;
    assert_eq!(status, 200, "{answer}");
    (answer["uses_completed"].as_u64().expect("a number"), answer["valid"].as_bool().expect("a truth"))
}

/// A token lets in as many as it allows, and a use is counted with the account and never before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_lets_in_as_many_as_it_allows() {
    let Some(managed) = with_tokens().await else { return };
    let token = made(&managed, &["--uses", "2"]).await;
    assert!(is_valid(&managed, &token).await && !is_valid(&managed, "never-was").await);
    Newcomer::new(&managed).is_refused("never-was").await;
    Newcomer::new(&managed).register(&token).await;
    let second = Newcomer::new(&managed);
    let session = second.begin(&token).await;
    // Who gives up here has used nothing.
    Newcomer::new(&managed).begin(&token).await;
    assert_eq!(uses(&managed, &token).await, (1, true));
    second.finish(&session).await.ok();
    assert_eq!(uses(&managed, &token).await, (2, false));
    assert!(!is_valid(&managed, &token).await);
    Newcomer::new(&managed).is_refused(&token).await;
    // That of the configuration goes on without end.
    for _ in 0..3 {
        assert!(is_valid(&managed, FIXED).await);
        Newcomer::new(&managed).register(FIXED).await;
    }
    let (_, listed) = managed.ask("GET", "/registration_tokens", None).await;
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1);
}

/// Two who passed the stage with the last use of a token get one account between them; the other begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_use_makes_one_account() {
    let Some(managed) = with_tokens().await else { return };
    for _ in 0..5 {
        let token = made(&managed, &["--uses", "1"]).await;
        let (one, two) = (Newcomer::new(&managed), Newcomer::new(&managed));
        let (first, second) = (one.begin(&token).await, two.begin(&token).await);
        let (first, second) = tokio::join!(one.finish(&first).into_future(), two.finish(&second).into_future());
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{first} {second}");
        let refused = if first.status == 401 { (first, &one) } else { (second, &two) };
        let error = refused.0.error(401, "M_FORBIDDEN");
        assert!(error["session"].is_string() && error.get("completed").is_none(), "{error}");
        assert_eq!(uses(&managed, &token).await, (1, false));
        // With another token the same name is free.
        refused.1.register(FIXED).await;
    }
}

/// After its end, or its deletion, a token lets nobody in, also who passed the stage before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends() {
    let Some(managed) = with_tokens().await else { return };
    // The command counts from its own clock, which is not that of the test's server.
    let (_, now) = managed.ask("POST", "/registration_tokens", Some(json!({}))).await;
    let end = now["created_at"].as_u64().unwrap() + 600_000;
    let wish = json!({"token": "summer.party~1", "expires_at": end});
    let (status, answer) = managed.ask("POST", "/registration_tokens", Some(wish)).await;
    assert_eq!((status, &answer["valid"], &answer["uses_allowed"]), (200, &json!(true), &Value::Null), "{answer}");
    let gone = made(&managed, &["gone"]).await;
    let (late, deleted) = (Newcomer::new(&managed), Newcomer::new(&managed));
    let sessions = (late.begin("summer.party~1").await, deleted.begin(&gone).await);
    Newcomer::new(&managed).register("summer.party~1").await;
    managed.run(&["registration-token", "delete", "gone"]).await.ok();
    deleted.finish(&sessions.1).await.error(401, "M_FORBIDDEN");
    managed.clock.forward(Duration::from_secs(11 * 60));
    assert!(!is_valid(&managed, "summer.party~1").await && !is_valid(&managed, &gone).await);
    late.finish(&sessions.0).await.error(401, "M_FORBIDDEN");
    Newcomer::new(&managed).is_refused("summer.party~1").await;
    assert_eq!(uses(&managed, "summer.party~1").await, (1, false));
}

/// What operators do with tokens: all are listed, and none is in the record as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_listed_and_deleted() {
    let Some(managed) = with_tokens().await else { return };
    let mut tokens = Vec::new();
    for n in 0..4 {
        tokens.push(made(&managed, &[&format!("token-number-{n}")]).await);
    }
    tokens.push(made(&managed, &["--expires", "7d", "--uses", "3"]).await);
    let names = |answer: &Value| -> Vec<String> {
        let tokens = answer["tokens"].as_array().expect("tokens").iter();
        tokens.map(|token| token["token"].as_str().expect("a token").to_owned()).collect()
    };
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(names(&managed.json("registration-token", &["list"]).await)), sorted(tokens.clone()));
    for limit in [1, 2, 5, 6] {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let (_, page) = managed.ask("GET", &format!("/registration_tokens?limit={limit}{from}"), None).await;
            found.extend(names(&page));
            let Some(next) = page["next"].as_str() else { break };
            from = format!("&from={next}");
        }
        assert_eq!(sorted(found), sorted(tokens.clone()), "in pages of {limit}");
    }
    let text = managed.run(&["registration-token", "list"]).await.ok();
    assert!(text.contains("0 of any number") && text.contains("0 of 3") && text.contains("no end"), "{text}");
    managed.run(&["registration-token", "delete", &tokens[0]]).await.ok();
    assert!(managed.run(&["registration-token", "delete", &tokens[0]]).await.failed().contains("M_NOT_FOUND"));
    let (status, _) = managed.ask("GET", &format!("/registration_tokens/{}", tokens[0]), None).await;
    assert_eq!(status, 404);
    let record = managed.record().await;
    assert_eq!(record.iter().filter(|(action, _)| action == "registration_token.create").count(), 5);
    assert_eq!(record.last().unwrap(), &("registration_token.delete".to_owned(), "toke…".to_owned()));
    assert!(record.iter().all(|(_, target)| tokens.iter().all(|token| !target.contains(token.as_str()))));

    let wrong = [
        json!({"token": ""}),
        json!({"token": "a b"}),
        json!({"token": "x".repeat(65)}),
        json!({"token": tokens[1]}),
        json!({"uses_allowed": 0}),
        json!({"expires_at": 1}),
        json!({"expires_at": u64::MAX}),
        json!({"uses_allowed": u64::MAX}),
    ];
    for body in wrong {
        let (status, answer) = managed.ask("POST", "/registration_tokens", Some(body.clone())).await;
        assert_eq!((status, answer["errcode"].as_str()), (400, Some("M_INVALID_PARAM")), "{body}");
    }
    assert_eq!(managed.record().await.len(), record.len());
}

/// Where anybody or nobody may register, a token changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_for_the_mode_of_tokens() {
    let Some(managed) = Managed::start().await else { return };
    let token = made(&managed, &[]).await;
    assert!(!is_valid(&managed, &token).await);
    let answer = Newcomer::new(&managed).post(json!({"type": "m.login.registration_token", "token": token})).await;
    answer.error(401, "M_UNRECOGNIZED");
    let Some(closed) = Managed::start_with(|builder| builder).await else { return };
    let token = made(&closed, &[]).await;
    let path = "/_matrix/client/v1/register/m.login.registration_token/validity";
    closed.server.anonymous().get(path).query("token", &token).await.error(403, "M_FORBIDDEN");
    Newcomer::new(&closed)
        .post(json!({"type": "m.login.registration_token", "token": token}))
        .await
        .error(403, "M_FORBIDDEN");
}
