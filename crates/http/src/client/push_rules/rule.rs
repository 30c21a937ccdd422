//! `GET`, `PUT` and `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`.

use axum::extract::State;
use olmstead_service::{Refusal, push_rules};
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::client::push::PushRule,
    push::{
        Action, NewConditionalPushRule, NewPatternedPushRule, NewPushRule, NewSimplePushRule, PushCondition, RuleKind,
    },
};
use serde::Deserialize;

use super::kind;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::{ApiError, ApiResult},
    extract::{Empty, Json, JsonBody, Path, Query},
};

pub(super) async fn get(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((name, rule_id)): Path<(String, String)>,
) -> ApiResult<Json<PushRule>> {
    let rule = push_rules::get(&app.cx, &auth.device.user_id, &kind(&name)?, &rule_id).await?;
    Ok(Json(rule.into()))
}

#[derive(Debug, Deserialize)]
pub(super) struct Place {
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    actions: Vec<Action>,
    #[serde(default)]
    conditions: Vec<PushCondition>,
    pattern: Option<String>,
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth,
    Path((name, rule_id)): Path<(String, String)>,
    Query(place): Query<Place>,
    JsonBody(rule): JsonBody<Rule>,
) -> ApiResult<Empty> {
    let rule = new_rule(&kind(&name)?, rule_id, rule)?;
    let (after, before) = (place.after.as_deref(), place.before.as_deref());
    push_rules::put(&app.cx, &auth.device.user_id, rule, after, before).await?;
    Ok(Empty)
}

pub(super) async fn delete(
    State(app): State<App>,
    auth: Auth,
    Path((name, rule_id)): Path<(String, String)>,
) -> ApiResult<Empty> {
    push_rules::delete(&app.cx, &auth.device.user_id, &kind(&name)?, &rule_id).await?;
    Ok(Empty)
}

fn new_rule(kind: &RuleKind, id: String, rule: Rule) -> ApiResult<NewPushRule> {
    let invalid = |message: &str| ApiError::refused(Refusal::InvalidParam, message);
    if id.starts_with('.') || id.contains(['/', '\\']) || id.is_empty() {
        return Err(invalid("A rule's ID does not start with a dot, and has no slashes."));
    }
    Ok(match kind {
        RuleKind::Override => NewPushRule::Override(NewConditionalPushRule::new(id, rule.conditions, rule.actions)),
        RuleKind::Underride => NewPushRule::Underride(NewConditionalPushRule::new(id, rule.conditions, rule.actions)),
        RuleKind::Content => {
            let pattern =
                rule.pattern.ok_or_else(|| ApiError::refused(Refusal::MissingParam, "pattern is missing."))?;
            NewPushRule::Content(NewPatternedPushRule::new(id, pattern, rule.actions))
        }
        RuleKind::Room => {
            let room: OwnedRoomId = RoomId::parse(id).map_err(|_| invalid("The ID of a room rule is a room ID."))?;
            NewPushRule::Room(NewSimplePushRule::new(room, rule.actions))
        }
        RuleKind::Sender => {
            let sender: OwnedUserId =
                UserId::parse(id).map_err(|_| invalid("The ID of a sender rule is a user ID."))?;
            NewPushRule::Sender(NewSimplePushRule::new(sender, rule.actions))
        }
        _ => return Err(invalid("There is no such kind of push rule.")),
    })
}
