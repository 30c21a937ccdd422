//! `GET /_matrix/client/v3/rooms/{roomId}/aliases`

use axum::extract::State;
use olmstead_service::rooms::aliases;
use ruma::{OwnedRoomAliasId, OwnedRoomId};
use serde::Serialize;

use super::args::Id;
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, Path},
};

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    aliases: Vec<OwnedRoomAliasId>,
}

/// The aliases of a room.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
) -> ApiResult<Json<Reply>> {
    let aliases = aliases::of_room(&app.cx, &auth.device.user_id, &room_id).await?;
    Ok(Json(Reply { aliases }))
}
