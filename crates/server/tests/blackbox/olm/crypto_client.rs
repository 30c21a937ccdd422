//! A device that encrypts and decrypts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use matrix_sdk_crypto::{DecryptionSettings, EncryptionSettings, EncryptionSyncChanges, OlmMachine, TrustRequirement};
use sdk_ruma::{
    DeviceId, OneTimeKeyAlgorithm, OwnedUserId, RoomId, UInt, UserId, api::client::sync::sync_events::DeviceLists,
    events::AnyToDeviceEvent, serde::Raw,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::AbortHandle};

use super::{
    rooms::{Message, Rooms},
    sliding,
};
use crate::harness::{Client, Sliding, at, deadline, unique};

/// A user and a device of it.
pub type Device = (String, String);

/// What [`CryptoClient::send`] did.
#[derive(Debug, Clone)]
pub struct Sent {
    pub event_id: String,
    /// The devices that the sender knew when it shared the key of this message; its own is among them.
    pub shared_with: BTreeSet<Device>,
}

/// A device with an [`OlmMachine`] whose store is in memory. Cheap to clone; it stops with the last clone.
///
/// It does what an SDK does: syncs, sends what the machine asks for, follows members and devices, asks for missing
/// sessions, shares room keys, and tries every request again while the server is away.
#[derive(Clone)]
pub struct CryptoClient {
    inner: Arc<Inner>,
    /// Stops the sync loop with the last clone.
    _running: Option<Arc<Running>>,
}

pub(super) struct Inner {
    client: Client,
    machine: OlmMachine,
    /// Who holds it may change the machine's state; the token of the last sync.
    turn: tokio::sync::Mutex<Option<String>>,
    rooms: Mutex<Rooms>,
    /// To-device events that could not be decrypted.
    broken: Mutex<Vec<Value>>,
    /// To-device events as the machine gave them out, decrypted where they were encrypted.
    to_device: Mutex<Vec<Value>>,
    progress: watch::Sender<u64>,
    /// The connection of a device that uses sliding sync.
    sliding: Option<tokio::sync::Mutex<Sliding>>,
}

struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl CryptoClient {
    /// A fresh identity for a client's device: first sync done, keys uploaded. It does not sync by itself.
    pub async fn new(client: &Client) -> Self {
        Self::begin(client, None).await
    }

    async fn begin(client: &Client, sliding: Option<Sliding>) -> Self {
        let client = client.patient();
        let user_id = <&UserId>::try_from(client.user_id()).expect("a user id");
        let machine = OlmMachine::new(user_id, <&DeviceId>::from(client.device_id())).await;
        let inner = Inner {
            client,
            machine,
            turn: tokio::sync::Mutex::new(None),
            rooms: Mutex::default(),
            broken: Mutex::default(),
            to_device: Mutex::default(),
            progress: watch::channel(0).0,
            sliding: sliding.map(tokio::sync::Mutex::new),
        };
        let this = Self { inner: Arc::new(inner), _running: None };
        this.sync().await;
        this
    }

    /// As [`CryptoClient::new`], and goes on syncing in the background.
    pub async fn running(client: &Client) -> Self {
        Self::new(client).await.run()
    }

    /// As [`CryptoClient::running`], over sliding sync.
    pub async fn sliding(client: &Client) -> Self {
        Self::begin(client, Some(sliding::connection(&client.patient()))).await.run()
    }

    /// Goes on syncing in the background.
    pub fn run(mut self) -> Self {
        let this = &mut self;
        let inner = Arc::downgrade(&this.inner);
        let task = tokio::spawn(async move {
            while let Some(inner) = inner.upgrade() {
                // Also ends when nobody is left who could see what comes.
                inner.sync(Duration::from_secs(20)).await;
            }
        });
        this._running = Some(Arc::new(Running(task.abort_handle())));
        self
    }

    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    pub fn device(&self) -> Device {
        (self.inner.client.user_id().to_owned(), self.inner.client.device_id().to_owned())
    }

    pub fn machine(&self) -> &OlmMachine {
        &self.inner.machine
    }

    /// One sync that does not wait.
    pub async fn sync(&self) {
        self.inner.sync(Duration::ZERO).await;
    }

    /// Shares the room's key with all devices of its members and sends a message.
    pub async fn send_text(&self, room: &str, body: &str) -> Sent {
        self.send(room, "m.room.message", json!({"msgtype": "m.text", "body": body})).await
    }

    /// As [`CryptoClient::send_text`], any event.
    pub async fn send(&self, room: &str, kind: &str, content: Value) -> Sent {
        let inner = &self.inner;
        let _turn = inner.turn.lock().await;
        inner.pump().await;
        let room_id = <&RoomId>::try_from(room).expect("a room id");
        let members = inner.rooms().recipients(room);
        let users: Vec<OwnedUserId> = members.iter().map(|user| user.parse().expect("a user id")).collect();
        inner.claim_missing(&users).await;
        let settings = EncryptionSettings::default();
        let requests = inner.machine.share_room_key(room_id, users.iter().map(AsRef::as_ref), settings).await;
        for request in requests.expect("a room key can be shared") {
            inner.send_to_device(&request).await;
        }
        let shared_with = inner.known_devices(&members).await;
        let content = Raw::new(&content).expect("JSON").cast_unchecked();
        let encrypted =
            inner.machine.encrypt_room_event_raw(room_id, kind, &content).await.expect("an encrypted event");
        let body = serde_json::to_value(&encrypted.content).expect("JSON");
        let path = at!("/rooms/{}/send/m.room.encrypted/{}", room, unique());
        let answer = inner.client.put(path, body).within(patience()).await.ok();
        Sent { event_id: answer["event_id"].as_str().expect("event_id").to_owned(), shared_with }
    }

    /// Uploads cross-signing keys and signs this device with them.
    pub async fn bootstrap_cross_signing(&self) {
        let _turn = self.inner.turn.lock().await;
        self.inner.bootstrap_cross_signing().await;
    }

    /// Asks for the devices of these users afresh.
    pub async fn query(&self, users: &[&str]) {
        let _turn = self.inner.turn.lock().await;
        let users: Vec<OwnedUserId> = users.iter().map(|user| user.parse().expect("a user id")).collect();
        let (id, request) = self.inner.machine.query_keys_for_users(users.iter().map(AsRef::as_ref));
        self.inner.query(&id, &request).await;
    }

    /// Logs the device out. It can do nothing any more.
    pub async fn logout(&self) {
        if let Some(running) = &self._running {
            running.0.abort();
        }
        let response = self.inner.client.post("/logout", json!({})).within(patience()).await;
        // The answer of an earlier attempt may have been lost.
        if response.errcode() != "M_UNKNOWN_TOKEN" {
            response.ok();
        }
    }

    /// Waits until `condition` holds, which else says what is missing; it is looked at after every sync.
    pub async fn until(&self, what: &str, time: Duration, mut condition: impl AsyncFnMut(&Self) -> Result<(), String>) {
        let mut progress = self.inner.progress.subscribe();
        let began = Instant::now();
        loop {
            progress.mark_unchanged();
            let Err(missing) = condition(self).await else { return };
            let rest = time.saturating_sub(began.elapsed());
            if tokio::time::timeout(rest, progress.changed()).await.is_err() {
                let report = self.report();
                panic!("{what}: {:?} did not within {time:?}: {missing}; {report}", self.device());
            }
        }
    }

    /// Which devices of these users this one would encrypt for, its own among them.
    pub async fn known_devices(&self, users: &BTreeSet<String>) -> BTreeSet<Device> {
        self.inner.known_devices(users).await
    }

    /// All decrypted messages of a room, in the order they were decrypted in.
    pub fn messages(&self, room: &str) -> Vec<Message> {
        self.inner.rooms().messages(room)
    }

    /// How often each event of the room came down, by event id.
    pub fn deliveries(&self, room: &str) -> BTreeMap<String, usize> {
        self.inner.rooms().deliveries(room)
    }

    /// Members of a room: user to membership.
    pub fn members(&self, room: &str) -> BTreeMap<String, String> {
        self.inner.rooms().members(room)
    }

    /// Waits until a message with this text is decrypted.
    pub async fn until_message(&self, room: &str, body: &str) -> Message {
        let found = async |this: &Self| {
            let found = this.messages(room).iter().any(|message| message.body == body);
            if found { Ok(()) } else { Err("not there".to_owned()) }
        };
        self.until(&format!("decrypting \"{body}\""), deadline(), found).await;
        self.messages(room).into_iter().find(|message| message.body == body).expect("the message")
    }

    /// To-device events that came, decrypted where they were encrypted.
    pub fn to_device(&self) -> Vec<Value> {
        self.inner.to_device.lock().unwrap().clone()
    }

    /// Encrypted to-device events that this device could not decrypt. A message that came twice is one of them.
    pub fn broken_to_device(&self) -> Vec<Value> {
        self.inner.broken.lock().unwrap().clone()
    }

    fn report(&self) -> String {
        let came: Vec<String> = self
            .to_device()
            .iter()
            .map(|event| format!("{} from {} {}", event["type"], event["sender"], event["content"]["session_id"]))
            .collect();
        format!(
            "{}, {} to-device events could not be decrypted; came: {came:?}",
            self.inner.rooms().report(),
            self.broken_to_device().len()
        )
    }
}

/// How long a request may be tried again.
pub(super) fn patience() -> Duration {
    deadline() * 3
}

