//! `GET` and `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`.

use axum::extract::State;
use olmstead_service::push_rules;
use ruma::push::Action;
use serde::{Deserialize, Serialize};

use super::kind;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Empty, Json, JsonBody, Path},
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Actions {
    actions: Vec<Action>,
}

pub(super) async fn get(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((name, rule_id)): Path<(String, String)>,
) -> ApiResult<Json<Actions>> {
    let rule = push_rules::get(&app.cx, &auth.device.user_id, &kind(&name)?, &rule_id).await?;
    Ok(Json(Actions { actions: rule.actions().to_vec() }))
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth,
    Path((name, rule_id)): Path<(String, String)>,
    JsonBody(wish): JsonBody<Actions>,
) -> ApiResult<Empty> {
    push_rules::set_actions(&app.cx, &auth.device.user_id, &kind(&name)?, &rule_id, wish.actions).await?;
    Ok(Empty)
}
