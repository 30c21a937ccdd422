//! Appending events.
//!
//! One statement reads all that is to be known of the room, what the events do is worked out here, one after the other,
//! and then all rows of all events are written at once.

use std::collections::{HashMap, HashSet};

use olmstead_domain::rooms::{pdu::Pdu, relations::Relation};
use olmstead_storage::{
    StorageError,
    changes::ChangeKey,
    rooms::{Append, AppendOutcome, Membership},
    to_device::TransactionKey,
};
use ruma::{EventId, OwnedEventId, OwnedUserId, UserId, events::room::member::MembershipState};

use super::{
    appended::{self, MemberRow, RelationRow, Rows, StateRow},
    known::{self, Asked, Head, Known},
};
use crate::{command::Command, directory, error::Done, locks::Locks};

/// What an append must lock.
pub(super) fn locks(append: &Append) -> Locks {
    let locks = append.events.iter().filter_map(|event| event.transaction.as_ref()).fold(Locks::new(), lock);
    let locks = append.alias.iter().fold(locks, |locks, (alias, _)| directory::lock_alias(locks, alias));
    locks.room(&append.room_id)
}

fn lock(locks: Locks, transaction: &TransactionKey) -> Locks {
    let device = &transaction.device;
    locks.name("transaction", &format!("{} {}", device.generation, device.device_id))
}

/// Appends, under the locks.
pub(super) async fn append(command: &mut Command, append: &Append) -> Done<AppendOutcome> {
    let asked = asked(append);
    let Known { seen, head, alias_taken, state, members, redactable } =
        known::read(command.sql(), append, &asked).await?;
    if let Some(event_id) = seen {
        return Ok(AppendOutcome::SeenBefore(event_id));
    }
    let head = match (head, append.expected_revision) {
        (None, None) => Head::default(),
        (Some(head), Some(expected)) if head.revision == expected => head,
        (Some(_), None) => return Ok(AppendOutcome::RoomExists),
        _ => return Err(StorageError::Conflict.into()),
    };
    if alias_taken {
        return Ok(AppendOutcome::AliasTaken);
    }

    let current = asked.entries.iter().copied().zip(state).filter_map(|(entry, id)| Some((entry, id?))).collect();
    let members =
        asked.users.iter().cloned().zip(members).filter_map(|(user, standing)| Some((user, standing?))).collect();
    let redactable = asked.targets.iter().copied().zip(redactable).filter(|(_, is)| *is).map(|(id, _)| id).collect();
    let mut room = Room {
        rows: Rows { changes: vec![ChangeKey::Room(append.room_id.clone())], ..Rows::default() },
        append,
        head,
        current,
        members,
        redactable,
    };
    for (index, event) in append.events.iter().enumerate() {
        let ordinal = i32::try_from(index).map_err(|error| StorageError::unavailable("too many events", error))?;
        room.add(&event.pdu, event.updates_state, ordinal);
        room.rows.is_told |= event.in_timeline || (event.updates_state && event.pdu.is_state());
    }
    let Room { rows, head, .. } = room;
    let position = appended::write(command, append, &head, &rows).await?;
    if let Some((alias, creator)) = &append.alias {
        directory::put_alias(command.sql(), alias, &append.room_id, creator).await?;
    }
    if let Some(published) = append.published {
        directory::put_published(command.sql(), &append.room_id, published).await?;
    }
    Ok(AppendOutcome::Appended(position))
}

/// What these events touch, each once.
fn asked(append: &Append) -> Asked<'_> {
    let mut asked = Asked::default();
    let (mut entries, mut users, mut targets) = (HashSet::new(), HashSet::new(), HashSet::new());
    for event in &append.events {
        let pdu = &event.pdu;
        if let (Some(state_key), true) = (pdu.state_key(), event.updates_state) {
            let entry = (pdu.kind(), state_key);
            if entries.insert(entry) {
                asked.entries.push(entry);
            }
            if let Some((user_id, _)) = member(pdu)
                && users.insert(user_id.clone())
            {
                asked.users.push(user_id);
            }
        }
        asked.targets.extend(pdu.redacts().filter(|target| targets.insert(*target)));
    }
    asked
}

