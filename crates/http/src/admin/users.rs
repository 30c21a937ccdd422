//! `/_olmstead/admin/v1/users…`: accounts and their devices.

use axum::{
    Json, Router,
    extract::State,
    routing::{delete, get, post, put},
};
use olmstead_service::admin::users::{change, create, devices, list, show};
use ruma::OwnedDeviceId;

use super::operator::By;
use crate::{
    App,
    error::ApiResult,
    extract::{Empty, JsonBody, Path, Query},
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/users", get(list_users).post(create_user))
        .route("/users/{user_id}", get(show_user))
        .route("/users/{user_id}/standing", put(set_standing))
        .route("/users/{user_id}/password", put(set_password))
        .route("/users/{user_id}/deactivate", post(deactivate))
        .route("/users/{user_id}/devices", get(list_devices))
        .route("/users/{user_id}/devices/{device_id}", delete(delete_device))
}

/// A page of accounts.
async fn list_users(State(app): State<App>, Query(request): Query<list::Request>) -> ApiResult<Json<list::Response>> {
    Ok(Json(list::list(&app.cx, &request).await?))
}

/// Makes an account.
async fn create_user(
    State(app): State<App>,
    By(operator): By,
    JsonBody(request): JsonBody<create::Request>,
) -> ApiResult<Json<create::Response>> {
    Ok(Json(create::create(&app.cx, &operator, request).await?))
}

/// All about an account.
async fn show_user(State(app): State<App>, Path(user): Path<String>) -> ApiResult<Json<show::Response>> {
    Ok(Json(show::show(&app.cx, &user).await?))
}

/// Locks, unlocks, suspends or lets go on.
async fn set_standing(
    State(app): State<App>,
    By(operator): By,
    Path(user): Path<String>,
    JsonBody(wish): JsonBody<change::Standing>,
) -> ApiResult<Json<change::NewStanding>> {
    Ok(Json(change::set_standing(&app.cx, &operator, &user, wish).await?))
}

/// Sets a password.
async fn set_password(
    State(app): State<App>,
    By(operator): By,
    Path(user): Path<String>,
    JsonBody(wish): JsonBody<change::NewPassword>,
) -> ApiResult<Json<change::PasswordSet>> {
    Ok(Json(change::set_password(&app.cx, &operator, &user, wish).await?))
}

/// Ends an account.
async fn deactivate(
    State(app): State<App>,
    By(operator): By,
    Path(user): Path<String>,
    JsonBody(wish): JsonBody<change::Deactivate>,
) -> ApiResult<Json<change::Deactivated>> {
    Ok(Json(change::end(&app.cx, &operator, &user, wish).await?))
}

/// The devices of an account.
async fn list_devices(State(app): State<App>, Path(user): Path<String>) -> ApiResult<Json<devices::Response>> {
    Ok(Json(devices::list(&app.cx, &user).await?))
}

/// Logs a device out for good.
async fn delete_device(
    State(app): State<App>,
    By(operator): By,
    Path((user, device_id)): Path<(String, OwnedDeviceId)>,
) -> ApiResult<Empty> {
    devices::delete(&app.cx, &operator, &user, device_id).await?;
    Ok(Empty)
}
