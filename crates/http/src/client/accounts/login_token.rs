//! `POST /_matrix/client/v1/login/get_token`.

use axum::extract::State;
use olmstead_service::accounts::login_token::{self, LIFETIME_MS};
use serde_json::{Value, json};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, ObjectBody},
};

pub(super) async fn post(State(app): State<App>, auth: Auth<SuspendedToo>, body: ObjectBody) -> ApiResult<Json<Value>> {
    let token = login_token::create(&app.cx, &auth, &body.0).await?;
    Ok(Json(json!({"login_token": token, "expires_in_ms": LIFETIME_MS})))
}
