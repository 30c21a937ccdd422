//! `GET` and `PUT /_matrix/client/v3/user/{userId}/account_data/{type}`, and the same of a room.

use axum::extract::State;
use bytes::Bytes;
use olmstead_domain::json::RawJson;
use olmstead_service::{Refusal, account_data};
use ruma::{OwnedRoomId, OwnedUserId};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::{ApiError, ApiResult},
    extract::{Empty, Json, Missing, Path, RawBody},
};

pub(super) async fn get(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, kind)): Path<(OwnedUserId, String)>,
) -> ApiResult<Json<RawJson>> {
    Ok(Json(account_data::get(&app.cx, &auth, &user_id, None, &kind).await?))
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, kind)): Path<(OwnedUserId, String)>,
    RawBody(body): RawBody,
) -> ApiResult<Empty> {
    account_data::set(&app.cx, &auth, &user_id, None, &kind, content(&app, body).await?).await?;
    Ok(Empty)
}

pub(super) async fn get_of_room(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, room_id, kind)): Path<(OwnedUserId, OwnedRoomId, String)>,
) -> ApiResult<Json<RawJson>> {
    Ok(Json(account_data::get(&app.cx, &auth, &user_id, Some(&room_id), &kind).await?))
}

pub(super) async fn put_of_room(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((user_id, room_id, kind)): Path<(OwnedUserId, OwnedRoomId, String)>,
    RawBody(body): RawBody,
) -> ApiResult<Empty> {
    account_data::set(&app.cx, &auth, &user_id, Some(&room_id), &kind, content(&app, body).await?).await?;
    Ok(Empty)
}

/// Nothing at all is not taken for an empty object here: it would wipe what is stored.
async fn content(app: &App, body: Bytes) -> ApiResult<RawJson> {
    if body.is_empty() {
        return Err(ApiError::refused(Refusal::NotJson, "The body is empty."));
    }
    app.parse(body, Missing::BadJson).await
}
