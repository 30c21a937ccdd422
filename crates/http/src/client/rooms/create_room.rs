//! `POST /_matrix/client/v3/createRoom`

use axum::extract::State;
use olmstead_service::rooms::create::{CreateRoom, create_room};
use ruma::OwnedRoomId;
use serde::Serialize;

use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Json, JsonBody},
};

/// Names a room.
#[derive(Debug, Serialize)]
pub(super) struct RoomReply {
    pub(super) room_id: OwnedRoomId,
}

/// Creates a room.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth,
    JsonBody(request): JsonBody<CreateRoom>,
) -> ApiResult<Json<RoomReply>> {
    let room_id = create_room(&app.cx, &auth.device.user_id, request).await?;
    Ok(Json(RoomReply { room_id }))
}
