//! The one way events get into a room: read the head, build on it, authorise, sign, and append if the head is still the
//! same. Appends of one node wait for each other; those of several nodes collide, and who loses builds anew.

use std::collections::HashMap;

use olmstead_domain::rooms::{
    EventTemplate, Pdu, PowerLevels, RoomVersion,
    auth::{author, needed_state},
    build::Head,
    pdu::MAX_PREV_EVENTS,
};
use olmstead_storage::{
    StorageError,
    rooms::{Append, AppendOutcome, NewEvent, RoomHead},
    to_device::TransactionKey,
};
use ruma::{OwnedEventId, RoomId, UserId, events::room::member::MembershipState};

use super::{StateKey, key_of, not_in_room, state_cache::Known, version_of};
use crate::{Context, Result, ServiceError, tries::Tries};

/// An event to send.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What to send.
    pub template: EventTemplate,
    /// The transaction that sends it.
    pub transaction: Option<TransactionKey>,
}

impl From<EventTemplate> for Draft {
    fn from(template: EventTemplate) -> Self {
        Self { template, transaction: None }
    }
}

/// What to do, decided on a look at the room.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Send these, in one commit.
    Send(Vec<Draft>),
    /// It is so already, by this event if one is to be named.
    Already(Option<OwnedEventId>),
}

impl Plan {
    /// One event without a transaction.
    pub(crate) fn one(template: EventTemplate) -> Self {
        Self::Send(vec![template.into()])
    }
}

/// A look at the room's current state; it holds the entries that were asked for.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The room's version.
    pub version: RoomVersion,
    /// The room's head.
    pub head: &'a RoomHead,
    state: &'a Known,
}

impl Snapshot<'_> {
    /// A state entry.
    #[must_use]
    pub fn get(&self, kind: &str, state_key: &str) -> Option<&Pdu> {
        find(self.state, kind, state_key)
    }

    /// The membership of a user; `None` if there never was one.
    #[must_use]
    pub fn membership(&self, user_id: &UserId) -> Option<MembershipState> {
        self.get("m.room.member", user_id.as_str()).and_then(Pdu::membership)
    }

    /// The power levels.
    ///
    /// # Errors
    /// [`crate::Refusal::Forbidden`] for a room without a create event, in which nobody can do anything.
    pub fn power_levels(&self) -> Result<PowerLevels> {
        let create = self.get("m.room.create", "").ok_or_else(not_in_room)?;
        Ok(PowerLevels::read(create, self.get("m.room.power_levels", "")))
    }
}

fn find<'a>(state: &'a Known, kind: &str, state_key: &str) -> Option<&'a Pdu> {
    // The map's key is a pair of owned texts.
    state.get(&(kind.to_owned(), state_key.to_owned())).and_then(Option::as_ref)
}

/// The state that [`Snapshot::power_levels`] reads.
pub(crate) fn power_keys() -> [StateKey; 2] {
    [key_of("m.room.create"), key_of("m.room.power_levels")]
}

