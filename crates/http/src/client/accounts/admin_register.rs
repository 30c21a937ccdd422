//! `GET` and `POST /_synapse/admin/v1/register`.

use axum::extract::State;
use olmstead_service::accounts::admin_register::{self, AdminRegistration};
use serde_json::{Map, Value, json};

use crate::{
    App,
    error::ApiResult,
    extract::{Json, Missing, RawBody},
};

pub(super) async fn get(State(app): State<App>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({"nonce": admin_register::nonce(&app.cx).await?})))
}

pub(super) async fn post(State(app): State<App>, RawBody(body): RawBody) -> ApiResult<Json<Map<String, Value>>> {
    admin_register::check_on(&app.cx)?;
    let wish: AdminRegistration = app.parse(body, Missing::MissingParam).await?;
    let login = admin_register::create(&app.cx, wish).await?;
    Ok(Json(super::login_members(&app.cx, &login)))
}
