//! Sends what the machine asks for.

use matrix_sdk_crypto::types::requests::{AnyOutgoingRequest, KeysQueryRequest, ToDeviceRequest};
use sdk_ruma::{
    OwnedUserId, TransactionId,
    api::{
        IncomingResponse,
        client::{
            keys::{
                claim_keys::v3::Response as KeysClaimResponse,
                get_keys::v3::Response as KeysQueryResponse,
                upload_keys::v3::{Request as KeysUploadRequest, Response as KeysUploadResponse},
                upload_signatures::v3::{Request as SignaturesRequest, Response as SignaturesResponse},
            },
            message::send_message_event::v3::Response as RoomMessageResponse,
            to_device::send_event_to_device::v3::Response as ToDeviceResponse,
        },
    },
    events::MessageLikeEventContent as _,
};
use serde_json::{Value, json};

use super::crypto_client::{Inner, patience};
use crate::harness::{Call, at};

impl Inner {
    /// Sends everything that waits, and what follows from the answers.
    pub(super) async fn pump(&self) {
        let mut last = Vec::new();
        // Others may claim a key between an upload and the next, which asks for one more: so many times that happens.
        for _ in 0..1_000 {
            let requests = self.machine().outgoing_requests().await.expect("the machine's requests");
            if requests.is_empty() {
                return;
            }
            for request in &requests {
                self.send_request(request.request_id(), request.request()).await;
            }
            last = requests;
        }
        panic!("{} does not come to rest: {last:?}", self.client().user_id());
    }

    async fn send_request(&self, id: &TransactionId, request: &AnyOutgoingRequest) {
        match request {
            AnyOutgoingRequest::KeysUpload(request) => self.upload_keys(id, request).await,
            AnyOutgoingRequest::KeysQuery(request) => self.query(id, request).await,
            AnyOutgoingRequest::KeysClaim(request) => {
                let body = json!({"one_time_keys": request.one_time_keys});
                let response: KeysClaimResponse = answered(self.client().post("/keys/claim", body)).await;
                self.machine().mark_request_as_sent(id, &response).await.expect("claimed keys are taken in");
            }
            AnyOutgoingRequest::ToDeviceRequest(request) => self.send_to_device(request).await,
            AnyOutgoingRequest::SignatureUpload(request) => self.upload_signatures(id, request).await,
            AnyOutgoingRequest::RoomMessage(request) => {
                let kind = request.content.event_type().to_string();
                let path = at!("/rooms/{}/send/{}/{}", request.room_id.as_str(), kind, request.txn_id.as_str());
                let body = serde_json::to_value(&request.content).expect("JSON");
                let response: RoomMessageResponse = answered(self.client().put(path, body)).await;
                self.machine().mark_request_as_sent(id, &response).await.expect("a sent event is taken in");
            }
        }
    }

    /// Claims a key for every device of these users that there is no session with.
    pub(super) async fn claim_missing(&self, users: &[OwnedUserId]) {
        let missing = self.machine().get_missing_sessions(users.iter().map(AsRef::as_ref)).await;
        if let Some((id, request)) = missing.expect("the missing sessions") {
            self.send_request(&id, &AnyOutgoingRequest::KeysClaim(request)).await;
        }
    }

    pub(super) async fn send_to_device(&self, request: &ToDeviceRequest) {
        let path = at!("/sendToDevice/{}/{}", request.event_type.to_string(), request.txn_id.as_str());
        let response: ToDeviceResponse = answered(self.client().put(path, json!({"messages": request.messages}))).await;
        self.machine().mark_request_as_sent(&request.txn_id, &response).await.expect("a sent message is taken in");
    }

    pub(super) async fn query(&self, id: &TransactionId, request: &KeysQueryRequest) {
        let body = json!({"device_keys": request.device_keys});
        let response: KeysQueryResponse = answered(self.client().post("/keys/query", body)).await;
        self.machine().mark_request_as_sent(id, &response).await.expect("queried keys are taken in");
    }

    async fn upload_keys(&self, id: &TransactionId, request: &KeysUploadRequest) {
        let mut body = json!({});
        if let Some(keys) = &request.device_keys {
            body["device_keys"] = serde_json::to_value(keys).expect("JSON");
        }
        if !request.one_time_keys.is_empty() {
            body["one_time_keys"] = serde_json::to_value(&request.one_time_keys).expect("JSON");
        }
        if !request.fallback_keys.is_empty() {
            body["fallback_keys"] = serde_json::to_value(&request.fallback_keys).expect("JSON");
        }
        let response: KeysUploadResponse = answered(self.client().post("/keys/upload", body)).await;
        self.machine().mark_request_as_sent(id, &response).await.expect("an upload is taken in");
    }

    async fn upload_signatures(&self, id: &TransactionId, request: &SignaturesRequest) {
        let body = serde_json::to_value(&request.signed_keys).expect("JSON");
        let response: SignaturesResponse = answered(self.client().post("/keys/signatures/upload", body)).await;
        assert!(response.failures.is_empty(), "refused signatures: {:?}", response.failures);
        self.machine().mark_request_as_sent(id, &response).await.expect("signatures are taken in");
    }

    pub(super) async fn bootstrap_cross_signing(&self) {
        let requests = self.machine().bootstrap_cross_signing(false).await.expect("cross-signing keys");
        if let Some(request) = &requests.upload_keys_req {
            self.send_request(request.request_id(), request.request()).await;
        }
        let keys = &requests.upload_signing_keys_req;
        let body = json!({
            "master_key": keys.master_key,
            "self_signing_key": keys.self_signing_key,
            "user_signing_key": keys.user_signing_key,
        });
        self.client().post("/keys/device_signing/upload", body).with_password().within(patience()).await.ok();
        self.upload_signatures(&TransactionId::new(), &requests.upload_signatures_req).await;
        self.pump().await;
    }
}

/// The typed answer to a call.
async fn answered<T: IncomingResponse>(call: Call) -> T {
    let response = call.within(patience()).await;
    let _: Value = response.ok();
    let text = response.to_string();
    T::try_from_http_response(response.into_http()).unwrap_or_else(|_| panic!("not what the SDK expects: {text}"))
}
