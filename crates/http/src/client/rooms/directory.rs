//! `GET` and `PUT /_matrix/client/v3/directory/list/room/{roomId}`

use axum::extract::State;
use olmstead_service::{Refusal, rooms::directory};
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};

use super::args::Id;
use crate::{
    App,
    auth::Auth,
    error::{ApiError, ApiResult},
    extract::{Empty, Json, JsonBody, Path},
};

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    visibility: &'static str,
}

/// Whether a room is in the directory.
pub(super) async fn read(State(app): State<App>, Path(Id(room_id)): Path<Id<OwnedRoomId>>) -> ApiResult<Json<Reply>> {
    let published = directory::is_published(&app.cx, &room_id).await?;
    Ok(Json(Reply { visibility: if published { "public" } else { "private" } }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    visibility: Option<String>,
}

/// Publishes a room, or takes it out.
pub(super) async fn write(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Empty> {
    let published = match body.visibility.as_deref() {
        None | Some("public") => true,
        Some("private") => false,
        Some(_) => return Err(ApiError::refused(Refusal::InvalidParam, "visibility is public or private.")),
    };
    directory::set_published(&app.cx, &auth, &room_id, published).await?;
    Ok(Empty)
}
