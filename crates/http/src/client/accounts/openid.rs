//! `POST /_matrix/client/v3/user/{userId}/openid/request_token`, and `GET /_matrix/federation/v1/openid/userinfo` by
//! which a third party reads the token.

use axum::extract::State;
use olmstead_service::{
    ServiceError,
    accounts::openid::{self, LIFETIME_MS},
};
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    App,
    auth::Auth,
    error::{ApiError, ApiResult},
    extract::{Json, ObjectBody, Path, Query},
};

pub(super) async fn post(
    State(app): State<App>,
    auth: Auth,
    Path(user_id): Path<OwnedUserId>,
    _: ObjectBody,
) -> ApiResult<Json<Value>> {
    let token = openid::create(&app.cx, &auth, &user_id).await?;
    Ok(Json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "matrix_server_name": app.cx.config.server_name,
        "expires_in": LIFETIME_MS / 1000,
    })))
}

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    access_token: Option<String>,
}

pub(super) async fn user_info(State(app): State<App>, Query(question): Query<Question>) -> ApiResult<Json<Value>> {
    let token = question.access_token.ok_or_else(|| ApiError::from(ServiceError::MissingToken))?;
    Ok(Json(json!({"sub": openid::user_of(&app.cx, &token).await?})))
}
