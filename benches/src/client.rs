//! Requests of one device.

// A run that cannot go on ends, with what it saw.
#![allow(clippy::panic)]

use std::time::Duration;

use reqwest::{Client as Http, Method};
use serde_json::{Value, json};

/// A logged-in device.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    base: String,
    /// The user's id.
    pub user_id: String,
    /// The device's id.
    pub device_id: String,
    token: String,
}

/// One segment of a path.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// For an answer; longer than any long poll.
const PATIENCE: Duration = Duration::from_secs(240);
const PASSWORD: &str = "a fine password, 7";

impl Client {
    /// Registers a user with a first device.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn register(http: &Http, base: &str, name: &str) -> Self {
        let body = json!({"username": name, "password": PASSWORD, "device_id": "FIRST",
            "auth": {"type": "m.login.dummy"}});
        let nobody = Self {
            http: http.clone(),
            base: base.to_owned(),
            user_id: String::new(),
            device_id: String::new(),
            token: String::new(),
        };
        let mut answer = nobody.request(Method::POST, "/register", Some(&body)).await;
        if answer.0 == 401 {
            let mut body = body;
            body["auth"]["session"] = answer.1["session"].clone();
            answer = nobody.request(Method::POST, "/register", Some(&body)).await;
        }
        nobody.logged_in(&answer)
    }

    /// Another device of the user.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn login(&self, device_id: &str) -> Self {
        let body = json!({"type": "m.login.password", "password": PASSWORD, "device_id": device_id,
            "identifier": {"type": "m.id.user", "user": self.user_id}});
        let answer = self.request(Method::POST, "/login", Some(&body)).await;
        self.logged_in(&answer)
    }

    fn logged_in(&self, (status, answer): &(u16, Value)) -> Self {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        match (text("user_id"), text("device_id"), text("access_token")) {
            (Some(user_id), Some(device_id), Some(token)) => Self { user_id, device_id, token, ..self.clone() },
            _ => panic!("no login: {status} {answer}"),
        }
    }

    /// A device of the same user, with this access token.
    #[must_use]
    pub fn with_token(&self, device_id: &str, token: &str) -> Self {
        Self { device_id: device_id.to_owned(), token: token.to_owned(), ..self.clone() }
    }

    /// Any request; the status and the body. A path is below `/_matrix/client/v3` unless it names another version.
    ///
    /// # Panics
    /// Without an answer.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_request(&method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// As [`Client::request`].
    ///
    /// # Errors
    /// Without an answer.
    pub async fn try_request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let version = if path.starts_with("/_matrix/") { "" } else { "/_matrix/client/v3" };
        let url = format!("{}{version}{path}", self.base);
        let mut request = self.http.request(method.clone(), url).timeout(PATIENCE);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let again = request.try_clone().filter(|_| *method != Method::POST);
        let response = match (request.send().await, again) {
            // A server that has more connections than it takes on closes some; clients ask again.
            (Err(error), Some(again)) if error.is_request() && !error.is_timeout() => again.send().await,
            (response, _) => response,
        };
        let response = response?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        match self.request(method.clone(), path, body).await {
            (200, answer) => answer,
            (status, answer) => panic!("{method} {path}: {status} {answer}"),
        }
    }

    /// What `GET` answers.
    ///
    /// # Panics
    /// Without success, as all below.
    pub async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, None).await
    }

    /// What `POST` answers.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.done(Method::POST, path, Some(body)).await
    }

    /// What `PUT` answers.
    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.done(Method::PUT, path, Some(body)).await
    }

    /// A sync that does not wait.
    pub async fn sync(&self, since: Option<&str>) -> Value {
        match since {
            Some(since) => self.get(&format!("/sync?timeout=0&since={}", segment(since))).await,
            None => self.get("/sync?timeout=0").await,
        }
    }

    /// A sync that waits for so many seconds until there is something.
    pub async fn long_poll(&self, since: &str, seconds: u64) -> Value {
        self.get(&format!("/sync?timeout={}&since={}", seconds * 1_000, segment(since))).await
    }

    /// The same device at another node.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The token of a sync from now on.
    pub async fn place(&self, since: Option<&str>) -> String {
        next_batch(&self.sync(since).await)
    }
}

/// The token of an answer to a sync.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn next_batch(sync: &Value) -> String {
    sync["next_batch"].as_str().unwrap_or_else(|| panic!("no next_batch: {sync}")).to_owned()
}
