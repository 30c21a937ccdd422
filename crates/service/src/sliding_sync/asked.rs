//! What a request asks for, within bounds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use olmstead_domain::{
    filter::MAX_LIMIT,
    position::{SlidingToken, SyncToken},
};
use ruma::{
    OwnedRoomId, UInt, UserId,
    api::client::sync::sync_events::v5::{Request, request},
    events::StateEventType,
    presence::PresenceState,
};

use super::required::Required;
use crate::{
    Refusal, Result, ServiceError,
    sync::{INBOX_PAGE, MAX_TIMEOUT, SetPresence},
};

/// Lists in a request.
const MAX_LISTS: usize = 100;
/// Ranges in a list.
const MAX_RANGES: usize = 100;
/// Rooms subscribed to in a request.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// Pairs in a `required_state`.
pub(super) const MAX_REQUIRED: usize = 200;
/// Bytes in `conn_id` and in a list's name.
const MAX_NAME: usize = 255;

/// A request.
pub(super) struct Asked {
    /// `conn_id`; empty if there is none.
    pub(super) connection: String,
    pub(super) pos: Option<SlidingToken>,
    /// How long to wait for news.
    pub(super) wait: Duration,
    pub(super) presence: SetPresence,
    /// By name; the place in here is a list's bit in [`Sources::lists`].
    pub(super) lists: Vec<List>,
    /// Rooms, each with the place of what is wanted of it in `wishes`.
    pub(super) subscriptions: BTreeMap<OwnedRoomId, u16>,
    wishes: Vec<Wish>,
    pub(super) to_device: Option<ToDevice>,
    pub(super) e2ee: bool,
    pub(super) account_data: Option<Scope>,
    pub(super) receipts: Option<Scope>,
    pub(super) typing: Option<Scope>,
}

/// A list.
pub(super) struct List {
    pub(super) name: String,
    /// From the first, included, to the second, excluded.
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) filters: request::ListFilters,
    wish: Wish,
}

/// What is wanted of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) required: Required,
    /// Timeline events at most.
    pub(super) limit: usize,
}

/// The extension `to_device`.
pub(super) struct ToDevice {
    pub(super) since: Option<SyncToken>,
    pub(super) limit: usize,
}

/// Of which rooms an extension tells. `None` is all lists, or all subscriptions.
pub(super) struct Scope {
    lists: Option<u128>,
    rooms: Option<Vec<request::ExtensionRoomConfig>>,
}

/// By what a room is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Sources {
    /// A bit for each list.
    pub(super) lists: u128,
    pub(super) subscription: Option<u16>,
}

impl Scope {
    /// Whether the extension tells of a room.
    pub(super) fn covers(&self, room_id: &OwnedRoomId, sources: Sources) -> bool {
        let by_list = sources.lists & self.lists.unwrap_or(u128::MAX) != 0;
        let by_name = || match &self.rooms {
            None => true,
            Some(rooms) => rooms.iter().any(|room| match room {
                request::ExtensionRoomConfig::AllSubscribed => true,
                request::ExtensionRoomConfig::Room(other) => other == room_id,
                _ => false,
            }),
        };
        by_list || (sources.subscription.is_some() && by_name())
    }
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// `InvalidParam` for what is beyond the bounds, `UnknownPos` for a `pos` that no server of this kind made.
    pub(super) fn read(request: Request, reader: &UserId) -> Result<Self> {
        bounded("lists", request.lists.len(), MAX_LISTS)?;
        bounded("room_subscriptions", request.room_subscriptions.len(), MAX_SUBSCRIPTIONS)?;
        let connection = request.conn_id.unwrap_or_default();
        bounded("bytes of conn_id", connection.len(), MAX_NAME)?;
        let pos = request.pos.as_deref().filter(|pos| !pos.is_empty());
        let pos = pos.map(|pos| pos.parse().map_err(|_| unknown_pos())).transpose()?;
        let mut lists = Vec::new();
        for (name, list) in request.lists {
            bounded("bytes of a list's name", name.len(), MAX_NAME)?;
            let wish = wish(&list.room_details.required_state, list.room_details.timeline_limit, reader)?;
            lists.push(List { name, ranges: ranges(&list.ranges)?, filters: list.filters.unwrap_or_default(), wish });
        }
        let mut wishes: Vec<Wish> = Vec::new();
        let mut subscriptions = BTreeMap::new();
        for (room_id, subscription) in request.room_subscriptions {
            let wish = wish(&subscription.required_state, subscription.timeline_limit, reader)?;
            let index = wishes.iter().position(|other| *other == wish).unwrap_or_else(|| {
                wishes.push(wish);
                wishes.len() - 1
            });
            subscriptions.insert(room_id, u16::try_from(index).unwrap_or(u16::MAX));
        }
        let extensions = request.extensions;
        let to_device = extensions.to_device;
        let scope = |enabled: Option<bool>, names: Option<Vec<String>>, rooms| {
            (enabled == Some(true)).then(|| Scope { lists: names.map(|names| bits(&lists, &names)), rooms })
        };
        Ok(Self {
            connection,
            pos,
            wait: request.timeout.unwrap_or_default().min(MAX_TIMEOUT),
            presence: presence(&request.set_presence)?,
            subscriptions,
            wishes,
            to_device: (to_device.enabled == Some(true))
                .then(|| to_device_of(to_device.since.as_deref(), to_device.limit))
                .transpose()?,
            e2ee: extensions.e2ee.enabled == Some(true),
            account_data: scope(
                extensions.account_data.enabled,
                extensions.account_data.lists,
                extensions.account_data.rooms,
            ),
            receipts: scope(extensions.receipts.enabled, extensions.receipts.lists, extensions.receipts.rooms),
            typing: scope(extensions.typing.enabled, extensions.typing.lists, extensions.typing.rooms),
            lists,
        })
    }

