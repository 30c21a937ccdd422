//! One request and its response.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{Client, deadline};

/// A request that is sent when awaited.
#[must_use = "a call is sent when it is awaited"]
pub struct Call {
    client: Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Body,
    token: Option<String>,
    with_password: bool,
    time: Duration,
}

#[derive(Clone)]
enum Body {
    None,
    Json(Value),
    Bytes(Vec<u8>, String),
}

impl Call {
    pub(super) fn new(client: &Client, method: Method, path: &str) -> Self {
        Self {
            client: client.clone(),
            method,
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::None,
            token: client.token().map(str::to_owned),
            with_password: false,
            time: deadline(),
        }
    }

    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// A body that need not be JSON.
    pub fn bytes(mut self, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        self.body = Body::Bytes(body.into(), content_type.to_owned());
        self
    }

    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this access token instead of the client's; `None` for none.
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// Confirms with the user's password when the server asks for it (user-interactive authentication).
    pub fn with_password(mut self) -> Self {
        self.with_password = true;
        self
    }

    /// How long the answer may take, or all attempts together for a patient client.
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    async fn send(mut self) -> Response {
        let response = self.attempts().await;
        if !(self.with_password && response.status == 401 && response.json()["flows"].is_array()) {
            return response;
        }
        let Body::Json(body) = &mut self.body else { panic!("{self}: only a JSON body can be confirmed") };
        body["auth"] = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.client.user_id()},
            "password": self.client.password(),
            "session": response.json()["session"],
        });
        self.attempts().await
    }

    /// Sends until there is an answer that stands; a client that is not patient takes the first.
    async fn attempts(&self) -> Response {
        let began = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let problem = match tokio::time::timeout(self.time, self.once()).await {
                Ok(Ok(response)) if !self.client.is_patient() || !response.is_passing() => return response,
                Ok(Ok(response)) => response.to_string(),
                Ok(Err(error)) => format!("{self}: {error:?}"),
                Err(_) => format!("{self}: no answer within {:?}", self.time),
            };
            if !self.client.is_patient() || began.elapsed() > self.time {
                panic!("{problem}");
            }
            self.client.server().come_back(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn once(&self) -> reqwest::Result<Response> {
        let path = if ["/_", "/.", "/health"].iter().any(|start| self.path.starts_with(start)) {
            self.path.clone()
        } else {
            format!("/_matrix/client/v3{}", self.path)
        };
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.client.server().base())).expect("a URL");
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut request = self.client.server().http().request(self.method.clone(), url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request = match &self.body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::Bytes(body, content_type) => request.header("content-type", content_type).body(body.clone()),
        };
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await?.to_vec();
        Ok(Response { call: self.to_string(), status, headers, bytes })
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (n, (name, value)) in self.query.iter().enumerate() {
            write!(f, "{}{name}={value}", if n == 0 { '?' } else { '&' })?;
        }
        if let Body::Json(body) = &self.body {
            write!(f, " {}", shortened(&body.to_string()))?;
        }
        Ok(())
    }
}

impl IntoFuture for Call {
    type Output = Response;
    type IntoFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    call: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Response {
    /// The body of a 200; anything else is a failure of the test.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self}");
        self.json()
    }

    /// The body of an error with this status and code.
    #[track_caller]
    pub fn error(&self, status: u16, errcode: &str) -> Value {
        assert!(self.status == status && self.errcode() == errcode, "{self}\nexpected {status} {errcode}");
        let body = self.json();
        assert!(body["error"].is_string(), "an error has a text: {self}");
        body
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// The `errcode` of the body, empty if there is none.
    pub fn errcode(&self) -> String {
        let body: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        body["errcode"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// As the HTTP types of the ecosystem have it.
    pub fn into_http(self) -> http::Response<Vec<u8>> {
        let mut response = http::Response::new(self.bytes);
        *response.status_mut() = http::StatusCode::from_u16(self.status).expect("a status");
        *response.headers_mut() = self.headers;
        response
    }

    /// Whether a client would try again.
    fn is_passing(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nanswered {} {}", self.call, self.status, shortened(&self.text()))
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 2_000 { text.to_owned() } else { text.chars().take(2_000).chain(['…']).collect() }
}
