//! A logged-in device, or nobody.

use http::Method;
use serde_json::{Value, json};

use super::{Call, Server, Syncing, at, unique};

/// Makes requests as one device. Cheap to clone.
///
/// A path is under `/_matrix/client/v3`, unless it begins with `/_` or `/.`, and a call ends in what the test expects:
/// `alice.post("/keys/upload", json!({})).await.ok()` or `.error(400, "M_BAD_JSON")`.
#[derive(Clone)]
pub struct Client {
    server: Server,
    user_id: String,
    device_id: String,
    token: Option<String>,
    password: String,
    patient: bool,
}

impl Client {
    pub(super) fn anonymous(server: Server) -> Self {
        Self {
            server,
            user_id: String::new(),
            device_id: String::new(),
            token: None,
            password: String::new(),
            patient: false,
        }
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The same device, with its requests sent to another node.
    pub fn via(&self, node: &Server) -> Self {
        Self { server: node.clone(), ..self.clone() }
    }

    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Tries again, as SDKs do, when the server cannot be reached or answers that it cannot now: the same request, so
    /// with the same transaction id.
    pub fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    pub fn is_patient(&self) -> bool {
        self.patient
    }

    pub fn get(&self, path: impl AsRef<str>) -> Call {
        Call::new(self, Method::GET, path.as_ref())
    }

    pub fn post(&self, path: impl AsRef<str>, body: Value) -> Call {
        Call::new(self, Method::POST, path.as_ref()).json(body)
    }

    pub fn put(&self, path: impl AsRef<str>, body: Value) -> Call {
        Call::new(self, Method::PUT, path.as_ref()).json(body)
    }

    pub fn delete(&self, path: impl AsRef<str>) -> Call {
        Call::new(self, Method::DELETE, path.as_ref()).json(json!({}))
    }

    /// Any method, no body.
    pub fn call(&self, method: Method, path: impl AsRef<str>) -> Call {
        Call::new(self, method, path.as_ref())
    }

    // Accounts and devices.

    /// Registers exactly this name and device.
    pub async fn register(&self, username: &str, device_id: &str) -> Self {
        let password = format!("pw-{}", unique());
        let body = json!({
            "username": username,
            "password": password,
            "device_id": device_id,
            "auth": {"type": "m.login.dummy"},
        });
        let answer = self.post("/register", body).token(None).await.ok();
        self.logged_in(&answer, password)
    }

    /// Another device of the same user, with a fresh id.
    pub async fn another_device(&self) -> Self {
        self.login(&format!("DEV{}", unique().to_uppercase())).await
    }

    /// Logs in as the same user with this device id.
    pub async fn login(&self, device_id: &str) -> Self {
        self.login_with(json!({"device_id": device_id})).await.0
    }

    /// Logs in as the same user with these members of the request beside those of a password login, or instead of them;
    /// with the answer.
    pub async fn login_with(&self, more: Value) -> (Self, Value) {
        let mut body = self.password_login();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answer = self.post("/login", body.clone()).token(None).await.ok();
        let password = body["password"].as_str().expect("a password").to_owned();
        (self.logged_in(&answer, password), answer)
    }

    /// The body of a login of this user with the password.
    pub fn password_login(&self) -> Value {
        json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.user_id},
            "password": self.password,
        })
    }

    pub async fn logout(&self) {
        self.post("/logout", json!({})).await.ok();
    }

    /// The same user and device, whatever its token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same device, after its user chose another password.
    pub fn with_new_password(&self, password: &str) -> Self {
        Self { password: password.to_owned(), ..self.clone() }
    }

    /// The device that the answer of a login or registration is about.
    pub fn logged_in(&self, answer: &Value, password: String) -> Self {
        let member = |name: &str| match answer[name].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("{name} is missing in {answer}"),
        };
        Self {
            user_id: member("user_id"),
            device_id: member("device_id"),
            token: Some(member("access_token")),
            password,
            ..self.clone()
        }
    }

    // Rooms.

    /// `createRoom`; the id of the room.
    pub async fn create_room(&self, body: Value) -> String {
        let answer = self.post("/createRoom", body).await.ok();
        answer["room_id"].as_str().expect("room_id").to_owned()
    }

    /// A private room with encryption on, and these users invited and joined.
    pub async fn encrypted_room(&self, others: &[&Client]) -> String {
        let invited: Vec<_> = others.iter().map(|client| client.user_id()).collect();
        let encryption = json!({"type": "m.room.encryption", "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
        let body = json!({"preset": "private_chat", "invite": invited, "initial_state": [encryption]});
        let room = self.create_room(body).await;
        for other in others {
            other.join(&room).await;
        }
        room
    }

    pub async fn join(&self, room: &str) {
        self.post(at!("/rooms/{}/join", room), json!({})).await.ok();
    }

    pub async fn invite(&self, room: &str, other: &Self) {
        self.post(at!("/rooms/{}/invite", room), json!({"user_id": other.user_id})).await.ok();
    }

    pub async fn leave(&self, room: &str) {
        self.post(at!("/rooms/{}/leave", room), json!({})).await.ok();
    }

    /// Sends an event; its id.
    pub async fn send(&self, room: &str, kind: &str, content: Value) -> String {
        let answer = self.put(at!("/rooms/{}/send/{}/{}", room, kind, unique()), content).await.ok();
        answer["event_id"].as_str().expect("event_id").to_owned()
    }

    pub async fn send_text(&self, room: &str, body: &str) -> String {
        self.send(room, "m.room.message", json!({"msgtype": "m.text", "body": body})).await
    }

    pub async fn send_state(&self, room: &str, kind: &str, key: &str, content: Value) -> String {
        let answer = self.put(at!("/rooms/{}/state/{}/{}", room, kind, key), content).await.ok();
        answer["event_id"].as_str().expect("event_id").to_owned()
    }

    // To-device.

    /// Sends to-device messages: user to device (or `*`) to content.
    pub async fn send_to_device(&self, kind: &str, messages: Value) {
        let body = json!({"messages": messages});
        self.put(at!("/sendToDevice/{}/{}", kind, unique()), body).await.ok();
    }

    // Sync.

    /// A sync from the beginning, to go on with.
    pub fn syncing(&self) -> Syncing {
        Syncing::new(self.clone())
    }

    /// One sync from `since` that does not wait.
    pub async fn sync(&self, since: Option<&str>) -> Value {
        let mut call = self.get("/sync").query("timeout", 0);
        if let Some(since) = since {
            call = call.query("since", since);
        }
        call.await.ok()
    }
}
