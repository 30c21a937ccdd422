//! State resolution (server-server API, "Room state resolution").

use std::collections::{BTreeMap, HashMap, HashSet};

use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    room_version_rules::StateResolutionV2Rules,
    state_res::{self, StateMap as LibraryMap, utils::event_id_set::EventIdSet},
};

use super::{Pdu, RoomError, RoomVersion, auth::StateKey};

/// A room state: type and state key to event.
pub type StateMap = BTreeMap<StateKey, OwnedEventId>;

/// The events that resolution may need, by id.
pub type Events = HashMap<OwnedEventId, Pdu>;

/// Resolves the states at several heads of a room's graph to one.
///
/// `events` holds every event of the states and of their auth chains; for room version 12 also
/// the create event.
///
/// # Errors
///
/// `NotFound` if an event is missing, `BadJson` if an event does not have the form its type asks
/// for.
pub fn resolve(version: RoomVersion, states: &[StateMap], events: &Events) -> Result<StateMap, RoomError> {
    let rules = version.rules();
    let state_rules = rules.state_res.v2_rules().copied().unwrap_or(StateResolutionV2Rules::V2_1);
    let mut maps = Vec::with_capacity(states.len());
    let mut chains = Vec::with_capacity(states.len());
    for state in states {
        let map: LibraryMap<OwnedEventId> = state
            .iter()
            .map(|((kind, key), id)| ((StateEventType::from(kind.as_str()), key.clone()), id.clone()))
            .collect();
        chains.push(to_set(auth_chain(state.values(), events)?));
        maps.push(map);
    }
    let resolved = state_res::resolve(
        &rules.authorization,
        &state_rules,
        &maps,
        chains,
        |id| events.get(id),
        |conflicted| {
            let conflicted = conflicted.values().flatten().cloned().collect();
            Some(to_set(subgraph(&conflicted, events)))
        },
    )
    .map_err(|error| match error {
        state_res::Error::NotFound(id) => RoomError::NotFound(format!("event {id} is missing")),
        other => RoomError::bad_json(other),
    })?;
    Ok(resolved.into_iter().map(|((kind, key), id)| ((kind.to_string(), key), id)).collect())
}

/// All events that authorise the given ones, directly or not, the given ones not included
/// unless they authorise another.
///
/// # Errors
///
/// `NotFound` if an event is missing.
pub fn auth_chain<'a>(
    of: impl IntoIterator<Item = &'a OwnedEventId>,
    events: &Events,
) -> Result<HashSet<OwnedEventId>, RoomError> {
    let mut chain = HashSet::new();
    let mut open: Vec<&Pdu> = Vec::new();
    for id in of {
        open.push(known(id, events)?);
    }
    while let Some(event) = open.pop() {
        for id in event.auth_events() {
            if chain.insert(id.clone()) {
                open.push(known(id, events)?);
            }
        }
    }
    Ok(chain)
}

/// The conflicted state subgraph (room version 12): every event on a path along auth events
/// from one conflicted event to another, the conflicted ones included.
fn subgraph(conflicted: &HashSet<OwnedEventId>, events: &Events) -> HashSet<OwnedEventId> {
    // Downwards from the conflicted events, noting who is above whom.
    let mut parents: HashMap<&EventId, Vec<&EventId>> = HashMap::new();
    let mut seen: HashSet<&EventId> = conflicted.iter().map(|id| &**id).collect();
    let mut open: Vec<&EventId> = seen.iter().copied().collect();
    while let Some(id) = open.pop() {
        for below in events.get(id).map(Pdu::auth_events).unwrap_or_default() {
            parents.entry(below).or_default().push(id);
            if seen.insert(below) {
                open.push(below);
            }
        }
    }
    // Upwards again: whatever is above a conflicted event, and was reached from one, is between.
    let mut between: HashSet<&EventId> = conflicted.iter().map(|id| &**id).collect();
    let mut open: Vec<&EventId> = between.iter().copied().collect();
    while let Some(id) = open.pop() {
        for above in parents.get(id).into_iter().flatten() {
            if between.insert(above) {
                open.push(above);
            }
        }
    }
    between.into_iter().map(ToOwned::to_owned).collect()
}

fn known<'a>(id: &OwnedEventId, events: &'a Events) -> Result<&'a Pdu, RoomError> {
    events.get(id).ok_or_else(|| RoomError::NotFound(format!("event {id} is missing")))
}

fn to_set(ids: HashSet<OwnedEventId>) -> EventIdSet<OwnedEventId> {
    ids.into_iter().collect()
}
