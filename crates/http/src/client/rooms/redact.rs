//! `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`

use axum::extract::State;
use olmstead_service::rooms::redact;
use ruma::{OwnedEventId, OwnedRoomId};

use super::{args::Id, join::Reason, send::EventReply};
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, JsonBody, Path},
};

/// Redacts an event.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((Id(room_id), Id(target), transaction_id)): Path<(Id<OwnedRoomId>, Id<OwnedEventId>, String)>,
    JsonBody(body): JsonBody<Reason>,
) -> ApiResult<Json<EventReply>> {
    let reason = body.reason.as_deref();
    let event_id = redact::redact(&app.cx, &auth, &room_id, &target, &transaction_id, reason).await?;
    Ok(Json(EventReply { event_id }))
}
