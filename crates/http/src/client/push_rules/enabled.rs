//! `GET` and `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`.

use axum::extract::State;
use olmstead_service::push_rules;
use serde::{Deserialize, Serialize};

use super::kind;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Empty, Json, JsonBody, Path},
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Enabled {
    enabled: bool,
}

pub(super) async fn get(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((name, rule_id)): Path<(String, String)>,
) -> ApiResult<Json<Enabled>> {
    let rule = push_rules::get(&app.cx, &auth.device.user_id, &kind(&name)?, &rule_id).await?;
    Ok(Json(Enabled { enabled: rule.enabled() }))
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth,
    Path((name, rule_id)): Path<(String, String)>,
    JsonBody(wish): JsonBody<Enabled>,
) -> ApiResult<Empty> {
    push_rules::set_enabled(&app.cx, &auth.device.user_id, &kind(&name)?, &rule_id, wish.enabled).await?;
    Ok(Empty)
}
