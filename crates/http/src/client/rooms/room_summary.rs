//! `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`

use axum::extract::State;
use olmstead_service::rooms::{
    join,
    summary::{RoomSummary, summary},
};
use ruma::OwnedRoomOrAliasId;

use super::args::Id;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, Path},
};

/// A room in short.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Option<Auth<AnyActive>>,
    Path(Id(room)): Path<Id<OwnedRoomOrAliasId>>,
) -> ApiResult<Json<RoomSummary>> {
    let room_id = join::resolve(&app.cx, &room).await?;
    let user_id = auth.as_ref().map(|auth| &*auth.device.user_id);
    Ok(Json(summary(&app.cx, user_id, &room_id).await?))
}
