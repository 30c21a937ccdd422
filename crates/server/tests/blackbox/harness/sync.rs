//! Following a device's `/sync`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Client, deadline};

/// A device that syncs, and where it is.
///
/// ```ignore
/// let mut sync = bob.syncing();
/// sync.now().await;
/// alice.send_text(&room, "hello").await;
/// let event = sync.until("the message", |s| timeline(s, &room).into_iter().find(|e| e["content"]["body"] == "hello")).await;
/// ```
pub struct Syncing {
    client: Client,
    since: Option<String>,
    filter: Option<String>,
}

impl Syncing {
    pub(super) fn new(client: Client) -> Self {
        Self { client, since: None, filter: None }
    }

    /// With an inline filter, or the id of a stored one as a JSON string.
    #[must_use]
    pub fn filter(mut self, filter: &Value) -> Self {
        self.filter = Some(filter.as_str().map_or_else(|| filter.to_string(), str::to_owned));
        self
    }

    #[must_use]
    pub fn since(mut self, token: &str) -> Self {
        self.since = Some(token.to_owned());
        self
    }

    /// The token of the last response.
    pub fn token(&self) -> &str {
        self.since.as_deref().expect("a sync before")
    }

    /// One sync that does not wait.
    pub async fn now(&mut self) -> Value {
        self.step(Duration::ZERO).await
    }

    /// One sync that waits until there is something, or `time` is over.
    pub async fn step(&mut self, time: Duration) -> Value {
        let response = self.peek(time).await;
        self.since = Some(response["next_batch"].as_str().expect("next_batch").to_owned());
        response
    }

    /// As [`Syncing::step`], but the place stays, as if the response was lost.
    pub async fn peek(&self, time: Duration) -> Value {
        let mut call = self.client.get("/sync").query("timeout", time.as_millis()).within(time + deadline());
        if let Some(since) = &self.since {
            call = call.query("since", since);
        }
        if let Some(filter) = &self.filter {
            call = call.query("filter", filter);
        }
        call.await.ok()
    }

    /// Syncs until `check` finds in a response what it looks for.
    pub async fn until<T>(&mut self, what: &str, check: impl FnMut(&Value) -> Option<T>) -> T {
        let what = format!("{what} for {}", self.client.user_id());
        found(&what, async |time| self.step(time).await, check).await
    }

    /// Syncs until this to-device type came; its event.
    pub async fn until_to_device(&mut self, kind: &str) -> Value {
        self.until(kind, |sync| to_device(sync).into_iter().find(|event| event["type"] == kind)).await
    }

    /// Syncs until the user's device list is said to have changed.
    pub async fn until_changed(&mut self, user: &str) -> Value {
        let what = format!("{user} in device_lists.changed");
        self.until(&what, |sync| device_lists_changed(sync).iter().any(|other| other == user).then(|| sync.clone()))
            .await
    }
}

/// Asks, each time for as long as is left, until `check` finds in an answer what it looks for.
pub(super) async fn found<T>(
    what: &str,
    mut ask: impl AsyncFnMut(Duration) -> Value,
    mut check: impl FnMut(&Value) -> Option<T>,
) -> T {
    let began = Instant::now();
    let mut last = Value::Null;
    while let Some(rest) = deadline().checked_sub(began.elapsed()) {
        last = ask(rest.min(Duration::from_secs(10))).await;
        if let Some(found) = check(&last) {
            return found;
        }
    }
    panic!("{what}: not in any sync within {:?}; the last: {last}", deadline());
}

/// The timeline of a joined room, empty if it is not in the response.
pub fn timeline(sync: &Value, room: &str) -> Vec<Value> {
    list(&sync["rooms"]["join"][room]["timeline"]["events"])
}

/// A joined room's part, null if there is none.
pub fn joined_room(sync: &Value, room: &str) -> Value {
    sync["rooms"]["join"][room].clone()
}

/// The to-device events.
pub fn to_device(sync: &Value) -> Vec<Value> {
    list(&sync["to_device"]["events"])
}

/// `device_lists.changed`.
pub fn device_lists_changed(sync: &Value) -> Vec<String> {
    texts(&sync["device_lists"]["changed"])
}

/// `device_lists.left`.
pub fn device_lists_left(sync: &Value) -> Vec<String> {
    texts(&sync["device_lists"]["left"])
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