/// Everybody's messages are accepted, as clients do by default.
pub(super) fn decryption() -> DecryptionSettings {
    DecryptionSettings { sender_device_trust_requirement: TrustRequirement::Untrusted }
}

impl Inner {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn machine(&self) -> &OlmMachine {
        &self.machine
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap()
    }

    /// One sync: waits for news without holding the turn, then takes them in.
    async fn sync(&self, wait: Duration) {
        let since = self.turn.lock().await.clone();
        let response = match &self.sliding {
            Some(connection) => sliding::sync(connection, wait).await,
            None => self.old_sync(since.as_deref(), wait).await,
        };
        let mut turn = self.turn.lock().await;
        // Two syncs at once are this client's mistake, not the server's.
        assert_eq!(*turn, since, "one sync at a time");
        self.take_in(&response, since.as_deref()).await;
        *turn = response["next_batch"].as_str().map(str::to_owned);
        drop(turn);
        self.progress.send_modify(|count| *count += 1);
    }

    async fn old_sync(&self, since: Option<&str>, wait: Duration) -> Value {
        let filter = json!({"presence": {"types": []}, "room": {"timeline": {"limit": 100}}});
        let mut call = self.client.get("/sync").query("timeout", wait.as_millis()).query("filter", filter);
        if let Some(since) = since {
            call = call.query("since", since);
        }
        call.within(wait + patience()).await.ok()
    }

    async fn take_in(&self, response: &Value, since: Option<&str>) {
        self.receive_encryption_changes(response).await;
        let gaps = self.rooms().take_in(response, since);
        for gap in gaps {
            let mut from = gap.from.clone();
            loop {
                let call = self.client.get(at!("/rooms/{}/messages", gap.room)).query("dir", "b").query("limit", 100);
                let page = call.query("from", &from).query("to", &gap.to).within(patience()).await.ok();
                let more = self.rooms().fill(&gap.room, &page);
                match page["end"].as_str() {
                    Some(end) if more => from = end.to_owned(),
                    _ => break,
                }
            }
        }
        let members: Vec<OwnedUserId> =
            self.rooms().encrypted_recipients().iter().map(|user| user.parse().expect("a user id")).collect();
        let tracked = self.machine.update_tracked_users(members.iter().map(AsRef::as_ref)).await;
        tracked.expect("users can be tracked");
        self.pump().await;
        self.decrypt().await;
    }

    async fn receive_encryption_changes(&self, response: &Value) {
        fn part<T: serde::de::DeserializeOwned + Default>(response: &Value, name: &str) -> T {
            match &response[name] {
                Value::Null => T::default(),
                value => {
                    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name} {value}: {error}"))
                }
            }
        }
        let events: Vec<Raw<AnyToDeviceEvent>> = part(&response["to_device"], "events");
        let lists: DeviceLists = part(response, "device_lists");
        let counts: BTreeMap<OneTimeKeyAlgorithm, UInt> = part(response, "device_one_time_keys_count");
        let fallback: Option<Vec<OneTimeKeyAlgorithm>> = part(response, "device_unused_fallback_key_types");
        let changes = EncryptionSyncChanges {
            to_device_events: events,
            changed_devices: &lists,
            one_time_keys_counts: &counts,
            unused_fallback_keys: fallback.as_deref(),
            next_batch_token: response["next_batch"].as_str().map(str::to_owned),
        };
        let (events, _) = self.machine.receive_sync_changes(changes, &decryption()).await.expect("a sync is taken in");
        for event in events {
            let event: Value = serde_json::from_str(event.to_raw().json().get()).expect("JSON");
            if event["type"] == "m.room.encrypted" {
                self.broken.lock().unwrap().push(event);
            } else {
                self.to_device.lock().unwrap().push(event);
            }
        }
    }

    /// Tries what is not decrypted yet.
    async fn decrypt(&self) {
        let waiting = self.rooms().waiting();
        for (room, event) in waiting {
            let raw = Raw::from_json_string(event.to_string()).expect("JSON");
            let room_id = <&RoomId>::try_from(room.as_str()).expect("a room id");
            if let Ok(decrypted) = self.machine.decrypt_room_event(&raw, room_id, &decryption()).await {
                let decrypted: Value = serde_json::from_str(decrypted.event.json().get()).expect("JSON");
                self.rooms().decrypted(&room, &decrypted);
            }
        }
    }

    async fn known_devices(&self, users: &BTreeSet<String>) -> BTreeSet<Device> {
        let mut known = BTreeSet::new();
        for user in users {
            let user_id = <&UserId>::try_from(user.as_str()).expect("a user id");
            let devices = self.machine.get_user_devices(user_id, None).await.expect("the devices of a user");
            known.extend(devices.keys().map(|device| (user.clone(), device.to_string())));
        }
        known.insert((self.client.user_id().to_owned(), self.client.device_id().to_owned()));
        known
    }
}
