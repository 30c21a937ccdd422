//! `GET /.well-known/matrix/client`.

use axum::extract::State;
use olmstead_service::ServiceError;
use serde_json::Value;

use crate::{App, client::accounts, error::ApiResult, extract::Json};

pub(super) async fn get(State(app): State<App>) -> ApiResult<Json<Value>> {
    let unknown = || ServiceError::not_found("This server does not say where clients reach it.");
    Ok(Json(accounts::well_known(&app.cx).ok_or_else(unknown)?))
}
