//! Requests of one device. Nothing here fails a run: what an attacker is told is what is wanted to be known.

use std::{net::IpAddr, time::Duration};

use reqwest::{Body, Method};
use serde_json::{Value, json};

/// For an answer; longer than any long poll.
const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const PASSWORD: &str = "a fine password, 7";

/// A device, or nobody.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) user_id: String,
    pub(crate) device_id: String,
    pub(crate) token: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Client {
    /// Nobody, at an address of this machine.
    pub(crate) fn nobody(base: &str, address: IpAddr) -> Result<Self, String> {
        let http = reqwest::Client::builder().no_proxy().local_address(address).timeout(PATIENCE);
        let http = http.build().map_err(|error| format!("an HTTP client: {error}"))?;
        let empty = String::new();
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, user_id: empty.clone(), device_id: empty.clone(), token: empty })
    }

    /// Registers a user with a first device.
    pub(crate) async fn register(&self, name: &str) -> Result<Self, String> {
        let mut body = json!({"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}});
        let mut answer = self.send(Method::POST, "/register", Some(&body)).await?;
        if answer.status == 401 {
            body["auth"]["session"] = answer.body["session"].clone();
            answer = self.send(Method::POST, "/register", Some(&body)).await?;
        }
        let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
        match (text("user_id"), text("device_id"), text("access_token")) {
            (Some(user_id), Some(device_id), Some(token)) => Ok(Self { user_id, device_id, token, ..self.clone() }),
            _ => Err(format!("{name} cannot register: {} {}", answer.status, answer.body)),
        }
    }

    /// The same device with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Any request with JSON.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        self.send_bytes(method, path, body.map(|body| body.to_string().into())).await
    }

    /// Any request.
    pub(crate) async fn send_bytes(&self, method: Method, path: &str, body: Option<Body>) -> Result<Answer, String> {
        let mut request = self.http.request(method.clone(), format!("{}/_matrix/client/v3{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let failed = |error: reqwest::Error| match (error.is_connect(), error.is_timeout()) {
            (true, _) => "no connection".to_owned(),
            (_, true) => "no answer".to_owned(),
            _ => "closed".to_owned(),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(failed)?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    /// A request of which only the outcome counts.
    pub(crate) async fn outcome(&self, method: Method, path: &str, body: Option<&Value>) -> String {
        self.send(method, path, body).await.map_or_else(|word| word, |answer| answer.status.to_string())
    }

    /// What is answered with 200.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        match self.send(method.clone(), path, body).await {
            Ok(Answer { status: 200, body }) => Ok(body),
            Ok(Answer { status, body }) => Err(format!("{method} {path}: {status} {body}")),
            Err(word) => Err(format!("{method} {path}: {word}")),
        }
    }
}
