//! What a client was told on a connection.

use std::collections::BTreeMap;

use olmstead_domain::position::Position;
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};

use super::required::Sets;

/// What was told as of a `pos`. Together with the position in it this says what is news, so a `pos` moves on without a
/// write as long as the same rooms are told in the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// Rooms the client knows.
    #[serde(rename = "r", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rooms: BTreeMap<OwnedRoomId, Entry>,
    #[serde(rename = "e", default)]
    pub(super) extensions: Extensions,
    /// How many rooms each list had.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) counts: BTreeMap<String, u64>,
}

/// How a room was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "k")]
    pub(super) kind: Kind,
    /// The name of the set of state that the client is kept up to date with.
    #[serde(rename = "s")]
    pub(super) required: u64,
    /// So many of the newest events the client has, if the room has as many.
    #[serde(rename = "l")]
    pub(super) limit: usize,
    /// Everything below was told; `None` for all below the position of the `pos`.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) upto: Option<Position>,
}

impl Entry {
    /// Where news begin. `since` is the position of the `pos`.
    pub(super) fn from(&self, since: Position) -> Position {
        self.upto.unwrap_or(since)
    }
}

/// As what a room was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// With the user in it.
    #[serde(rename = "j")]
    Joined,
    /// With the user before its door: invited.
    #[serde(rename = "i")]
    Invited,
    /// With the user before its door: knocking.
    #[serde(rename = "k")]
    Knocked,
}

/// How far the extensions have told, those that tell what is new since a `pos`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extensions {
    #[serde(rename = "e", default)]
    pub(super) e2ee: Reached,
    #[serde(rename = "a", default)]
    pub(super) account_data: Reached,
    #[serde(rename = "r", default)]
    pub(super) receipts: Reached,
    #[serde(rename = "t", default)]
    pub(super) typing: Reached,
}

impl Extensions {
    /// Whether one tells for the first time.
    pub(super) fn begins_after(&self, before: &Self) -> bool {
        let pairs = [
            (self.e2ee, before.e2ee),
            (self.account_data, before.account_data),
            (self.receipts, before.receipts),
            (self.typing, before.typing),
        ];
        pairs.into_iter().any(|(after, before)| before == Reached::Nothing && after != Reached::Nothing)
    }
}

/// How far something was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reached {
    /// Not at all.
    #[default]
    #[serde(rename = "0")]
    Nothing,
    /// Up to the position of the `pos`.
    #[serde(rename = "p")]
    Pos,
    /// Up to here: it was not asked for since.
    #[serde(rename = "u")]
    Upto(Position),
}

impl Reached {
    /// Where news begin; `None` for who was told nothing.
    pub(super) fn from(self, since: Option<Position>) -> Option<Position> {
        match self {
            Self::Nothing => None,
            Self::Pos => since,
            Self::Upto(position) => Some(position),
        }
    }

    /// After an answer to a request from `since` that asked for it or not.
    pub(super) fn after(self, asked: bool, since: Option<Position>) -> Self {
        match (self, since) {
            _ if asked => Self::Pos,
            (Self::Pos, Some(since)) => Self::Upto(since),
            (Self::Pos, None) => Self::Nothing,
            (other, _) => other,
        }
    }
}

/// What an answer changes of [`Told`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Rooms by id; `None` for those the client need not know any more.
    #[serde(rename = "r", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rooms: BTreeMap<OwnedRoomId, Option<Entry>>,
    /// The sets that `rooms` names.
    #[serde(skip)]
    pub(super) sets: Sets,
    /// All of them, as they are after it.
    #[serde(rename = "e", default)]
    pub(super) extensions: Extensions,
    /// All of them, as they are after it.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) counts: BTreeMap<String, u64>,
}

impl Change {
    /// Whether it changes nothing.
    pub(super) fn is_empty(&self, told: &Told) -> bool {
        self.rooms.is_empty() && self.extensions == told.extensions && self.counts == told.counts
    }

    /// What was told, with the change.
    pub(super) fn applied_to(&self, told: &Told) -> Told {
        let mut rooms = told.rooms.clone();
        for (room_id, entry) in &self.rooms {
            match entry {
                Some(entry) => rooms.insert(room_id.clone(), entry.clone()),
                None => rooms.remove(room_id),
            };
        }
        Told { rooms, extensions: self.extensions, counts: self.counts.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_stays_where_it_was() {
        let since = Some(Position(7));
        assert_eq!(Reached::Nothing.after(false, since), Reached::Nothing);
        assert_eq!(Reached::Nothing.after(true, since), Reached::Pos);
        assert_eq!(Reached::Pos.after(false, since), Reached::Upto(Position(7)));
        assert_eq!(Reached::Upto(Position(3)).after(false, since), Reached::Upto(Position(3)));
        assert_eq!(Reached::Upto(Position(3)).after(true, since), Reached::Pos);
        assert_eq!(Reached::Upto(Position(3)).from(since), Some(Position(3)));
        assert_eq!((Reached::Pos.from(since), Reached::Nothing.from(since)), (since, None));
    }
}
