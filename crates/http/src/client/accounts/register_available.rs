//! `GET /_matrix/client/v3/register/available`.

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
pub(super) struct Wish {
    username: String,
}

pub(super) async fn get(State(app): State<App>, Query(wish): Query<Wish>) -> ApiResult<Json<Value>> {
    register::check_available(&app.cx, &wish.username).await?;
    Ok(Json(json!({"available": true})))
}
