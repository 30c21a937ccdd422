//! The endpoints that encrypted conversations rest on, for tests of what all of them have in common.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{
    Call, Client, at,
    keys::{ALGORITHM, CrossSigning},
    segment, unique,
};

/// One of them, with a request that a user may make.
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// Whether guests may use it.
    pub(super) guests: bool,
}

impl Endpoint {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, guests: false }
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    fn put(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path) }
    }

    fn post(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    fn delete(path: impl Into<String>) -> Self {
        Self { body: Some(json!({})), ..Self::new(Method::DELETE, path) }
    }

    fn for_guests(self) -> Self {
        Self { guests: true, ..self }
    }

    pub(super) fn call(&self, by: &Client) -> Call {
        let call = by.call(self.method.clone(), &self.path);
        match &self.body {
            Some(body) => call.json(body.clone()),
            None => call,
        }
    }
}

/// All of them, as this device would use them; `token` is one of its syncs.
pub(super) fn all(of: &Client, token: &str) -> Vec<Endpoint> {
    let (user, device) = (of.user_id(), of.device_id());
    let key = json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": false, "session_data": {}});
    let version = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}});
    let mut endpoints = vec![
        Endpoint::post("/keys/upload", json!({})).for_guests(),
        Endpoint::post("/keys/query", json!({"device_keys": {user: []}})).for_guests(),
        Endpoint::post("/keys/claim", json!({"one_time_keys": {user: {device: ALGORITHM}}})).for_guests(),
        Endpoint::get(format!("/keys/changes?from={0}&to={0}", segment(token))),
        Endpoint::post("/keys/device_signing/upload", CrossSigning::new(user).upload()),
        Endpoint::post("/keys/signatures/upload", json!({})),
        Endpoint::put(at!("/sendToDevice/org.example/{}", unique()), json!({"messages": {}})).for_guests(),
        Endpoint::get("/sync").for_guests(),
        Endpoint::get("/account/whoami").for_guests(),
        Endpoint::get("/devices").for_guests(),
        Endpoint::get(at!("/devices/{}", device)).for_guests(),
        Endpoint::put(at!("/devices/{}", device), json!({})).for_guests(),
        Endpoint::delete("/devices/NONE"),
        Endpoint::post("/delete_devices", json!({"devices": []})),
        Endpoint::post("/room_keys/version", version.clone()),
        Endpoint::get("/room_keys/version"),
        Endpoint::get("/room_keys/version/1"),
        Endpoint::put("/room_keys/version/1", version),
    ];
    let rooms = json!({"!r:example.org": {"sessions": {"s": key}}});
    let sessions = rooms["!r:example.org"].clone();
    for (scope, body) in [("", json!({"rooms": rooms})), ("/!r:example.org", sessions), ("/!r:example.org/s", key)] {
        let path = format!("/room_keys/keys{scope}?version=1");
        endpoints.extend([Endpoint::put(&path, body), Endpoint::get(&path), Endpoint::delete(&path)]);
    }
    endpoints.push(Endpoint::delete("/room_keys/version/1"));
    endpoints
}

/// [`all`], after the sync that they need.
pub(super) async fn of(client: &Client) -> Vec<Endpoint> {
    all(client, client.sync(None).await["next_batch"].as_str().expect("next_batch"))
}
