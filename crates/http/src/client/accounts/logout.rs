//! `POST /_matrix/client/v3/logout` and `POST /_matrix/client/v3/logout/all`.

use axum::extract::State;
use olmstead_service::accounts::logout;

use crate::{
    App,
    auth::{AnyToken, Auth},
    error::ApiResult,
    extract::Empty,
};

pub(super) async fn post(State(app): State<App>, auth: Auth<AnyToken>) -> ApiResult<Empty> {
    logout::logout(&app.cx, &auth).await?;
    Ok(Empty)
}

pub(super) async fn post_all(State(app): State<App>, auth: Auth<AnyToken>) -> ApiResult<Empty> {
    logout::logout_all(&app.cx, &auth).await?;
    Ok(Empty)
}
