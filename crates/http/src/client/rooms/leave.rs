//! `POST /_matrix/client/v3/rooms/{roomId}/leave`

use axum::extract::State;
use olmstead_service::rooms::membership;
use ruma::OwnedRoomId;

use super::{args::Id, join::Reason};
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Empty, JsonBody, Path},
};

/// Leaves a room or refuses an invitation.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Reason>,
) -> ApiResult<Empty> {
    membership::leave(&app.cx, &auth.device.user_id, &room_id, body.reason.as_deref()).await?;
    Ok(Empty)
}
