//! `/_olmstead/admin/v1/registration_tokens…`

use axum::{Json, Router, extract::State, routing::get};
use olmstead_service::admin::registration_tokens as tokens;

use super::operator::By;
use crate::{
    App,
    error::ApiResult,
    extract::{Empty, JsonBody, Path, Query},
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/registration_tokens", get(list).post(create))
        .route("/registration_tokens/{token}", get(show).delete(delete))
}

/// A page of tokens.
async fn list(State(app): State<App>, Query(request): Query<tokens::Request>) -> ApiResult<Json<tokens::Response>> {
    Ok(Json(tokens::list(&app.cx, &request).await?))
}

/// Makes a token.
async fn create(
    State(app): State<App>,
    By(operator): By,
    JsonBody(wish): JsonBody<tokens::New>,
) -> ApiResult<Json<tokens::Token>> {
    Ok(Json(tokens::create(&app.cx, &operator, wish).await?))
}

/// One token.
async fn show(State(app): State<App>, Path(token): Path<String>) -> ApiResult<Json<tokens::Token>> {
    Ok(Json(tokens::show(&app.cx, &token).await?))
}

/// Deletes a token.
async fn delete(State(app): State<App>, By(operator): By, Path(token): Path<String>) -> ApiResult<Empty> {
    tokens::delete(&app.cx, &operator, &token).await?;
    Ok(Empty)
}
