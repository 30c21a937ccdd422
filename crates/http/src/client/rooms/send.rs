//! `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`

use axum::extract::State;
use olmstead_service::rooms::send;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Serialize;

use super::args::Id;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, Missing, Path, RawBody},
};

/// Names an event.
#[derive(Debug, Serialize)]
pub(super) struct EventReply {
    pub(super) event_id: OwnedEventId,
}

/// Sends a message event.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((Id(room_id), event_type, transaction_id)): Path<(Id<OwnedRoomId>, String, String)>,
    RawBody(body): RawBody,
) -> ApiResult<Json<EventReply>> {
    let content = app.parse(body, Missing::BadJson).await?;
    let event_id = send::send(&app.cx, &auth, &room_id, &event_type, &transaction_id, &content).await?;
    Ok(Json(EventReply { event_id }))
}
