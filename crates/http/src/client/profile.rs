//! `GET /_matrix/client/v3/profile/{userId}`; `GET`, `PUT` and `DELETE /_matrix/client/v3/profile/{userId}/{keyName}`,
//! of which `displayname` and `avatar_url` are the oldest.

use std::collections::BTreeMap;

use axum::{Router, extract::State, routing};
use olmstead_domain::json::{Fields, RawJson};
use olmstead_service::{Refusal, ServiceError, profile};
use ruma::OwnedUserId;

use crate::{
    App,
    auth::{Auth, GuestsToo},
    error::{ApiError, ApiResult},
    extract::{Empty, Json, ObjectBody, Path},
    routes::ClientRoutes as _,
};

/// The endpoints of profiles.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .v3("/profile/{user_id}", routing::get(get_all))
        .v3("/profile/{user_id}/{key}", routing::get(get).put(put).delete(delete))
}

async fn get_all(
    State(app): State<App>,
    Path(user_id): Path<OwnedUserId>,
) -> ApiResult<Json<BTreeMap<String, RawJson>>> {
    Ok(Json(profile::all(&app.cx, &user_id).await?.into_iter().collect()))
}

async fn get(
    State(app): State<App>,
    Path((user_id, key)): Path<(OwnedUserId, String)>,
) -> ApiResult<Json<BTreeMap<String, RawJson>>> {
    let value = profile::get(&app.cx, &user_id, &key).await?;
    Ok(Json(BTreeMap::from([(key, value)])))
}

async fn put(
    State(app): State<App>,
    auth: Auth<GuestsToo>,
    Path((user_id, key)): Path<(OwnedUserId, String)>,
    body: ObjectBody,
) -> ApiResult<Empty> {
    let members = Fields::parse(body.0.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    let value = members.get(&key).map(RawJson::from);
    let value = value.ok_or_else(|| ApiError::refused(Refusal::MissingParam, format!("{key} is missing.")))?;
    profile::set(&app.cx, &auth, &user_id, &key, value).await?;
    Ok(Empty)
}

async fn delete(
    State(app): State<App>,
    auth: Auth<GuestsToo>,
    Path((user_id, key)): Path<(OwnedUserId, String)>,
) -> ApiResult<Empty> {
    profile::delete(&app.cx, &auth, &user_id, &key).await?;
    Ok(Empty)
}
