//! `GET /_matrix/client/v3/pushrules/` and `GET /_matrix/client/v3/pushrules/global/`.

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::push_rules;
use serde_json::{Map, Value};

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::Json,
};

pub(super) async fn get(State(app): State<App>, auth: Auth<AnyActive>) -> ApiResult<Json<RawJson>> {
    let rules = push_rules::all(&app.cx, &auth.device.user_id).await?;
    Ok(Json(push_rules::content(&rules)?))
}

pub(super) async fn get_global(State(app): State<App>, auth: Auth<AnyActive>) -> ApiResult<Json<Map<String, Value>>> {
    Ok(Json(push_rules::global(&push_rules::all(&app.cx, &auth.device.user_id).await?)?))
}
