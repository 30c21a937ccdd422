//! `POST /_matrix/client/v3/rooms/{roomId}/ban` and `…/unban`

use axum::extract::State;
use olmstead_service::rooms::membership;
use ruma::OwnedRoomId;

use super::{args::Id, kick::Whom};
use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Empty, JsonBody, Path},
};

/// Removes somebody and keeps them out.
pub(super) async fn ban(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Whom>,
) -> ApiResult<Empty> {
    let target = body.user_id()?;
    membership::ban(&app.cx, &auth.device.user_id, &room_id, &target, body.reason.as_deref()).await?;
    Ok(Empty)
}

/// Lifts a ban.
pub(super) async fn unban(
    State(app): State<App>,
    auth: Auth,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Whom>,
) -> ApiResult<Empty> {
    let target = body.user_id()?;
    membership::unban(&app.cx, &auth.device.user_id, &room_id, &target, body.reason.as_deref()).await?;
    Ok(Empty)
}
