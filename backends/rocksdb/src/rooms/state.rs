//! State of a room now and at any place.
//!
//! An entry once set is never unset, so the current rows name all entries there ever were. A read at a place takes the
//! current row where that is old enough, and else seeks the entry's newest version below the place. Its cost is that of
//! the entries asked for, whatever the number of their versions.

use std::collections::HashMap;

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    Result,
    rooms::{StateSelection, StoredEvent},
};
use ruma::{OwnedEventId, RoomId};

use super::{
    cache::EventCache,
    events::load_all,
    rows::{MEMBER, StateRow, current_key, state_versions},
};
use crate::{
    keys::{Key, Table},
    reads::{Reads, Span},
};

/// State strictly before a place, or now.
pub(super) fn state(
    reads: &impl Reads,
    cache: &EventCache,
    room_id: &RoomId,
    before: Option<Cursor>,
    select: &StateSelection,
) -> Result<Vec<StoredEvent>> {
    let all = Key::new(Table::CurrentState).text(room_id);
    let mut rows = Vec::new();
    match select {
        StateSelection::All => scan(reads, Span::prefix(&all), room_id, before, &mut rows)?,
        StateSelection::AllButMembers => {
            let members = all.clone().text(MEMBER);
            scan(reads, Span::between(&all, &members), room_id, before, &mut rows)?;
            scan(reads, Span::prefix(&all).after(&members), room_id, before, &mut rows)?;
        }
        StateSelection::Types(types) => {
            for kind in types {
                scan(reads, Span::prefix(&all.clone().text(kind)), room_id, before, &mut rows)?;
            }
        }
        StateSelection::These(entries) => {
            let keys: Vec<Key> =
                entries.iter().map(|(kind, state_key)| current_key(room_id, kind, state_key)).collect();
            for ((kind, state_key), value) in entries.iter().zip(reads.get_many(&keys)?) {
                let Some(value) = value else { continue };
                let current = StateRow::from_current(&value)?;
                rows.extend(at(reads, room_id, kind, state_key, current, before)?);
            }
        }
    }
    let event_ids: Vec<OwnedEventId> = rows.into_iter().map(|row| row.event_id).collect();
    load_all(reads, cache, &event_ids)
}

fn scan(
    reads: &impl Reads,
    span: Span,
    room_id: &RoomId,
    before: Option<Cursor>,
    rows: &mut Vec<StateRow>,
) -> Result<()> {
    let prefix = Key::new(Table::CurrentState).text(room_id);
    for row in reads.scan(span)? {
        let (key, value) = row?;
        let current = StateRow::from_current(&value)?;
        if before.is_none_or(|before| current.cursor < before) {
            rows.push(current);
            continue;
        }
        let mut parts = prefix.parts_after(&key)?;
        let (kind, state_key) = (parts.text()?, parts.text()?);
        rows.extend(at(reads, room_id, &kind, &state_key, current, before)?);
    }
    Ok(())
}

/// The version of an entry at a place, given the current one.
pub(super) fn at(
    reads: &impl Reads,
    room_id: &RoomId,
    kind: &str,
    state_key: &str,
    current: StateRow,
    before: Option<Cursor>,
) -> Result<Option<StateRow>> {
    let Some(before) = before else { return Ok(Some(current)) };
    if current.cursor < before {
        return Ok(Some(current));
    }
    let versions = state_versions(room_id, kind, state_key);
    let span = Span::between(&versions, &versions.clone().cursor(before)).backward();
    let Some(row) = reads.scan(span)?.next() else { return Ok(None) };
    let (key, value) = row?;
    StateRow::from_version(versions.parts_after(&key)?.cursor()?, &value).map(Some)
}

/// The last event of each entry set in a span, in the order of their places.
pub(super) fn state_between(
    reads: &impl Reads,
    cache: &EventCache,
    room_id: &RoomId,
    from: Cursor,
    to: Cursor,
) -> Result<Vec<StoredEvent>> {
    let log = Key::new(Table::StateLog).text(room_id);
    let span = Span::between(&log.clone().cursor(from), &log.clone().cursor(to));
    let mut last: HashMap<(String, String), (Cursor, OwnedEventId)> = HashMap::new();
    for row in reads.scan(span)? {
        let (key, value) = row?;
        let mut parts = Key::parts_of(Table::StateLog, &value)?;
        let entry = (parts.text()?, parts.text()?);
        last.insert(entry, (log.parts_after(&key)?.cursor()?, parts.id()?));
    }
    let mut last: Vec<_> = last.into_values().collect();
    last.sort_unstable();
    let event_ids: Vec<OwnedEventId> = last.into_iter().map(|(_, event_id)| event_id).collect();
    load_all(reads, cache, &event_ids)
}

/// All versions of an entry.
pub(super) fn history(
    reads: &impl Reads,
    cache: &EventCache,
    room_id: &RoomId,
    kind: &str,
    state_key: &str,
) -> Result<Vec<StoredEvent>> {
    let versions = state_versions(room_id, kind, state_key);
    let mut event_ids = Vec::new();
    for row in reads.scan(Span::prefix(&versions))? {
        let (key, value) = row?;
        event_ids.push(StateRow::from_version(versions.parts_after(&key)?.cursor()?, &value)?.event_id);
    }
    load_all(reads, cache, &event_ids)
}
