//! `GET` and `PUT /_matrix/client/v1/admin/lock/{userId}` and `/admin/suspend/{userId}`.

use axum::extract::State;
use olmstead_service::accounts::moderation;
use olmstead_storage::accounts::StandingChange;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Json, JsonBody, Path},
};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Lock {
    locked: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Suspension {
    suspended: bool,
}

pub(super) async fn get_lock(
    State(app): State<App>,
    auth: Auth,
    Path(user_id): Path<OwnedUserId>,
) -> ApiResult<Json<Lock>> {
    Ok(Json(Lock { locked: moderation::inspect(&app.cx, &auth, &user_id).await?.locked }))
}

pub(super) async fn put_lock(
    State(app): State<App>,
    auth: Auth,
    Path(user_id): Path<OwnedUserId>,
    JsonBody(wish): JsonBody<Lock>,
) -> ApiResult<Json<Lock>> {
    let change = StandingChange { locked: Some(wish.locked), ..StandingChange::default() };
    moderation::change(&app.cx, &auth, &user_id, change).await?;
    Ok(Json(wish))
}

pub(super) async fn get_suspension(
    State(app): State<App>,
    auth: Auth,
    Path(user_id): Path<OwnedUserId>,
) -> ApiResult<Json<Suspension>> {
    Ok(Json(Suspension { suspended: moderation::inspect(&app.cx, &auth, &user_id).await?.suspended }))
}

pub(super) async fn put_suspension(
    State(app): State<App>,
    auth: Auth,
    Path(user_id): Path<OwnedUserId>,
    JsonBody(wish): JsonBody<Suspension>,
) -> ApiResult<Json<Suspension>> {
    let change = StandingChange { suspended: Some(wish.suspended), ..StandingChange::default() };
    moderation::change(&app.cx, &auth, &user_id, change).await?;
    Ok(Json(wish))
}
