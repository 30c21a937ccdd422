//! Timelines.

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{Direction, TimelinePage};
use ruma::RoomId;
use sqlx::{PgConnection, postgres::PgRow};

use super::events::{all, events_from};
use crate::{
    error::Done,
    rows::{limit, ordinal, place},
    text::stored,
};

/// As many rows as are asked for, and one that tells whether there are more.
pub(super) fn and_one(most: usize) -> i64 {
    limit(most).saturating_add(1)
}

/// A page of these rows.
pub(super) fn page(mut rows: Vec<PgRow>, most: usize) -> Done<TimelinePage> {
    let more = rows.len() > most;
    rows.truncate(most);
    Ok(TimelinePage { events: all(&rows)?, more })
}

/// A page of a room's timeline.
pub(super) async fn timeline(
    sql: &mut PgConnection,
    room_id: &RoomId,
    (from, to): (Cursor, Cursor),
    most: usize,
    direction: Direction,
) -> Done<TimelinePage> {
    let statement = match direction {
        Direction::Forward => events_from!(
            "event e WHERE e.in_timeline AND e.room_id = $1
                 AND (e.position, e.ordinal) >= ($2, $3) AND (e.position, e.ordinal) < ($4, $5)
             ORDER BY e.position, e.ordinal LIMIT $6"
        ),
        Direction::Backward => events_from!(
            "event e WHERE e.in_timeline AND e.room_id = $1
                 AND (e.position, e.ordinal) >= ($2, $3) AND (e.position, e.ordinal) < ($4, $5)
             ORDER BY e.position DESC, e.ordinal DESC LIMIT $6"
        ),
    };
    let rows = sqlx::query(statement)
        .bind(stored(room_id.as_str()))
        .bind(place(from.position))
        .bind(ordinal(from))
        .bind(place(to.position))
        .bind(ordinal(to))
        .bind(and_one(most))
        .fetch_all(sql)
        .await?;
    page(rows, most)
}
