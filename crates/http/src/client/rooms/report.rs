//! `POST /_matrix/client/v3/rooms/{roomId}/report`, `…/report/{eventId}` and `POST
//! /_matrix/client/v3/users/{userId}/report`

use axum::extract::State;
use olmstead_service::rooms::report;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Deserialize;

use super::{args::Id, join::Reason};
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, JsonBody, Path},
};

#[derive(Debug, Deserialize)]
pub(super) struct Why {
    reason: String,
}

/// Reports a room.
pub(super) async fn room(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Why>,
) -> ApiResult<Empty> {
    report::report_room(&app.cx, &auth.device.user_id, &room_id, &body.reason).await?;
    Ok(Empty)
}

/// Reports an event.
pub(super) async fn event(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((Id(room_id), Id(event_id))): Path<(Id<OwnedRoomId>, Id<OwnedEventId>)>,
    JsonBody(body): JsonBody<Reason>,
) -> ApiResult<Empty> {
    let reason = body.reason.as_deref();
    report::report_event(&app.cx, &auth.device.user_id, &room_id, &event_id, reason).await?;
    Ok(Empty)
}

/// Reports a user.
pub(super) async fn user(
    auth: Auth<SuspendedToo>,
    Path(Id(user_id)): Path<Id<OwnedUserId>>,
    JsonBody(body): JsonBody<Why>,
) -> ApiResult<Empty> {
    report::report_user(&auth.device.user_id, &user_id, &body.reason);
    Ok(Empty)
}
