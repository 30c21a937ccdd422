//! `GET /_matrix/client/v1/register/m.login.registration_token/validity`.

use axum::extract::State;
use olmstead_service::accounts::register;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    App,
    error::ApiResult,
    extract::{Json, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    token: String,
}

pub(super) async fn get(State(app): State<App>, Query(question): Query<Question>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({"valid": register::token_is_valid(&app.cx, &question.token).await?})))
}
