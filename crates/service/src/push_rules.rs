//! A user's push rules, kept as `m.push_rules` account data.

use olmstead_domain::{
    json::RawJson,
    push::{self, PushRuleError},
};
use ruma::{
    UserId,
    push::{Action, AnyPushRule, NewPushRule, RuleKind, Ruleset},
};
use serde_json::{Map, Value, json};

use crate::{Context, Refusal, Result, ServiceError, account_data};

/// The type of the account data.
pub const TYPE: &str = "m.push_rules";
/// The kinds of rules.
const KINDS: [&str; 5] = ["override", "content", "room", "sender", "underride"];
/// The most bytes all rules of a user may take as JSON.
const MAX_RULES: usize = 1024 * 1024;

/// All rules of a user: the stored ones, brought up to date with the default rules of this release.
///
/// # Errors
/// Only the store's.
pub async fn all(cx: &Context, user_id: &UserId) -> Result<Ruleset> {
    let stored = cx.storage.account_data(user_id, None, TYPE).await?;
    Ok(push::rules_of(user_id, stored.as_ref().map(RawJson::as_raw)))
}

/// The content of the account data for a set of rules.
///
/// # Errors
/// Never for rules that came from JSON.
pub fn content(rules: &Ruleset) -> Result<RawJson> {
    RawJson::from_value(&json!({ "global": global(rules)? })).map_err(|error| ServiceError::Internal(error.to_string()))
}

/// A set of rules as JSON with a list for every kind, also where it is empty: clients go through the lists unasked.
///
/// # Errors
/// Never for rules that came from JSON.
pub fn global(rules: &Ruleset) -> Result<Map<String, Value>> {
    let mut lists: Map<String, Value> = KINDS.iter().map(|kind| ((*kind).to_owned(), json!([]))).collect();
    match serde_json::to_value(rules) {
        Ok(Value::Object(filled)) => lists.extend(filled),
        Ok(_) => return Err(ServiceError::Internal("push rules are not an object".to_owned())),
        Err(error) => return Err(ServiceError::Internal(error.to_string())),
    }
    Ok(lists)
}

/// Gives a new account the default rules, so that its first `/sync` has them.
pub(crate) async fn set_up(cx: &Context, user_id: &UserId) -> Result<()> {
    let content = content(&push::default_rules(user_id))?;
    // A client that was faster has its own.
    cx.storage.replace_account_data(user_id, None, TYPE, None, content).await?;
    Ok(())
}

/// One rule.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn get(cx: &Context, user_id: &UserId, kind: &RuleKind, rule_id: &str) -> Result<AnyPushRule> {
    let rules = all(cx, user_id).await?;
    rules.get(kind.clone(), rule_id).map(|rule| rule.to_owned()).ok_or_else(|| refusal(&PushRuleError::NotFound))
}

/// Adds or replaces a rule of the user's own.
///
/// # Errors
/// [`Refusal::InvalidParam`] for a reserved or malformed id; `Unknown` when the rule to stand next to is not there;
/// `TooLarge` when the rules get too many.
pub async fn put(
    cx: &Context,
    user_id: &UserId,
    rule: NewPushRule,
    after: Option<&str>,
    before: Option<&str>,
) -> Result<()> {
    change(cx, user_id, |rules| {
        push::put_rule(rules, rule.clone(), after, before).map_err(|error| match error {
            PushRuleError::NotFound => {
                ServiceError::refused(Refusal::Unknown, "The rule named by before or after was not found.")
            }
            other => refusal(&other),
        })
    })
    .await
}

/// Deletes a rule of the user's own.
///
/// # Errors
/// [`Refusal::NotFound`]; `InvalidParam` for a default rule.
pub async fn delete(cx: &Context, user_id: &UserId, kind: &RuleKind, rule_id: &str) -> Result<()> {
    change(cx, user_id, |rules| push::delete_rule(rules, kind.clone(), rule_id).map_err(|error| refusal(&error))).await
}

/// Switches a rule on or off.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn set_enabled(cx: &Context, user_id: &UserId, kind: &RuleKind, rule_id: &str, enabled: bool) -> Result<()> {
    change(cx, user_id, |rules| {
        push::set_enabled(rules, kind.clone(), rule_id, enabled).map_err(|error| refusal(&error))
    })
    .await
}

/// Sets what a rule does.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn set_actions(
    cx: &Context,
    user_id: &UserId,
    kind: &RuleKind,
    rule_id: &str,
    actions: Vec<Action>,
) -> Result<()> {
    change(cx, user_id, |rules| {
        push::set_actions(rules, kind.clone(), rule_id, actions.clone()).map_err(|error| refusal(&error))
    })
    .await
}

async fn change(
    cx: &Context,
    user_id: &UserId,
    apply: impl Fn(&mut Ruleset) -> Result<()> + Send + Sync,
) -> Result<()> {
    account_data::update(cx, user_id, None, TYPE, |old| {
        let mut rules = push::rules_of(user_id, old.map(RawJson::as_raw));
        apply(&mut rules)?;
        let new = content(&rules)?;
        if new.get().len() > MAX_RULES {
            return Err(ServiceError::refused(Refusal::TooLarge, "The push rules are too large as a whole."));
        }
        Ok((old != Some(&new)).then_some(new))
    })
    .await
}

fn refusal(error: &PushRuleError) -> ServiceError {
    ServiceError::domain(error.kind(), error)
}
