//! `GET` and `POST /_synapse/admin/v1/register`.

use axum::extract::State;
use olmstead_service::accounts::admin_register::{self, AdminRegistration};
use serde_json::{Map, Value, json};

use crate::{
    App,
    error::ApiResult,
    extract::{Json, JsonBody},
};

pub(super) async fn get(State(app): State<App>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({"nonce": admin_register::nonce(&app.cx).await?})))
}

pub(super) async fn post(
    State(app): State<App>,
    JsonBody(wish): JsonBody<AdminRegistration>,
) -> ApiResult<Json<Map<String, Value>>> {
    let login = admin_register::create(&app.cx, wish).await?;
    Ok(Json(super::login_members(&app.cx, &login)))
}
