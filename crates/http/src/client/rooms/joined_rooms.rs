//! `GET /_matrix/client/v3/joined_rooms`

use axum::extract::State;
use olmstead_service::rooms::membership;
use ruma::OwnedRoomId;
use serde::Serialize;

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::Json,
};

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    joined_rooms: Vec<OwnedRoomId>,
}

/// The rooms the user is in.
pub(super) async fn handler(State(app): State<App>, auth: Auth<SuspendedToo>) -> ApiResult<Json<Reply>> {
    let joined_rooms = membership::joined_rooms(&app.cx, &auth.device.user_id).await?;
    Ok(Json(Reply { joined_rooms }))
}
