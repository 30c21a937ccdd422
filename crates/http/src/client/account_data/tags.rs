//! `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags`; `PUT` and `DELETE` of `…/tags/{tag}`.

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::account_data::tags;
use ruma::{OwnedRoomId, OwnedUserId};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, Json, ObjectBody, Path},
};

pub(super) async fn list(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, room_id)): Path<(OwnedUserId, OwnedRoomId)>,
) -> ApiResult<Json<RawJson>> {
    Ok(Json(tags::list(&app.cx, &auth, &user_id, &room_id).await?))
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, room_id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
    body: ObjectBody,
) -> ApiResult<Empty> {
    tags::put(&app.cx, &auth, &user_id, &room_id, &tag, body.0).await?;
    Ok(Empty)
}

pub(super) async fn delete(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, room_id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
) -> ApiResult<Empty> {
    tags::delete(&app.cx, &auth, &user_id, &room_id, &tag).await?;
    Ok(Empty)
}
