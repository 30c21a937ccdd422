//! `GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}`

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::{
    Refusal,
    rooms::{
        event::visible_event,
        render::{RenderOptions, render_with},
    },
};
use ruma::{OwnedEventId, OwnedRoomId};

use super::args::Id;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::{ApiError, ApiResult},
    extract::{Json, Path},
};

/// One event.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((Id(room_id), Id(event_id))): Path<(Id<OwnedRoomId>, Id<OwnedEventId>)>,
) -> ApiResult<Json<RawJson>> {
    let (event, history, _) = visible_event(&app.cx, &auth.device.user_id, &room_id, &event_id).await?;
    let events = std::slice::from_ref(&event);
    let rendered = render_with(&app.cx, &auth.device, &history, events, RenderOptions::FULL).await?;
    let event = rendered.into_iter().next();
    Ok(Json(event.ok_or_else(|| ApiError::refused(Refusal::NotFound, "There is no such event."))?))
}
