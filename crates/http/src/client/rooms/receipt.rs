//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}`

use axum::extract::State;
use olmstead_service::{
    Refusal,
    rooms::receipts::{ReceiptKind, set_receipt},
};
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use serde_json::Value;

use super::args::Id;
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::{ApiError, ApiResult},
    extract::{Empty, JsonBody, Path},
};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    thread_id: Option<Value>,
}

/// Sets a receipt.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((Id(room_id), kind, Id(event_id))): Path<(Id<OwnedRoomId>, String, Id<OwnedEventId>)>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Empty> {
    let kind = ReceiptKind::parse(&kind)?;
    let thread_id = match &body.thread_id {
        None => None,
        Some(Value::String(thread_id)) => Some(thread_id.as_str()),
        Some(_) => return Err(ApiError::refused(Refusal::InvalidParam, "thread_id has to be a text.")),
    };
    set_receipt(&app.cx, &auth.device.user_id, &room_id, kind, &event_id, thread_id).await?;
    Ok(Empty)
}
