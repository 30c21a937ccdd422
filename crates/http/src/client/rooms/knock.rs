//! `POST /_matrix/client/v3/knock/{roomIdOrAlias}`

use axum::extract::State;
use olmstead_service::rooms::join;
use ruma::OwnedRoomOrAliasId;

use super::{args::Id, create_room::RoomReply, join::Reason};
use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Json, JsonBody, Path},
};

/// Asks to be let in.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room)): Path<Id<OwnedRoomOrAliasId>>,
    JsonBody(body): JsonBody<Reason>,
) -> ApiResult<Json<RoomReply>> {
    let room_id = join::resolve(&app.cx, &room).await?;
    join::knock(&app.cx, &auth.device.user_id, &room_id, body.reason.as_deref()).await?;
    Ok(Json(RoomReply { room_id }))
}