/// A room while events are put on it.
struct Room<'a> {
    append: &'a Append,
    rows: Rows<'a>,
    head: Head,
    current: HashMap<(&'a str, &'a str), OwnedEventId>,
    /// Memberships, and whether the room was forgotten.
    members: HashMap<OwnedUserId, (Membership, bool)>,
    /// Events that a redaction would apply to.
    redactable: HashSet<&'a EventId>,
}

impl<'a> Room<'a> {
    fn add(&mut self, pdu: &'a Pdu, updates_state: bool, ordinal: i32) {
        let replaces = match pdu.state_key() {
            Some(state_key) if updates_state => self.set_state(pdu, state_key, ordinal),
            _ => None,
        };
        self.rows.replaces.push(replaces);
        if let Some(relation) = Relation::of(pdu) {
            self.rows.relations.push(RelationRow {
                ordinal,
                parent: relation.event_id,
                rel_type: relation.rel_type,
                kind: pdu.kind(),
                event_id: pdu.event_id(),
            });
        }
        // The first redaction that applies stays.
        if let Some(target) = pdu.redacts()
            && self.redactable.remove(target)
        {
            self.rows.redactions.push((target, pdu.event_id()));
        }
        self.redactable.insert(pdu.event_id());
    }

    /// Makes the event the current state of its entry; gives the one before.
    fn set_state(&mut self, pdu: &'a Pdu, state_key: &'a str, ordinal: i32) -> Option<OwnedEventId> {
        if !self.head.is_encrypted && pdu.is_state_of("m.room.encryption", "") {
            self.head.is_encrypted = true;
            self.rows.encrypted = Some(ordinal);
        }
        let member = member(pdu).map(|(user_id, membership)| self.set_membership(pdu, user_id, membership));
        self.rows.state.push(StateRow { ordinal, kind: pdu.kind(), state_key, event_id: pdu.event_id(), member });
        self.current.insert((pdu.kind(), state_key), pdu.event_id().to_owned())
    }

    fn set_membership(&mut self, pdu: &'a Pdu, user_id: OwnedUserId, to: Membership) -> MemberRow<'a> {
        let before = self.members.get(&user_id).copied();
        let from = before.map(|(membership, _)| membership);
        // A ban or its end does not bring back what the user forgot.
        let forgotten =
            before.is_some_and(|(_, forgotten)| forgotten) && matches!(to, Membership::Leave | Membership::Ban);
        let was_and_is = |membership| (from == Some(membership), to == membership);
        count(&mut self.head.joined, was_and_is(Membership::Join));
        count(&mut self.head.invited, was_and_is(Membership::Invite));
        let (was_joined, is_joined) = was_and_is(Membership::Join);
        if was_joined != is_joined {
            self.rows.changes.push(ChangeKey::Membership(self.append.room_id.clone(), user_id.clone()));
        }
        if !(was_joined && is_joined) {
            self.rows.changes.push(ChangeKey::User(user_id.clone()));
        }
        self.members.insert(user_id, (to, forgotten));
        MemberRow { to, from, sender: pdu.sender(), forgotten }
    }
}

fn count(count: &mut u64, moved: (bool, bool)) {
    match moved {
        (false, true) => *count = count.saturating_add(1),
        (true, false) => *count = count.saturating_sub(1),
        _ => {}
    }
}

/// The user whose membership an event sets, and to what.
fn member(pdu: &Pdu) -> Option<(OwnedUserId, Membership)> {
    let membership = match pdu.membership()? {
        MembershipState::Invite => Membership::Invite,
        MembershipState::Join => Membership::Join,
        MembershipState::Leave => Membership::Leave,
        MembershipState::Ban => Membership::Ban,
        MembershipState::Knock => Membership::Knock,
        _ => return None,
    };
    Some((UserId::parse(pdu.state_key()?).ok()?, membership))
}
