//! Authorisation: which state an event needs, and whether that state allows it.

use std::collections::HashMap;

use ruma::{
    EventId, OwnedEventId, UserId,
    events::{StateEventType, TimelineEventType},
    state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules},
};
use serde_json::{Map, Value};

use super::{
    EventTemplate, Pdu, RoomError, RoomVersion, ServerKey,
    build::{Head, build},
};

/// A type and state key in the room state.
pub type StateKey = (String, String);

/// The state that is needed to authorise an event: load it, then call [`author`] or
/// [`authorise`] with a lookup in it.
///
/// This is the auth events selection (server-server API) and the few events the rules read
/// besides.
///
/// # Errors
///
/// `BadJson` if the content of a member event does not have the form of one.
pub fn needed_state(version: RoomVersion, template: &EventTemplate) -> Result<Vec<StateKey>, RoomError> {
    let mut keys = auth_keys(version, template)?;
    for kind in ["m.room.create", "m.room.power_levels", "m.room.join_rules"] {
        let key = (kind.to_owned(), String::new());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The auth events selection (server-server API) for an event that is about to be sent.
pub fn auth_keys(version: RoomVersion, template: &EventTemplate) -> Result<Vec<StateKey>, RoomError> {
    auth_keys_of(version, &template.kind, &template.sender, template.state_key.as_deref(), &template.content)
}

fn auth_keys_of(
    version: RoomVersion,
    kind: &str,
    sender: &UserId,
    state_key: Option<&str>,
    content: &serde_json::value::RawValue,
) -> Result<Vec<StateKey>, RoomError> {
    let keys = auth_types_for_event(
        &TimelineEventType::from(kind),
        sender,
        state_key,
        content,
        &version.rules().authorization,
    )
    .map_err(RoomError::bad_json)?;
    Ok(keys.into_iter().map(|(kind, key)| (kind.to_string(), key)).collect())
}

/// Selects the auth events, builds and signs the event, and runs the authorisation rules
/// against the state given.
///
/// `state` looks up the state before the event by type and state key; it must know at least
/// [`needed_state`].
///
/// # Errors
///
/// `BadJson` and `TooLarge` as [`build`]; `Forbidden` with the reason if the rules say no.
pub fn author(
    template: &EventTemplate,
    head: &Head,
    state: impl Fn(&str, &str) -> Option<Pdu>,
    key: &ServerKey,
) -> Result<Pdu, RoomError> {
    check_content(template)?;
    let auth_events: Vec<Pdu> =
        auth_keys(head.version, template)?.iter().filter_map(|(kind, state_key)| state(kind, state_key)).collect();
    let ids: Vec<OwnedEventId> = auth_events.iter().map(|e| e.event_id().to_owned()).collect();
    let pdu = build(template, head, &ids, key)?;
    let create = state("m.room.create", "");
    let known: HashMap<&EventId, &Pdu> = auth_events.iter().chain(&create).map(|e| (e.event_id(), e)).collect();
    authorise(&pdu, |id| known.get(id).map(|e| (*e).clone()))?;
    authorise_by_state(&pdu, state)?;
    Ok(pdu)
}

/// Runs the rules that look only at the event and its `auth_events`.
///
/// `events` finds the auth events, and for room version 12 the create event, by id.
pub fn authorise(pdu: &Pdu, events: impl Fn(&EventId) -> Option<Pdu>) -> Result<(), RoomError> {
    check_state_independent_auth_rules(&pdu.version().rules().authorization, pdu, events)
        .map_err(RoomError::not_allowed)
}

/// Runs the rules that look at a room state: that of the auth events, that before the event,
/// or the current one.
pub fn authorise_by_state(pdu: &Pdu, state: impl Fn(&str, &str) -> Option<Pdu>) -> Result<(), RoomError> {
    check_state_dependent_auth_rules(&pdu.version().rules().authorization, pdu, |kind: &StateEventType, key: &str| {
        state(&kind.to_string(), key)
    })
    .map_err(RoomError::not_allowed)
}

/// Refuses malformed content of the events the rules read, so that the answer is about the
/// JSON and not about permissions.
fn check_content(template: &EventTemplate) -> Result<(), RoomError> {
    let is_state = template.state_key.is_some();
    match template.kind.as_str() {
        "m.room.member" if is_state => {
            let membership = members(template)?.remove("membership");
            let known = ["join", "invite", "leave", "ban", "knock"];
            match membership {
                Some(Value::String(value)) if known.contains(&value.as_str()) => Ok(()),
                _ => Err(bad("an m.room.member event needs a known membership")),
            }
        }
        "m.room.power_levels" if is_state => check_power_levels(&members(template)?),
        "m.room.join_rules" if is_state => match members(template)?.get("join_rule") {
            Some(Value::String(_)) => Ok(()),
            _ => Err(bad("an m.room.join_rules event needs a join_rule")),
        },
        "m.room.create" if is_state => match members(template)?.get("m.federate") {
            None | Some(Value::Bool(_)) => Ok(()),
            _ => Err(bad("m.federate is true or false")),
        },
        _ => Ok(()),
    }
}

fn members(template: &EventTemplate) -> Result<Map<String, Value>, RoomError> {
    serde_json::from_str(template.content.get()).map_err(RoomError::bad_json)
}

fn bad(reason: &str) -> RoomError {
    RoomError::BadJson(reason.to_owned())
}

/// Levels are integers from room version 10 on, and users are user ids.
fn check_power_levels(content: &Map<String, Value>) -> Result<(), RoomError> {
    for field in super::power::INTEGER_FIELDS {
        if content.get(*field).is_some_and(|value| !value.is_i64()) {
            return Err(RoomError::BadJson(format!("the power level {field} is not an integer")));
        }
    }
    for field in ["events", "notifications", "users"] {
        match content.get(field) {
            None => {}
            Some(Value::Object(levels)) => {
                if let Some((key, _)) = levels.iter().find(|(_, value)| !value.is_i64()) {
                    return Err(RoomError::BadJson(format!("the power level of {key} is not an integer")));
                }
                if field == "users"
                    && let Some((key, _)) = levels.iter().find(|(key, _)| <&UserId>::try_from(key.as_str()).is_err())
                {
                    return Err(RoomError::BadJson(format!("{key} is not a user id")));
                }
            }
            Some(_) => return Err(RoomError::BadJson(format!("{field} is not an object"))),
        }
    }
    Ok(())
}
