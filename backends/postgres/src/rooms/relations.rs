//! Children of an event by relation.

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{Direction, RelationQuery, TimelinePage};
use ruma::{EventId, RoomId};
use sqlx::PgConnection;

use super::{
    events::{events_from, events_of, id},
    timeline::{and_one, page},
};
use crate::{
    error::Done,
    rows::{ordinal, place},
    text::stored,
};

/// A page of the children of an event.
pub(super) async fn relations(
    sql: &mut PgConnection,
    (room_id, parent): (&RoomId, &EventId),
    query: &RelationQuery,
    (from, to): (Cursor, Cursor),
    most: usize,
    direction: Direction,
) -> Done<TimelinePage> {
    let statement = match direction {
        Direction::Forward => events_of!(
            "SELECT event_id, position, ordinal FROM relation WHERE room_id = $1 AND parent = $2
                 AND (position, ordinal) >= ($3, $4) AND (position, ordinal) < ($5, $6)
                 AND ($7::text IS NULL OR rel_type = $7) AND ($8::text IS NULL OR kind = $8)
             ORDER BY position, ordinal LIMIT $9",
            "s.position, s.ordinal"
        ),
        Direction::Backward => events_of!(
            "SELECT event_id, position, ordinal FROM relation WHERE room_id = $1 AND parent = $2
                 AND (position, ordinal) >= ($3, $4) AND (position, ordinal) < ($5, $6)
                 AND ($7::text IS NULL OR rel_type = $7) AND ($8::text IS NULL OR kind = $8)
             ORDER BY position DESC, ordinal DESC LIMIT $9",
            "s.position DESC, s.ordinal DESC"
        ),
    };
    let rows = sqlx::query(statement)
        .bind(stored(room_id.as_str()))
        .bind(id(parent))
        .bind(place(from.position))
        .bind(ordinal(from))
        .bind(place(to.position))
        .bind(ordinal(to))
        .bind(query.rel_type.as_deref().map(stored))
        .bind(query.event_type.as_deref().map(stored))
        .bind(and_one(most))
        .fetch_all(sql)
        .await?;
    page(rows, most)
}
