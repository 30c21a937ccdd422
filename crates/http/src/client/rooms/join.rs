//! `POST /_matrix/client/v3/join/{roomIdOrAlias}` and `POST /_matrix/client/v3/rooms/{roomId}/join`

use axum::extract::State;
use olmstead_service::rooms::join;
use ruma::{OwnedRoomId, OwnedRoomOrAliasId};
use serde::Deserialize;

use super::{args::Id, create_room::RoomReply};
use crate::{
    App,
    auth::{Auth, GuestsToo},
    error::ApiResult,
    extract::{Json, JsonBody, Path},
};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Reason {
    pub(super) reason: Option<String>,
}

/// Joins a room by id or alias.
pub(super) async fn by_id_or_alias(
    State(app): State<App>,
    auth: Auth<GuestsToo>,
    Path(Id(room)): Path<Id<OwnedRoomOrAliasId>>,
    JsonBody(body): JsonBody<Reason>,
) -> ApiResult<Json<RoomReply>> {
    let room_id = join::resolve(&app.cx, &room).await?;
    join::join(&app.cx, &auth, &room_id, body.reason.as_deref()).await?;
    Ok(Json(RoomReply { room_id }))
}

/// Joins a room by id.
pub(super) async fn by_id(
    State(app): State<App>,
    auth: Auth<GuestsToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Reason>,
) -> ApiResult<Json<RoomReply>> {
    join::join(&app.cx, &auth, &room_id, body.reason.as_deref()).await?;
    Ok(Json(RoomReply { room_id }))
}
