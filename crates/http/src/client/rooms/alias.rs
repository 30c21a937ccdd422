//! `GET`, `PUT` and `DELETE /_matrix/client/v3/directory/room/{roomAlias}`

use axum::extract::State;
use olmstead_service::rooms::aliases;
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedServerName};
use serde::{Deserialize, Serialize};

use super::args::{Id, id};
use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Empty, Json, JsonBody, Path},
};

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    room_id: OwnedRoomId,
    servers: Vec<OwnedServerName>,
}

/// Where an alias points.
pub(super) async fn read(
    State(app): State<App>,
    Path(Id(alias)): Path<Id<OwnedRoomAliasId>>,
) -> ApiResult<Json<Reply>> {
    let room_id = aliases::resolve(&app.cx, &alias).await?;
    Ok(Json(Reply { room_id, servers: vec![app.cx.config.server_name.clone()] }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    room_id: String,
}

/// Makes an alias.
pub(super) async fn write(
    State(app): State<App>,
    auth: Auth,
    Path(Id(alias)): Path<Id<OwnedRoomAliasId>>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Empty> {
    let room_id: OwnedRoomId = id("room id", &body.room_id)?;
    aliases::create(&app.cx, &auth.device.user_id, &alias, &room_id).await?;
    Ok(Empty)
}

/// Removes an alias.
pub(super) async fn delete(
    State(app): State<App>,
    auth: Auth,
    Path(Id(alias)): Path<Id<OwnedRoomAliasId>>,
) -> ApiResult<Empty> {
    aliases::delete(&app.cx, &auth, &alias).await?;
    Ok(Empty)
}
