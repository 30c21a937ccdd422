//! Push rules: the default rules and their evaluation (client-server API, "Push
//! Notifications"; ENC-10).

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use ruma::{
    RoomId, UInt, UserId,
    events::AnyTimelineEvent,
    push::{
        Action, ConditionalPushRule, FlattenedJson, InsertPushRuleError, NewPushRule, PushConditionRoomCtx,
        RemovePushRuleError, RuleKind, RuleNotFoundError, Ruleset,
    },
    serde::Raw,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    error::ErrorKind,
    rooms::{
        Pdu, PowerLevels,
        client_event::{Form, Unsigned, client_event},
    },
};

/// The rules a user has before changing any.
pub fn default_rules(user: &UserId) -> Ruleset {
    Ruleset::server_default(user)
}

/// A user's rules as stored in `m.push_rules` account data, brought up to date with the default
/// rules of this release. Nothing stored, or nothing readable, gives the default rules.
pub fn rules_of(user: &UserId, stored: Option<&RawValue>) -> Ruleset {
    #[derive(Deserialize)]
    struct Stored {
        global: Ruleset,
    }
    let stored = stored.and_then(|json| serde_json::from_str::<Stored>(json.get()).ok());
    match stored {
        Some(Stored { global: mut rules }) => {
            rules.update_with_server_default(default_rules(user));
            rules
        }
        None => default_rules(user),
    }
}

/// What a user's rules make of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Counts as an unread notification.
    pub notify: bool,
    /// Counts as a highlight.
    pub highlight: bool,
}

/// An event prepared for the rules of many users.
#[derive(Debug, Clone)]
pub struct PushEvent {
    event: FlattenedJson,
    context: PushConditionRoomCtx,
}

impl PushEvent {
    /// Prepares an event. `member_count` is the number of joined members, `levels` the power
    /// levels in force.
    pub fn new(pdu: &Pdu, member_count: u64, levels: Option<&PowerLevels>) -> Self {
        let json = client_event(pdu, Form::Full, &Unsigned::default());
        let event = FlattenedJson::from_raw(&Raw::<AnyTimelineEvent>::from_json(json));
        let mut context = PushConditionRoomCtx::new(
            pdu.room_id().to_owned(),
            UInt::new_saturating(member_count),
            pdu.sender().to_owned(),
            String::new(),
        );
        context.power_levels = levels.map(PowerLevels::for_push);
        Self { event, context }
    }

    /// The event's room.
    pub fn room_id(&self) -> &RoomId {
        &self.context.room_id
    }

    /// Evaluates a user's rules. One's own events never notify.
    pub fn evaluate(&mut self, user: &UserId, display_name: &str, rules: &Ruleset) -> Outcome {
        self.context.user_id = user.to_owned();
        display_name.clone_into(&mut self.context.user_display_name);
        let rule = rules.iter().find(|rule| now(rule.applies(&self.event, &self.context)).unwrap_or(false));
        rule.map_or_else(Outcome::default, |rule| Outcome {
            notify: rule.triggers_notification(),
            highlight: rule.triggers_highlight(),
        })
    }
}

/// The value of a future that never waits.
///
/// The rules are evaluated by an `async fn` for the sake of conditions that have to look
/// something up; none of those is enabled.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Why a change of push rules is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushRuleError {
    /// There is no such rule.
    #[error("there is no such push rule")]
    NotFound,
    /// The change is not allowed: a default rule, an id that is reserved, a bad position.
    #[error("{0}")]
    Invalid(String),
}

impl PushRuleError {
    /// What the error means for the answer.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Invalid(_) => ErrorKind::InvalidParam,
        }
    }
}

impl From<RuleNotFoundError> for PushRuleError {
    fn from(_: RuleNotFoundError) -> Self {
        Self::NotFound
    }
}

/// Adds or replaces a user's rule, before or after another one of its kind if asked.
///
/// # Errors
///
/// `NotFound` if the rule to stand next to does not exist, `InvalidParam` for reserved ids.
pub fn put_rule(
    rules: &mut Ruleset,
    rule: NewPushRule,
    after: Option<&str>,
    before: Option<&str>,
) -> Result<(), PushRuleError> {
    // On a copy: the library changes the rules before it finds that the position is wrong.
    let mut changed = rules.clone();
    let (kind, id) = (rule.kind(), rule.rule_id().to_owned());
    let enabled = changed.get(kind.clone(), &id).map(|old| old.enabled());
    if enabled.is_some() && (after.is_some() || before.is_some()) {
        // A rule that moves goes to the end first, as the library counts positions without it.
        changed.remove(kind.clone(), &id).map_err(removal_error)?;
    }
    if changed.override_.is_empty() {
        // The library puts new override rules second, after the one that is always there.
        changed.override_.insert(ConditionalPushRule::master());
    }
    changed.insert(rule, after, before).map_err(|error| match error {
        InsertPushRuleError::UnknownRuleId => PushRuleError::NotFound,
        other => PushRuleError::Invalid(other.to_string()),
    })?;
    if let Some(enabled) = enabled {
        changed.set_enabled(kind, &id, enabled)?;
    }
    *rules = changed;
    Ok(())
}

fn removal_error(error: RemovePushRuleError) -> PushRuleError {
    match error {
        RemovePushRuleError::NotFound => PushRuleError::NotFound,
        other => PushRuleError::Invalid(other.to_string()),
    }
}

/// Deletes a user's rule; default rules stay.
///
/// # Errors
///
/// `NotFound` if there is no such rule, `InvalidParam` for a default rule.
pub fn delete_rule(rules: &mut Ruleset, kind: RuleKind, id: &str) -> Result<(), PushRuleError> {
    rules.remove(kind, id).map_err(removal_error)
}

/// Switches a rule on or off.
///
/// # Errors
///
/// `NotFound` if there is no such rule.
pub fn set_enabled(rules: &mut Ruleset, kind: RuleKind, id: &str, enabled: bool) -> Result<(), PushRuleError> {
    Ok(rules.set_enabled(kind, id, enabled)?)
}

/// Sets what a rule does.
///
/// # Errors
///
/// `NotFound` if there is no such rule.
pub fn set_actions(rules: &mut Ruleset, kind: RuleKind, id: &str, actions: Vec<Action>) -> Result<(), PushRuleError> {
    Ok(rules.set_actions(kind, id, actions)?)
}