    /// Whether it asks for rooms at all.
    pub(super) fn wants_rooms(&self) -> bool {
        !self.lists.is_empty() || !self.subscriptions.is_empty()
    }

    /// What is wanted of a room by all its sources together.
    pub(super) fn wish(&self, sources: Sources, known: &mut HashMap<Sources, Arc<Wish>>) -> Arc<Wish> {
        Arc::clone(known.entry(sources).or_insert_with(|| {
            let by_lists = self.lists.iter().enumerate().filter(|(index, _)| sources.lists & bit(*index) != 0);
            let by_name = sources.subscription.and_then(|index| self.wishes.get(usize::from(index)));
            let mut all = by_lists.map(|(_, list)| &list.wish).chain(by_name);
            let first = all.next().cloned().unwrap_or_default();
            Arc::new(all.fold(first, |sum, wish| Wish {
                required: sum.required.union(&wish.required),
                limit: sum.limit.max(wish.limit),
            }))
        }))
    }
}

/// The bit of a list.
pub(super) fn bit(index: usize) -> u128 {
    u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)).unwrap_or(0)
}

fn bits(lists: &[List], names: &[String]) -> u128 {
    let named = |list: &List| names.iter().any(|name| *name == list.name || name == "*");
    lists.iter().enumerate().filter(|(_, list)| named(list)).fold(0, |bits, (index, _)| bits | bit(index))
}

/// The refusal of a `pos` that was not given out on this connection, or is no longer remembered.
pub(super) fn unknown_pos() -> ServiceError {
    ServiceError::refused(Refusal::UnknownPos, "This pos is not known, or no longer: begin again without one.")
}

fn bounded(what: &str, count: usize, max: usize) -> Result<()> {
    if count > max {
        return Err(ServiceError::invalid_param(format!("There may be {max} {what}, not {count}.")));
    }
    Ok(())
}

fn wish(required: &[(StateEventType, String)], limit: UInt, reader: &UserId) -> Result<Wish> {
    bounded("pairs in required_state", required.len(), MAX_REQUIRED)?;
    let pairs: Vec<(String, &str)> = required.iter().map(|(kind, key)| (kind.to_string(), key.as_str())).collect();
    Ok(Wish {
        required: Required::read(pairs.iter().map(|(kind, key)| (kind.as_str(), *key)), reader),
        limit: usize::try_from(u64::from(limit)).unwrap_or(MAX_LIMIT).min(MAX_LIMIT),
    })
}

fn ranges(ranges: &[(UInt, UInt)]) -> Result<Vec<(usize, usize)>> {
    bounded("ranges in a list", ranges.len(), MAX_RANGES)?;
    let place = |number: UInt| usize::try_from(u64::from(number)).unwrap_or(usize::MAX);
    let ranges = ranges.iter().map(|(first, last)| match (place(*first), place(*last)) {
        (first, last) if first <= last => Ok((first, last.saturating_add(1))),
        (first, last) => {
            Err(ServiceError::invalid_param(format!("The range [{first}, {last}] ends before it begins.")))
        }
    });
    ranges.collect()
}

fn presence(presence: &PresenceState) -> Result<SetPresence> {
    match presence {
        PresenceState::Online => Ok(SetPresence::Online),
        PresenceState::Unavailable => Ok(SetPresence::Unavailable),
        PresenceState::Offline => Ok(SetPresence::Offline),
        other => Err(ServiceError::invalid_param(format!("`set_presence` cannot be {other}."))),
    }
}

fn to_device_of(since: Option<&str>, limit: Option<UInt>) -> Result<ToDevice> {
    let since = since.filter(|since| !since.is_empty());
    let since = since.map(|since| {
        let token = since.parse::<SyncToken>();
        token.map_err(|error| ServiceError::invalid_param(format!("The to-device since is not right: {error}.")))
    });
    let limit = limit.map_or(INBOX_PAGE, |limit| usize::try_from(u64::from(limit)).unwrap_or(INBOX_PAGE));
    Ok(ToDevice { since: since.transpose()?, limit: limit.min(INBOX_PAGE) })
}
