//! Who shares a room with a user.

use olmstead_storage::{Result, rooms::Membership};
use ruma::{OwnedRoomId, OwnedUserId, UserId};

use super::rows::{MembershipRow, Summary, members_with, summary_key};
use crate::{
    keys::{Key, Table},
    reads::{Reads, Span, json},
};

/// Those of `others` who are in a room the user is joined to, in the order given.
///
/// One room after the other is asked for those not found yet, so no list of members is read however large the rooms.
pub(super) fn sharing(
    reads: &impl Reads,
    user_id: &UserId,
    others: &[OwnedUserId],
    encrypted_only: bool,
    or_invited: bool,
) -> Result<Vec<OwnedUserId>> {
    let memberships: &[Membership] =
        if or_invited { &[Membership::Join, Membership::Invite] } else { &[Membership::Join] };
    let mut shared = vec![false; others.len()];
    if others.is_empty() {
        return Ok(Vec::new());
    }
    for room_id in rooms(reads, user_id, encrypted_only)? {
        for membership in memberships {
            let open: Vec<usize> =
                shared.iter().enumerate().filter(|(_, found)| !**found).map(|(index, _)| index).collect();
            if open.is_empty() {
                return Ok(others.to_vec());
            }
            let prefix = members_with(&room_id, *membership);
            let keys: Vec<Key> =
                open.iter().filter_map(|index| others.get(*index)).map(|other| prefix.clone().text(other)).collect();
            for (index, value) in open.into_iter().zip(reads.get_many(&keys)?) {
                if let (Some(found), true) = (shared.get_mut(index), value.is_some()) {
                    *found = true;
                }
            }
        }
    }
    Ok(others.iter().zip(shared).filter(|(_, found)| *found).map(|(other, _)| other.clone()).collect())
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
