//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`

use axum::extract::State;
use olmstead_service::{Refusal, rooms::typing::set_typing};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;

use super::args::Id;
use crate::{
    App,
    auth::Auth,
    error::{ApiError, ApiResult},
    extract::{Empty, JsonBody, Path},
};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    typing: bool,
    timeout: Option<u64>,
}

/// Says whether the user types.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth,
    Path((Id(room_id), Id(user_id))): Path<(Id<OwnedRoomId>, Id<OwnedUserId>)>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Empty> {
    if user_id != auth.device.user_id {
        return Err(ApiError::refused(Refusal::Forbidden, "You cannot type for somebody else."));
    }
    set_typing(&app.cx, &user_id, &room_id, body.typing, body.timeout).await?;
    Ok(Empty)
}
