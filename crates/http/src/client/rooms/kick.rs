//! `POST /_matrix/client/v3/rooms/{roomId}/kick`

use axum::extract::State;
use olmstead_service::rooms::membership;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;

use super::args::{Id, id};
use crate::{
    App,
    auth::Auth,
    error::{ApiError, ApiResult},
    extract::{Empty, JsonBody, Path},
};

/// Whom, and why.
#[derive(Debug, Deserialize)]
pub(super) struct Whom {
    user_id: String,
    pub(super) reason: Option<String>,
}

impl Whom {
    pub(super) fn user_id(&self) -> Result<OwnedUserId, ApiError> {
        id("user id", &self.user_id)
    }
}

/// Removes somebody.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Whom>,
) -> ApiResult<Empty> {
    let target = body.user_id()?;
    membership::kick(&app.cx, &auth.device.user_id, &room_id, &target, body.reason.as_deref()).await?;
    Ok(Empty)
}
