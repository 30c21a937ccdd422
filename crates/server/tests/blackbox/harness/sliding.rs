//! Following a connection of sliding sync.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, Response, Server, deadline, sync::found};

/// Where it is.
pub const SLIDING_SYNC: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// A connection, with what is asked on it and where it is.
///
/// ```ignore
/// let mut sync = bob.sliding(json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1}}}));
/// sync.now().await;
/// alice.send_text(&room, "hello").await;
/// let event = sync.until("the message", |s| sliding_timeline(s, &room).into_iter().find(|e| e["content"]["body"] == "hello")).await;
/// ```
#[derive(Clone)]
pub struct Sliding {
    client: Client,
    /// The body of requests.
    pub body: Value,
    pos: Option<String>,
    /// The to-device token; goes into requests that ask for to-device messages.
    pub since: Option<String>,
}

impl Client {
    /// A connection that begins.
    pub fn sliding(&self, body: Value) -> Sliding {
        Sliding { client: self.clone(), body, pos: None, since: None }
    }
}

impl Sliding {
    /// The `pos` of the last response.
    pub fn pos(&self) -> &str {
        self.pos.as_deref().expect("a sync before")
    }

    /// The same connection at another place.
    pub fn at(&self, pos: &str) -> Self {
        Self { pos: Some(pos.to_owned()), ..self.clone() }
    }

    /// The same connection, with its requests sent to another node.
    pub fn via(&self, node: &Server) -> Self {
        Self { client: self.client.via(node), ..self.clone() }
    }

    /// A request, whatever comes of it; the place stays.
    pub async fn ask(&self, time: Duration) -> Response {
        let mut body = self.body.clone();
        if let (Some(since), true) = (&self.since, body["extensions"]["to_device"]["enabled"] == true) {
            body["extensions"]["to_device"]["since"] = json!(since);
        }
        let mut call =
            self.client.post(SLIDING_SYNC, body).query("timeout", time.as_millis()).within(time + deadline());
        if let Some(pos) = &self.pos {
            call = call.query("pos", pos);
        }
        call.await
    }

    /// One sync that does not wait; the place stays, as if the response was lost.
    pub async fn peek(&self) -> Value {
        self.ask(Duration::ZERO).await.ok()
    }

    /// One sync that does not wait.
    pub async fn now(&mut self) -> Value {
        self.step(Duration::ZERO).await
    }

    /// One sync that waits until there is something, or `time` is over.
    pub async fn step(&mut self, time: Duration) -> Value {
        let response = self.ask(time).await.ok();
        self.take(&response);
        response
    }

    /// Goes on from a response.
    pub fn take(&mut self, response: &Value) {
        self.pos = Some(response["pos"].as_str().expect("pos").to_owned());
        if let Some(since) = response["extensions"]["to_device"]["next_batch"].as_str() {
            self.since = Some(since.to_owned());
        }
    }

    /// Syncs until `check` finds in a response what it looks for.
    pub async fn until<T>(&mut self, what: &str, check: impl FnMut(&Value) -> Option<T>) -> T {
        let what = format!("{what} for {}", self.client.user_id());
        found(&what, async |time| self.step(time).await, check).await
    }
}

/// The timeline of a room, empty if it is not in the response.
pub fn sliding_timeline(sync: &Value, room: &str) -> Vec<Value> {
    sync["rooms"][room]["timeline"].as_array().cloned().unwrap_or_default()
}

/// The to-device events.
pub fn sliding_to_device(sync: &Value) -> Vec<Value> {
    sync["extensions"]["to_device"]["events"].as_array().cloned().unwrap_or_default()
}

/// The rooms of a response, in the order of their ids.
pub fn sliding_rooms(sync: &Value) -> Vec<String> {
    sync["rooms"].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default()
}
