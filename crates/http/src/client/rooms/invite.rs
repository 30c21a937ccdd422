//! `POST /_matrix/client/v3/rooms/{roomId}/invite`

use axum::extract::State;
use olmstead_service::{Refusal, rooms::invite};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, de::IgnoredAny};

use super::args::{Id, id};
use crate::{
    App,
    auth::Auth,
    error::{ApiError, ApiResult},
    extract::{Empty, JsonBody, Path},
};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    user_id: Option<String>,
    medium: Option<IgnoredAny>,
    reason: Option<String>,
}

/// Invites somebody.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Empty> {
    let Some(target) = &body.user_id else {
        return Err(match body.medium {
            Some(_) => {
                ApiError::refused(Refusal::Unknown, "This server cannot invite by e-mail address or phone number.")
            }
            None => ApiError::refused(Refusal::MissingParam, "user_id is missing."),
        });
    };
    let target: OwnedUserId = id("user id", target)?;
    invite::invite(&app.cx, &auth.device.user_id, &room_id, &target, body.reason.as_deref()).await?;
    Ok(Empty)
}
