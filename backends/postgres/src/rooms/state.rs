//! State of a room now and at any place.
//!
//! An entry once set is never unset, so the current rows name all entries there ever were. A read at a place takes the
//! current row where that is old enough, and else seeks the entry's newest version below the place. Its cost is that of
//! the entries asked for, whatever the number of their versions.

use std::sync::Arc;

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    Result,
    rooms::{StateSelection, StoredEvent},
};
use ruma::{OwnedRoomId, RoomId};
use sqlx::PgConnection;

use super::events::{by_question, events_from, events_of};
use crate::{
    error::Done,
    rows::{ordinal, place},
    text::stored_all,
};

/// A statement that reads the events of current rows `c`, or of their versions below a place `q`.
macro_rules! state_of {
    ($list:literal, $order:literal, $($rows:literal),+) => {
        concat!(
            "SELECT q.number, e.* FROM unnest(", $list, ") CROSS JOIN LATERAL (",
            events_from!(
                "(", $($rows),+, ") c CROSS JOIN LATERAL (
                     SELECT c.event_id WHERE (c.position, c.ordinal) < (q.position, q.ordinal)
                     UNION ALL (
                         SELECT v.event_id FROM state_version v
                         WHERE (c.position, c.ordinal) >= (q.position, q.ordinal)
                             AND v.room_id = q.room_id AND v.kind = c.kind AND v.state_key = c.state_key
                             AND (v.position, v.ordinal) < (q.position, q.ordinal)
                         ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
                     )
                 ) s LEFT JOIN LATERAL (SELECT * FROM event WHERE event.event_id = s.event_id OFFSET 0) e ON true ",
                $order
            ),
            " OFFSET 0) e"
        )
    };
}

/// State of a room strictly before a place.
pub(crate) struct StateWanted {
    pub(super) room_id: OwnedRoomId,
    pub(super) before: Cursor,
    /// Types that are asked for, in order, or entries; empty where all are.
    pub(super) entries: Vec<(String, String)>,
}

/// Which entries of the state, all wishes of one batch alike.
#[derive(Debug, Clone, Copy)]
pub(super) enum Select {
    All,
    AllButMembers,
    Types,
    These,
}

impl StateWanted {
    pub(super) fn of(room_id: &RoomId, before: Option<Cursor>, select: StateSelection) -> (Select, Self) {
        let (select, entries) = match select {
            StateSelection::All => (Select::All, Vec::new()),
            StateSelection::AllButMembers => (Select::AllButMembers, Vec::new()),
            StateSelection::Types(mut kinds) => {
                kinds.sort_unstable();
                (Select::Types, kinds.into_iter().map(|kind| (kind, String::new())).collect())
            }
            StateSelection::These(entries) => (Select::These, entries),
        };
        (select, Self { room_id: room_id.to_owned(), before: before.unwrap_or(Cursor::END), entries })
    }
}

/// A part of a statement: the place of its wish, the wish, and the entry, where it is of one.
type Part<'a> = (usize, &'a StateWanted, Option<&'a (String, String)>);

/// State of rooms.
pub(super) async fn states(
    sql: &mut PgConnection,
    wanted: &[Arc<StateWanted>],
    select: Select,
) -> Done<Vec<Result<Vec<StoredEvent>>>> {
    // A part for each wish, or for each entry of each wish, and the wish that it is of.
    let parts: Vec<Part<'_>> = match select {
        Select::All | Select::AllButMembers => {
            wanted.iter().enumerate().map(|(place, want)| (place, &**want, None)).collect()
        }
        Select::Types | Select::These => {
            let entries = |(place, want): (usize, _)| {
                let want: &StateWanted = want;
                want.entries.iter().map(move |entry| (place, want, Some(entry)))
            };
            wanted.iter().map(|want| &**want).enumerate().flat_map(entries).collect()
        }
    };
    let statement = match select {
        Select::All => state_of!(
            "$1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS q (room_id, position, ordinal, number",
            "ORDER BY c.kind, c.state_key",
            "SELECT * FROM current_state WHERE room_id = q.room_id"
        ),
        // From both sides, so that the rows of members are not even passed over.
        Select::AllButMembers => state_of!(
            "$1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS q (room_id, position, ordinal, number",
            "ORDER BY c.kind, c.state_key",
            "SELECT * FROM current_state WHERE room_id = q.room_id AND kind < 'm.room.member'
             UNION ALL SELECT * FROM current_state WHERE room_id = q.room_id AND kind > 'm.room.member'"
        ),
        // By key, so that the rest of the room is not read to find a few types.
        Select::Types => state_of!(
            "$1::text[], $2::bigint[], $3::int[], $4::text[]) WITH ORDINALITY AS q (room_id, position, ordinal, kind, number",
            "ORDER BY c.state_key",
            "SELECT * FROM current_state f WHERE f.room_id = q.room_id AND f.kind = q.kind OFFSET 0"
        ),
        Select::These => state_of!(
            "$1::text[], $2::bigint[], $3::int[], $4::text[], $5::text[])
                 WITH ORDINALITY AS q (room_id, position, ordinal, kind, state_key, number",
            "",
            "SELECT * FROM current_state f
             WHERE f.room_id = q.room_id AND f.kind = q.kind AND f.state_key = q.state_key OFFSET 0"
        ),
    };
    let query = sqlx::query(statement)
        .bind(stored_all(parts.iter().map(|(_, want, _)| &want.room_id)))
        .bind(parts.iter().map(|(_, want, _)| place(want.before.position)).collect::<Vec<_>>())
        .bind(parts.iter().map(|(_, want, _)| ordinal(want.before)).collect::<Vec<_>>());
    let kinds = || stored_all(parts.iter().filter_map(|(.., entry)| entry.map(|entry| &entry.0)));
    let state_keys = || stored_all(parts.iter().filter_map(|(.., entry)| entry.map(|entry| &entry.1)));
    let query = match select {
        Select::All | Select::AllButMembers => query,
        Select::Types => query.bind(kinds()),
        Select::These => query.bind(kinds()).bind(state_keys()),
    };
    let rows = query.fetch_all(sql).await?;
    by_question(&rows, wanted.len(), |part| parts.get(part).map(|(place, ..)| *place))
}

