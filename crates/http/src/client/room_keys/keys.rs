//! `/_matrix/client/v3/room_keys/keys`, `…/{roomId}` and `…/{roomId}/{sessionId}`

use axum::extract::State;
use olmstead_service::backups::{self, Scope, Updated};
use ruma::OwnedRoomId;
use serde::Deserialize;

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{BACKUP_BODY_LIMIT, Json, JsonText, Missing, Path, Query, RawBody},
};

/// The query: the version is always needed (BKP-11).
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    version: String,
}

type Body = RawBody<BACKUP_BODY_LIMIT>;

async fn put(
    app: &App,
    auth: &Auth<SuspendedToo>,
    version: &Version,
    scope: Scope<'_>,
    body: Body,
) -> ApiResult<Json<Updated>> {
    let body = app.parse(body.0, Missing::BadJson).await?;
    Ok(Json(backups::put_keys(&app.cx, &auth.device.user_id, &version.version, scope, &body).await?))
}

async fn delete(app: &App, auth: &Auth<SuspendedToo>, version: &Version, scope: Scope<'_>) -> ApiResult<Json<Updated>> {
    Ok(Json(backups::delete_keys(&app.cx, &auth.device.user_id, &version.version, scope).await?))
}

/// `GET /room_keys/keys`
pub(super) async fn all(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Query(version): Query<Version>,
) -> ApiResult<JsonText> {
    Ok(JsonText(backups::all_keys(&app.cx, &auth.device.user_id, &version.version).await?))
}

/// `PUT /room_keys/keys`
pub(super) async fn put_all(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Query(version): Query<Version>,
    body: Body,
) -> ApiResult<Json<Updated>> {
    put(&app, &auth, &version, Scope::All, body).await
}

/// `DELETE /room_keys/keys`
pub(super) async fn delete_all(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Query(version): Query<Version>,
) -> ApiResult<Json<Updated>> {
    delete(&app, &auth, &version, Scope::All).await
}

/// `GET /room_keys/keys/{roomId}`
pub(super) async fn room(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(room_id): Path<OwnedRoomId>,
    Query(version): Query<Version>,
) -> ApiResult<JsonText> {
    Ok(JsonText(backups::room_keys(&app.cx, &auth.device.user_id, &version.version, &room_id).await?))
}

/// `PUT /room_keys/keys/{roomId}`
pub(super) async fn put_room(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(room_id): Path<OwnedRoomId>,
    Query(version): Query<Version>,
    body: Body,
) -> ApiResult<Json<Updated>> {
    put(&app, &auth, &version, Scope::Room(&room_id), body).await
}

/// `DELETE /room_keys/keys/{roomId}`
pub(super) async fn delete_room(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(room_id): Path<OwnedRoomId>,
    Query(version): Query<Version>,
) -> ApiResult<Json<Updated>> {
    delete(&app, &auth, &version, Scope::Room(&room_id)).await
}

/// `GET /room_keys/keys/{roomId}/{sessionId}`
pub(super) async fn session(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((room_id, session_id)): Path<(OwnedRoomId, String)>,
    Query(version): Query<Version>,
) -> ApiResult<JsonText> {
    let user_id = &auth.device.user_id;
    Ok(JsonText(backups::session_key(&app.cx, user_id, &version.version, &room_id, &session_id).await?))
}

/// `PUT /room_keys/keys/{roomId}/{sessionId}`
pub(super) async fn put_session(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((room_id, session_id)): Path<(OwnedRoomId, String)>,
    Query(version): Query<Version>,
    body: Body,
) -> ApiResult<Json<Updated>> {
    put(&app, &auth, &version, Scope::Session(&room_id, &session_id), body).await
}

/// `DELETE /room_keys/keys/{roomId}/{sessionId}`
pub(super) async fn delete_session(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((room_id, session_id)): Path<(OwnedRoomId, String)>,
    Query(version): Query<Version>,
) -> ApiResult<Json<Updated>> {
    delete(&app, &auth, &version, Scope::Session(&room_id, &session_id)).await
}
