//! Real crypto clients: what they say to each other must be decrypted by all of them.

use std::{collections::BTreeMap, time::Instant};

use matrix_sdk_crypto::{
    DecryptionSettings, EncryptionSettings, EncryptionSyncChanges, OlmMachine, TrustRequirement,
    types::requests::{AnyIncomingResponse, AnyOutgoingRequest, ToDeviceRequest},
};
use sdk_ruma::{
    DeviceId, OneTimeKeyAlgorithm, OwnedUserId, RoomId, TransactionId, UInt, UserId,
    api::{
        IncomingResponse,
        client::{
            keys::{claim_keys, get_keys, upload_keys, upload_signatures},
            sync::sync_events::DeviceLists,
            to_device::send_event_to_device,
        },
    },
    events::AnyToDeviceEvent,
    serde::Raw,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Crew, lanes::OWN, syncing::FILTER};
use crate::api::{Device, segment};

/// A device with an [`OlmMachine`].
pub(crate) struct Talker {
    device: Device,
    machine: OlmMachine,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    since: Option<String>,
    /// Events that are not decrypted yet, and why.
    waiting: Vec<(Value, String)>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The typed answer that the machine wants.
fn typed<T: IncomingResponse>(answer: &Value) -> Result<T, String> {
    let body = serde_json::to_vec(answer).map_err(text)?;
    T::try_from_http_response(http::Response::new(body)).map_err(|_| format!("not what the SDK expects: {answer}"))
}

fn part<T: DeserializeOwned + Default>(value: &Value) -> Result<T, String> {
    if value.is_null() { Ok(T::default()) } else { serde_json::from_value(value.clone()).map_err(text) }
}

impl Talker {
    pub(super) async fn new(device: Device) -> Result<Self, String> {
        let user = <&UserId>::try_from(device.user_id.as_str()).map_err(text)?;
        let machine = OlmMachine::new(user, <&DeviceId>::from(device.device_id.as_str())).await;
        let this = Self { device, machine, place: Mutex::default() };
        this.pump().await?;
        Ok(this)
    }

    pub(super) const fn device(&self) -> &Device {
        &self.device
    }

    /// Sends what the machine asks for, and what follows from the answers.
    async fn pump(&self) -> Result<(), String> {
        for _ in 0..100 {
            let requests = self.machine.outgoing_requests().await.map_err(text)?;
            if requests.is_empty() {
                return Ok(());
            }
            for request in &requests {
                self.request(request.request_id(), request.request()).await?;
            }
        }
        Err("the machine does not come to rest".to_owned())
    }

    /// Tells the machine what became of a request.
    async fn mark<'a>(
        &'a self,
        id: &'a TransactionId,
        answer: impl Into<AnyIncomingResponse<'a>>,
    ) -> Result<(), String> {
        self.machine.mark_request_as_sent(id, answer).await.map_err(text)
    }

    async fn request(&self, id: &TransactionId, request: &AnyOutgoingRequest) -> Result<(), String> {
        let device = &self.device;
        match request {
            AnyOutgoingRequest::KeysUpload(request) => {
                let mut body = json!({});
                if let Some(keys) = &request.device_keys {
                    body["device_keys"] = serde_json::to_value(keys).map_err(text)?;
                }
                if !request.one_time_keys.is_empty() {
                    body["one_time_keys"] = serde_json::to_value(&request.one_time_keys).map_err(text)?;
                }
                if !request.fallback_keys.is_empty() {
                    body["fallback_keys"] = serde_json::to_value(&request.fallback_keys).map_err(text)?;
                }
                let answer: upload_keys::v3::Response = typed(&device.post("/keys/upload", &body).await?)?;
                self.mark(id, &answer).await
            }
            AnyOutgoingRequest::KeysQuery(request) => {
                let body = json!({"device_keys": request.device_keys});
                let answer: get_keys::v3::Response = typed(&device.post("/keys/query", &body).await?)?;
                self.mark(id, &answer).await
            }
            AnyOutgoingRequest::KeysClaim(request) => {
                let body = json!({"one_time_keys": request.one_time_keys});
                let answer: claim_keys::v3::Response = typed(&device.post("/keys/claim", &body).await?)?;
                self.mark(id, &answer).await
            }
            AnyOutgoingRequest::SignatureUpload(request) => {
                let body = serde_json::to_value(&request.signed_keys).map_err(text)?;
                let answer: upload_signatures::v3::Response =
                    typed(&device.post("/keys/signatures/upload", &body).await?)?;
                self.mark(id, &answer).await
            }
            AnyOutgoingRequest::ToDeviceRequest(request) => self.send_to_device(request).await,
            AnyOutgoingRequest::RoomMessage(_) => Err("the machine wants to verify somebody".to_owned()),
        }
    }