/// Appends what `plan` decides on a look at the state entries `needs`, and returns the ids of the events. The plan is
/// made anew when the room has moved on.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] if the room is not known or the authorisation rules say no,
/// [`crate::Refusal::TooLarge`]
/// for an event over the limits (ENC-8), [`crate::Refusal::BadJson`] for content without canonical form, and what the
/// plan refuses.
pub async fn append<F>(cx: &Context, room_id: &RoomId, needs: &[StateKey], plan: F) -> Result<Vec<OwnedEventId>>
where
    F: Fn(&Snapshot<'_>) -> Result<Plan>,
{
    let lock = cx.caches.room_states.lock(room_id);
    let _turn = lock.lock().await;
    let mut tries = Tries::new(cx);
    loop {
        let head = cx.storage.room_head(room_id).await?.ok_or_else(not_in_room)?;
        let version = version_of(&head)?;
        let entry = cx.caches.room_states.entry(room_id, &head.extremities);
        let mut state = Known::new();
        entry.load(cx, room_id, needs.iter().cloned(), &mut state).await?;
        let drafts = match plan(&Snapshot { version, head: &head, state: &state })? {
            Plan::Send(drafts) if !drafts.is_empty() => drafts,
            Plan::Send(_) => return Ok(Vec::new()),
            Plan::Already(event) => return Ok(event.into_iter().collect()),
        };

        let mut place = Head {
            version,
            room_id: Some(room_id.to_owned()),
            prev_events: head.extremities.iter().take(MAX_PREV_EVENTS).cloned().collect(),
            prev_depth: head.depth,
        };
        let mut events = Vec::with_capacity(drafts.len());
        let mut changed = Known::new();
        let redacts = drafts.iter().any(|draft| draft.template.kind == "m.room.redaction");
        for Draft { template, transaction } in drafts {
            entry.load(cx, room_id, needed_state(version, &template)?, &mut state).await?;
            let pdu = author(&template, &place, |kind, key| find(&state, kind, key).cloned(), &cx.server_key)?;
            place = Head::after(&pdu);
            if let Some(state_key) = pdu.state_key() {
                let key = (pdu.kind().to_owned(), state_key.to_owned());
                state.insert(key.clone(), Some(pdu.clone()));
                changed.insert(key, Some(pdu.clone()));
            }
            events.push(NewEvent { updates_state: pdu.is_state(), in_timeline: true, transaction, pdu });
        }
        let ids: Vec<OwnedEventId> = events.iter().map(|event| event.pdu.event_id().to_owned()).collect();
        let depth = place.prev_depth.max(head.depth);
        let mut extremities = place.prev_events;
        extremities.extend(head.extremities.iter().skip(MAX_PREV_EVENTS).cloned());
        let outcome = cx
            .storage
            .append_events(Append {
                room_id: room_id.to_owned(),
                version: version.id(),
                expected_revision: Some(head.revision),
                events,
                extremities: extremities.clone(),
                depth,
                alias: None,
                published: None,
            })
            .await;
        match outcome {
            Ok(AppendOutcome::Appended(_)) => {
                // A redaction may change what a state event says; what is known starts afresh after it.
                if !redacts {
                    cx.caches.room_states.advance(room_id, &entry, extremities, changed);
                }
                return Ok(ids);
            }
            Ok(AppendOutcome::SeenBefore(event_id)) => return Ok(vec![event_id]),
            Ok(outcome @ (AppendOutcome::AliasTaken | AppendOutcome::RoomExists)) => {
                return Err(ServiceError::Internal(format!("unexpected outcome of an append: {outcome:?}")));
            }
            Err(StorageError::Conflict) => tries.again().await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// [`append`] of one event; a repeated transaction gives the event it made first, whatever has changed since (GEN-19).
pub(crate) async fn append_once<F>(
    cx: &Context,
    room_id: &RoomId,
    needs: &[StateKey],
    transaction: Option<&TransactionKey>,
    plan: F,
) -> Result<OwnedEventId>
where
    F: Fn(&Snapshot<'_>) -> Result<Plan>,
{
    let result = append(cx, room_id, needs, plan).await;
    let event_id = or_seen_before(cx, transaction, result.map(|ids| ids.into_iter().next())).await?;
    event_id.ok_or_else(|| ServiceError::Internal("an append without an event".to_owned()))
}

/// The answer, or if it is a refusal, the event that the transaction made before. The commit itself looks for the
/// transaction too; this is for a repeat that would be refused by now, and spares all others a read.
pub(crate) async fn or_seen_before(
    cx: &Context,
    transaction: Option<&TransactionKey>,
    result: Result<Option<OwnedEventId>>,
) -> Result<Option<OwnedEventId>> {
    match (result, transaction) {
        (Err(error @ ServiceError::Refused { .. }), Some(transaction)) => {
            match cx.storage.transaction_event(transaction).await? {
                Some(event_id) => Ok(Some(event_id)),
                None => Err(error),
            }
        }
        (result, _) => result,
    }
}

/// The current state entries asked for, by type and key.
pub(crate) async fn current_state(cx: &Context, room_id: &RoomId, keys: &[StateKey]) -> Result<HashMap<StateKey, Pdu>> {
    let head = super::known_room(cx, room_id).await?;
    let mut state = Known::new();
    cx.caches.room_states.entry(room_id, &head.extremities).load(cx, room_id, keys.iter().cloned(), &mut state).await?;
    Ok(state.into_iter().filter_map(|(key, pdu)| Some((key, pdu?))).collect())
}
