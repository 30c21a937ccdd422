//! `POST /_matrix/client/v3/rooms/{roomId}/forget`

use axum::extract::State;
use olmstead_service::rooms::membership;
use ruma::OwnedRoomId;

use super::args::Id;
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, Path},
};

/// Forgets a room that was left.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
) -> ApiResult<Empty> {
    membership::forget(&app.cx, &auth.device.user_id, &room_id).await?;
    Ok(Empty)
}
