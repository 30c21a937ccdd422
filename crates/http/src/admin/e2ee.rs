//! `/_olmstead/admin/v1/e2ee/…`: a look at encryption, and its repair.

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use olmstead_service::admin::e2ee::{doctor, inspect, repair, user_id};

use super::operator::By;
use crate::{
    App,
    error::ApiResult,
    extract::{JsonBody, Path, Query},
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/e2ee/users/{user_id}", get(inspect_user))
        .route("/e2ee/doctor", get(examine))
        .route("/e2ee/repair", post(mend))
}

/// All about the encryption of a user.
async fn inspect_user(State(app): State<App>, Path(user): Path<String>) -> ApiResult<Json<inspect::UserReport>> {
    Ok(Json(inspect::inspect(&app.cx, &user_id(&app.cx, &user)?).await?))
}

/// A page of what is wrong.
async fn examine(State(app): State<App>, Query(request): Query<doctor::Request>) -> ApiResult<Json<doctor::Response>> {
    Ok(Json(doctor::examine(&app.cx, &request).await?))
}

/// Mends something.
async fn mend(
    State(app): State<App>,
    By(operator): By,
    JsonBody(request): JsonBody<repair::Request>,
) -> ApiResult<Json<repair::Response>> {
    Ok(Json(repair::repair(&app.cx, &operator, &request).await?))
}
