//! `POST /_matrix/client/v3/rooms/{roomId}/upgrade`

use axum::extract::State;
use olmstead_service::rooms::upgrade::upgrade;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::args::{Id, id};
use crate::{
    App,
    auth::Auth,
    error::{ApiError, ApiResult},
    extract::{Json, JsonBody, Path},
};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    new_version: String,
    #[serde(default)]
    additional_creators: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    replacement_room: OwnedRoomId,
}

/// Replaces a room by one of another version.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Json<Reply>> {
    let creators: Vec<OwnedUserId> =
        body.additional_creators.iter().map(|user| id("user id", user)).collect::<Result<_, ApiError>>()?;
    let user_id = &auth.device.user_id;
    let replacement_room = upgrade(&app.cx, user_id, &room_id, &body.new_version, creators).await?;
    Ok(Json(Reply { replacement_room }))
}
