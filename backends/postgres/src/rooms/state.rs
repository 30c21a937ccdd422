//! State of a room now and at any place.
//!
//! An entry once set is never unset, so the current rows name all entries there ever were. A read at a place takes the
//! current row where that is old enough, and else seeks the entry's newest version below the place. Its cost is that of
//! the entries asked for, whatever the number of their versions.

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{StateSelection, StoredEvent};
use ruma::RoomId;
use sqlx::PgConnection;

use super::events::{all, events_from, events_of};
use crate::{
    error::Done,
    rows::{ordinal, place},
    text::{stored, stored_all},
};

/// A statement that reads the events of current rows `c`, or of their versions below a place.
macro_rules! state_of {
    ($order:literal, $($rows:literal),+) => {
        events_from!(
            "(", $($rows),+, ") c CROSS JOIN LATERAL (
                 SELECT c.event_id WHERE (c.position, c.ordinal) < ($2, $3)
                 UNION ALL (
                     SELECT v.event_id FROM state_version v WHERE (c.position, c.ordinal) >= ($2, $3)
                         AND v.room_id = $1 AND v.kind = c.kind AND v.state_key = c.state_key
                         AND (v.position, v.ordinal) < ($2, $3)
                     ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
                 )
             ) s LEFT JOIN LATERAL (SELECT * FROM event WHERE event.event_id = s.event_id OFFSET 0) e ON true
             ORDER BY ", $order
        )
    };
}

/// State strictly before a place, or now.
pub(super) async fn state(
    sql: &mut PgConnection,
    room_id: &RoomId,
    before: Option<Cursor>,
    select: &StateSelection,
) -> Done<Vec<StoredEvent>> {
    let before = before.unwrap_or(Cursor::END);
    let statement = match select {
        StateSelection::All => {
            state_of!("c.kind, c.state_key", "SELECT * FROM current_state WHERE room_id = $1")
        }
        // From both sides, so that the rows of members are not even passed over.
        StateSelection::AllButMembers => state_of!(
            "c.kind, c.state_key",
            "SELECT * FROM current_state WHERE room_id = $1 AND kind < 'm.room.member'
             UNION ALL SELECT * FROM current_state WHERE room_id = $1 AND kind > 'm.room.member'"
        ),
        // By key, so that the rest of the room is not read to find a few types.
        StateSelection::Types(_) => state_of!(
            "c.kind, c.state_key",
            "SELECT f.* FROM unnest($4::text[]) AS w (kind) CROSS JOIN LATERAL (
                 SELECT * FROM current_state f WHERE f.room_id = $1 AND f.kind = w.kind OFFSET 0
             ) f"
        ),
        StateSelection::These(_) => state_of!(
            "c.number",
            "SELECT w.number, f.* FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS w (kind, state_key, number)
             CROSS JOIN LATERAL (
                 SELECT * FROM current_state f
                 WHERE f.room_id = $1 AND f.kind = w.kind AND f.state_key = w.state_key OFFSET 0
             ) f"
        ),
    };
    let query =
        sqlx::query(statement).bind(stored(room_id.as_str())).bind(place(before.position)).bind(ordinal(before));
    let query = match select {
        StateSelection::All | StateSelection::AllButMembers => query,
        StateSelection::Types(kinds) => query.bind(stored_all(kinds)),
        StateSelection::These(entries) => {
            let (kinds, state_keys) = (entries.iter().map(|entry| &entry.0), entries.iter().map(|entry| &entry.1));
            query.bind(stored_all(kinds)).bind(stored_all(state_keys))
        }
    };
    all(&query.fetch_all(sql).await?)
}

/// The last event of each entry set in a span, in the order of their places.
pub(super) async fn state_between(
    sql: &mut PgConnection,
    room_id: &RoomId,
    from: Cursor,
    to: Cursor,
) -> Done<Vec<StoredEvent>> {
    let rows = sqlx::query(events_of!(
        "SELECT DISTINCT ON (kind, state_key) event_id, position, ordinal FROM state_version
         WHERE room_id = $1 AND (position, ordinal) >= ($2, $3) AND (position, ordinal) < ($4, $5)
         ORDER BY kind, state_key, position DESC, ordinal DESC",
        "s.position, s.ordinal"
    ))
    .bind(stored(room_id.as_str()))
    .bind(place(from.position))
    .bind(ordinal(from))
    .bind(place(to.position))
    .bind(ordinal(to))
    .fetch_all(sql)
    .await?;
    all(&rows)
}

/// All versions of an entry, oldest first.
pub(super) async fn history(
    sql: &mut PgConnection,
    room_id: &RoomId,
    kind: &str,
    state_key: &str,
) -> Done<Vec<StoredEvent>> {
    let rows = sqlx::query(events_of!(
        "SELECT event_id, position, ordinal FROM state_version WHERE room_id = $1 AND kind = $2 AND state_key = $3",
        "s.position, s.ordinal"
    ))
    .bind(stored(room_id.as_str()))
    .bind(stored(kind))
    .bind(stored(state_key))
    .fetch_all(sql)
    .await?;
    all(&rows)
}