/// What was set in a room in a span.
pub(crate) struct SpanWanted {
    pub(super) room_id: OwnedRoomId,
    pub(super) from: Cursor,
    pub(super) to: Cursor,
}

/// The last event of each entry set in a span, in the order of their places.
pub(super) async fn states_between(
    sql: &mut PgConnection,
    wanted: &[Arc<SpanWanted>],
) -> Done<Vec<Result<Vec<StoredEvent>>>> {
    let rows = sqlx::query(concat!(
        "SELECT q.number, e.* FROM unnest($1::text[], $2::bigint[], $3::int[], $4::bigint[], $5::int[])
             WITH ORDINALITY AS q (room_id, from_position, from_ordinal, to_position, to_ordinal, number)
         CROSS JOIN LATERAL (",
        events_of!(
            "SELECT DISTINCT ON (kind, state_key) event_id, position, ordinal FROM state_version v
             WHERE v.room_id = q.room_id AND (v.position, v.ordinal) >= (q.from_position, q.from_ordinal)
                 AND (v.position, v.ordinal) < (q.to_position, q.to_ordinal)
             ORDER BY kind, state_key, position DESC, ordinal DESC",
            "s.position, s.ordinal"
        ),
        " OFFSET 0) e"
    ))
    .bind(stored_all(wanted.iter().map(|want| &want.room_id)))
    .bind(wanted.iter().map(|want| place(want.from.position)).collect::<Vec<_>>())
    .bind(wanted.iter().map(|want| ordinal(want.from)).collect::<Vec<_>>())
    .bind(wanted.iter().map(|want| place(want.to.position)).collect::<Vec<_>>())
    .bind(wanted.iter().map(|want| ordinal(want.to)).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    by_question(&rows, wanted.len(), Some)
}

/// An entry of a room's state.
pub(crate) struct EntryWanted {
    pub(super) room_id: OwnedRoomId,
    pub(super) kind: String,
    pub(super) state_key: String,
}

/// All versions of entries, oldest first.
pub(super) async fn histories(
    sql: &mut PgConnection,
    wanted: &[Arc<EntryWanted>],
) -> Done<Vec<Result<Vec<StoredEvent>>>> {
    let rows = sqlx::query(concat!(
        "SELECT q.number, e.* FROM unnest($1::text[], $2::text[], $3::text[])
             WITH ORDINALITY AS q (room_id, kind, state_key, number) CROSS JOIN LATERAL (",
        events_of!(
            "SELECT event_id, position, ordinal FROM state_version v
             WHERE v.room_id = q.room_id AND v.kind = q.kind AND v.state_key = q.state_key",
            "s.position, s.ordinal"
        ),
        " OFFSET 0) e"
    ))
    .bind(stored_all(wanted.iter().map(|want| &want.room_id)))
    .bind(stored_all(wanted.iter().map(|want| &want.kind)))
    .bind(stored_all(wanted.iter().map(|want| &want.state_key)))
    .fetch_all(sql)
    .await?;
    by_question(&rows, wanted.len(), Some)
}
