//! Requests of one device, whose answers may never come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, Method};
use serde_json::{Value, json};

/// For one answer. No client gives up before the server does: a request that goes on unseen would be one more.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a server that is starting again.
const AWAY: Duration = Duration::from_secs(180);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(25);
/// Everybody's.
const PASSWORD: &str = "a fine password, 7";

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Answered 2xx.
    Done(Value),
    /// Answered with an error of the client's.
    Refused(u16, Value),
    /// No answer, or one that says nothing about whether it was done.
    Unknown,
}

/// A logged-in device.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    http: Client,
    base: Arc<str>,
    pub(crate) user_id: String,
    pub(crate) device_id: String,
    token: String,
}

/// One segment of a path, or a value of a query.
pub(crate) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

impl Device {
    /// Registers a user with a device.
    pub(crate) async fn register(base: &str, name: &str) -> Result<Self, String> {
        let http = Client::builder().pool_max_idle_per_host(4).build().map_err(|error| error.to_string())?;
        let nobody =
            Self { http, base: base.into(), user_id: String::new(), device_id: String::new(), token: String::new() };
        let body = json!({"username": name, "password": PASSWORD, "device_id": "FIRST",
            "auth": {"type": "m.login.dummy"}});
        nobody.logged_in(&nobody.post("/register", &body).await?)
    }

    /// Logs another device of the user in; again with the same name where no answer came.
    pub(crate) async fn login(&self, device_id: &str) -> Result<Self, String> {
        let body = json!({"type": "m.login.password", "password": PASSWORD, "device_id": device_id,
            "identifier": {"type": "m.id.user", "user": self.user_id}});
        self.logged_in(&self.post("/login", &body).await?)
    }

    fn logged_in(&self, answer: &Value) -> Result<Self, String> {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        match (text("user_id"), text("device_id"), text("access_token")) {
            (Some(user_id), Some(device_id), Some(token)) => Ok(Self { user_id, device_id, token, ..self.clone() }),
            _ => Err(format!("no login: {answer}")),
        }
    }

    /// The authentication by password of a request that was answered with a session.
    pub(crate) fn password_for(&self, answer: &Value) -> Value {
        json!({"type": "m.login.password", "session": answer["session"], "password": PASSWORD,
            "identifier": {"type": "m.id.user", "user": self.user_id}})
    }

    /// The name of the device in the ledger.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.user_id, self.device_id)
    }

    /// One attempt.
    pub(crate) async fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("{}/_matrix/client/v3{path}", self.base);
        let mut request = self.http.request(method, url).timeout(PATIENCE);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let Ok(response) = request.send().await else { return Answer::Unknown };
        let status = response.status();
        let Ok(bytes) = response.bytes().await else { return Answer::Unknown };
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        match status.as_u16() {
            200..=299 => Answer::Done(body),
            400..=428 | 430..=499 => Answer::Refused(status.as_u16(), body),
            _ => Answer::Unknown,
        }
    }

    /// Attempts until it is known what came of it; `unknown` is told of each that had no answer.
    pub(crate) async fn known(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        mut unknown: impl FnMut(),
    ) -> Result<Value, String> {
        let began = Instant::now();
        loop {
            match self.once(method.clone(), path, body).await {
                Answer::Done(answer) => return Ok(answer),
                Answer::Refused(status, answer) => return Err(format!("{method} {path}: {status} {answer}")),
                Answer::Unknown => unknown(),
            }
            if began.elapsed() > AWAY {
                return Err(format!("{method} {path}: no answer in {} s", AWAY.as_secs()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, String> {
        self.known(Method::GET, path, None, || ()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.known(Method::POST, path, Some(body), || ()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.known(Method::PUT, path, Some(body), || ()).await
    }
}
