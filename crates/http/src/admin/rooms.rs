//! `/_olmstead/admin/v1/rooms…`

use axum::{Json, Router, extract::State, routing::get};
use olmstead_service::admin::rooms;
use ruma::OwnedRoomId;

use crate::{
    App,
    error::ApiResult,
    extract::{Path, Query},
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/rooms", get(list)).route("/rooms/{room_id}", get(show))
}

/// A page of rooms.
async fn list(State(app): State<App>, Query(request): Query<rooms::Request>) -> ApiResult<Json<rooms::Response>> {
    Ok(Json(rooms::list(&app.cx, &request).await?))
}

/// All about a room.
async fn show(State(app): State<App>, Path(room_id): Path<OwnedRoomId>) -> ApiResult<Json<rooms::RoomReport>> {
    Ok(Json(rooms::show(&app.cx, &room_id).await?))
}
