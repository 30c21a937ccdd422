//! `POST /_matrix/client/v3/refresh`.

use axum::extract::State;
use olmstead_service::accounts::refresh;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    App,
    error::ApiResult,
    extract::{Json, JsonBody},
};

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    refresh_token: String,
}

pub(super) async fn post(State(app): State<App>, JsonBody(wish): JsonBody<Wish>) -> ApiResult<Json<Value>> {
    let tokens = refresh::refresh(&app.cx, &wish.refresh_token).await?;
    Ok(Json(json!({
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_in_ms": tokens.expires_in_ms,
    })))
}