    async fn send_to_device(&self, request: &ToDeviceRequest) -> Result<(), String> {
        let (kind, id) = (request.event_type.to_string(), request.txn_id.as_str());
        let path = format!("/sendToDevice/{}/{}", segment(&kind), segment(id));
        let answer = self.device.put(&path, &json!({"messages": request.messages})).await?;
        let answer: send_event_to_device::v3::Response = typed(&answer)?;
        self.mark(&request.txn_id, &answer).await
    }

    /// One sync: what was decrypted, by sender, and how many to-device messages could not be.
    async fn sync(&self, room: &str, place: &mut Place) -> Result<(Vec<(String, Value)>, usize), String> {
        let mut path = format!("/sync?timeout=0&filter={}", segment(FILTER));
        if let Some(since) = &place.since {
            path.push_str(&format!("&since={}", segment(since)));
        }
        let answer = self.device.get(&path).await?;
        let events: Vec<Raw<AnyToDeviceEvent>> = part(&answer["to_device"]["events"])?;
        let lists: DeviceLists = part(&answer["device_lists"])?;
        let counts: BTreeMap<OneTimeKeyAlgorithm, UInt> = part(&answer["device_one_time_keys_count"])?;
        let fallback: Option<Vec<OneTimeKeyAlgorithm>> = part(&answer["device_unused_fallback_key_types"])?;
        let changes = EncryptionSyncChanges {
            to_device_events: events,
            changed_devices: &lists,
            one_time_keys_counts: &counts,
            unused_fallback_keys: fallback.as_deref(),
            next_batch_token: answer["next_batch"].as_str().map(str::to_owned),
        };
        let settings = DecryptionSettings { sender_device_trust_requirement: TrustRequirement::Untrusted };
        let (events, _) = self.machine.receive_sync_changes(changes, &settings).await.map_err(text)?;
        let broken = events.iter().filter(|event| event.to_raw().json().get().contains("\"m.room.encrypted\"")).count();
        place.since = answer["next_batch"].as_str().map(str::to_owned);
        self.pump().await?;
        let timeline = &answer["rooms"]["join"][room]["timeline"];
        if timeline["limited"] == true && !place.waiting.is_empty() {
            return Err("the talk was too fast for a timeline".to_owned());
        }
        let events = timeline["events"].as_array().into_iter().flatten();
        let encrypted = events.filter(|event| event["type"] == "m.room.encrypted");
        place.waiting.extend(encrypted.map(|event| (event.clone(), String::new())));
        let room_id = <&RoomId>::try_from(room).map_err(text)?;
        let (mut decrypted, mut waiting) = (Vec::new(), Vec::new());
        for (event, _) in std::mem::take(&mut place.waiting) {
            let raw = Raw::from_json_string(event.to_string()).map_err(text)?;
            match self.machine.decrypt_room_event(&raw, room_id, &settings).await {
                Ok(clear) => {
                    let clear: Value = serde_json::from_str(clear.event.json().get()).map_err(text)?;
                    let sender = event["sender"].as_str().unwrap_or_default().to_owned();
                    decrypted.push((sender, clear["content"]["number"].clone()));
                }
                Err(why) => waiting.push((event, why.to_string())),
            }
        }
        place.waiting = waiting;
        Ok((decrypted, broken))
    }

