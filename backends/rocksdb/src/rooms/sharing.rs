//! Who shares a room with a user.

use std::collections::HashSet;

use olmstead_storage::{Result, rooms::Membership};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::rows::{MembershipRow, Summary, head, members_with, summary_key};
use crate::{
    keys::{Key, Table},
    reads::{Reads, Span, json},
};

/// With so few rooms the rooms are asked for the others; with more, the others for their rooms.
const FEW_ROOMS: usize = 4;
/// So many of the others' rooms are looked at for each of the user's own, before it is asked the other way.
const PATIENCE: usize = 4;

/// Those of `others` who are in a room the user is joined to, in the order given.
///
/// Neither are lists of members read, however large the rooms, nor all of a user's rooms asked for each of the others. Of
/// many others most share the largest room, so that is asked first.
pub(super) fn sharing(
    reads: &impl Reads,
    user_id: &UserId,
    others: &[OwnedUserId],
    encrypted_only: bool,
    or_invited: bool,
) -> Result<Vec<OwnedUserId>> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let rooms = rooms(reads, user_id, encrypted_only)?;
    let mut search = Search { reads, others, or_invited, open: (0..others.len()).collect() };
    if rooms.len() <= FEW_ROOMS {
        rooms.iter().try_for_each(|room_id| search.ask_room(room_id))?;
    } else {
        // Worth a look at every room only for many.
        if others.len() > rooms.len()
            && let Some(largest) = largest(reads, &rooms)?
        {
            search.ask_room(&largest)?;
        }
        search.ask_others(&rooms)?;
    }
    let open = search.open;
    let found = others.iter().enumerate().filter(|(index, _)| open.binary_search(index).is_err());
    Ok(found.map(|(_, other)| other.clone()).collect())
}

struct Search<'a, R> {
    reads: &'a R,
    others: &'a [OwnedUserId],
    or_invited: bool,
    /// Indexes of those who were not found yet, in order.
    open: Vec<usize>,
}

impl<R: Reads> Search<'_, R> {
    fn memberships(&self) -> &'static [Membership] {
        if self.or_invited { &[Membership::Join, Membership::Invite] } else { &[Membership::Join] }
    }

    /// Asks a room for all who were not found.
    fn ask_room(&mut self, room_id: &RoomId) -> Result<()> {
        for membership in self.memberships() {
            if self.open.is_empty() {
                break;
            }
            let prefix = members_with(room_id, *membership);
            let others = self.open.iter().filter_map(|index| self.others.get(*index));
            let keys: Vec<Key> = others.map(|other| prefix.clone().text(other)).collect();
            let mut values = self.reads.get_many(&keys)?.into_iter();
            self.open.retain(|_| values.next().flatten().is_none());
        }
        Ok(())
    }

    /// Goes through the rooms of each who was not found.
    fn ask_others(&mut self, rooms: &[OwnedRoomId]) -> Result<()> {
        let own: HashSet<&RoomId> = rooms.iter().map(|room_id| &**room_id).collect();
        let (mut still_open, mut busy) = (Vec::new(), Vec::new());
        for index in std::mem::take(&mut self.open) {
            let Some(other) = self.others.get(index) else { continue };
            match self.is_in(other, &own)? {
                Some(true) => {}
                Some(false) => still_open.push(index),
                None => busy.push(index),
            }
        }
        // Who is in very many rooms is looked for in the user's own.
        self.open = busy;
        for room_id in rooms {
            if self.open.is_empty() {
                break;
            }
            self.ask_room(room_id)?;
        }
        self.open.append(&mut still_open);
        self.open.sort_unstable();
        Ok(())
    }

    /// Whether a user is in one of the rooms; `None` if there are too many rooms to go through.
    fn is_in(&self, other: &UserId, rooms: &HashSet<&RoomId>) -> Result<Option<bool>> {
        let prefix = Key::new(Table::Membership).text(other);
        let limit = rooms.len().saturating_mul(PATIENCE);
        for (passed, row) in self.reads.scan(Span::prefix(&prefix))?.enumerate() {
            let (key, value) = row?;
            if passed >= limit {
                return Ok(None);
            }
            let room_id: OwnedRoomId = prefix.parts_after(&key)?.id()?;
            if rooms.contains(&*room_id)
                && self.memberships().contains(&json::<MembershipRow>(Table::Membership, &value)?.membership)
            {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }
}

/// The room that most users are joined to.
fn largest(reads: &impl Reads, rooms: &[OwnedRoomId]) -> Result<Option<OwnedRoomId>> {
    let mut largest: Option<(u64, &OwnedRoomId)> = None;
    for room_id in rooms {
        let joined = head(reads, room_id)?.map_or(0, |head| head.joined);
        if largest.is_none_or(|(most, _)| joined > most) {
            largest = Some((joined, room_id));
        }
    }
    Ok(largest.map(|(_, room_id)| room_id.clone()))
}

/// The rooms a user is joined to.
fn rooms(reads: &impl Reads, user_id: &UserId, encrypted_only: bool) -> Result<Vec<OwnedRoomId>> {
    let prefix = Key::new(Table::Membership).text(user_id);
    let mut rooms: Vec<OwnedRoomId> = Vec::new();
    for row in reads.scan(Span::prefix(&prefix))? {
        let (key, value) = row?;
        if json::<MembershipRow>(Table::Membership, &value)?.membership == Membership::Join {
            rooms.push(prefix.parts_after(&key)?.id()?);
        }
    }
    if !encrypted_only {
        return Ok(rooms);
    }
    let keys: Vec<Key> = rooms.iter().map(|room_id| summary_key(room_id)).collect();
    let mut encrypted = Vec::new();
    for (room_id, value) in rooms.into_iter().zip(reads.get_many(&keys)?) {
        if let Some(value) = value
            && Summary::from_bytes(&value)?.encrypted_at.is_some()
        {
            encrypted.push(room_id);
        }
    }
    Ok(encrypted)
}