    /// Shares the key of the room with all members and encrypts.
    async fn encrypt(&self, room: &str, users: &[OwnedUserId], content: &Value) -> Result<Value, String> {
        let room_id = <&RoomId>::try_from(room).map_err(text)?;
        let users: Vec<&UserId> = users.iter().map(|user| &**user).collect();
        self.machine.update_tracked_users(users.iter().copied()).await.map_err(text)?;
        self.pump().await?;
        if let Some((id, request)) = self.machine.get_missing_sessions(users.iter().copied()).await.map_err(text)? {
            self.request(&id, &AnyOutgoingRequest::KeysClaim(request)).await?;
        }
        let settings = EncryptionSettings::default();
        for request in self.machine.share_room_key(room_id, users.iter().copied(), settings).await.map_err(text)? {
            self.send_to_device(&request).await?;
        }
        let content = Raw::new(content).map_err(text)?.cast_unchecked();
        let encrypted = self.machine.encrypt_room_event_raw(room_id, OWN, &content).await;
        serde_json::to_value(&encrypted.map_err(text)?.content).map_err(text)
    }
}

impl Crew {
    /// Everybody talks once, in turn, and all hear it. Two clients that begin to talk to each other at the same moment
    /// make two Olm sessions, and then share a room key again from a later message on: a device that keeps the later one
    /// cannot read what came before, whatever the server does.
    pub(super) async fn get_acquainted(&self) -> Result<(), String> {
        for n in 0..self.talkers.len() {
            self.talk(n).await?;
            for other in 0..self.talkers.len() {
                self.hear(other).await?;
            }
        }
        Ok(())
    }

    /// Hears what the others said, and says something, now and then with a new key.
    pub(super) async fn talk(&self, n: usize) -> Result<(), String> {
        let talker = &self.talkers[n];
        self.hear(n).await?;
        let users: Result<Vec<OwnedUserId>, _> =
            self.talkers.iter().map(|talker| UserId::parse(talker.device.user_id.as_str())).collect();
        let mut number = 0;
        let lanes: Vec<_> = self.talkers.iter().map(|to| lane(talker, &to.device)).collect();
        for lane in &lanes {
            number = self.ledger.books().decrypted.begin(lane);
        }
        if rand::random_ratio(1, 4) {
            let room_id = <&RoomId>::try_from(self.talk.as_str()).map_err(text)?;
            talker.machine.discard_room_key(room_id).await.map_err(text)?;
        }
        let body = talker.encrypt(&self.talk, &users.map_err(text)?, &json!({"number": number})).await?;
        let path = format!("/rooms/{}/send/m.room.encrypted/{}", segment(&self.talk), self.fresh());
        talker.device.put(&path, &body).await?;
        for lane in &lanes {
            self.ledger.books().decrypted.acknowledged(lane, number);
        }
        tokio::time::sleep(std::time::Duration::from_millis(rand::random_range(50..250))).await;
        Ok(())
    }

    async fn hear(&self, n: usize) -> Result<(), String> {
        let talker = &self.talkers[n];
        let mut place = talker.place.lock().await;
        let (decrypted, broken) = talker.sync(&self.talk, &mut place).await?;
        drop(place);
        for (sender, number) in decrypted {
            let number = number.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
            self.ledger.books().decrypted.came(&(sender, talker.device.user_id.clone()), number);
        }
        for _ in 0..broken {
            self.ledger.trouble(format!("{} could not decrypt a to-device message", talker.device.user_id));
        }
        Ok(())
    }

    /// Hears until all that was said is decrypted, and once more.
    pub(super) async fn listen(&self, n: usize) -> Result<(), String> {
        let began = Instant::now();
        while self.ledger.books().decrypted.missing() > 0 && began.elapsed().as_secs() < 30 {
            self.hear(n).await?;
        }
        self.hear(n).await?;
        for (event, why) in &self.talkers[n].place.lock().await.waiting {
            eprintln!("{} of {} was not decrypted: {why}", event["event_id"], event["sender"]);
        }
        Ok(())
    }
}

fn lane(from: &Talker, to: &Device) -> (String, String) {
    (from.device.user_id.clone(), to.user_id.clone())
}
