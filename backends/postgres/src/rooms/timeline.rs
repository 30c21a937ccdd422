//! Timelines.

use std::sync::Arc;

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    Result,
    rooms::{Direction, TimelinePage},
};
use ruma::OwnedRoomId;
use sqlx::{PgConnection, postgres::PgRow};

use super::events::{all, by_question, events_from};
use crate::{
    error::Done,
    rows::{limit, ordinal, place},
    text::stored_all,
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
pub(crate) struct PageWanted {
    pub(super) room_id: OwnedRoomId,
    pub(super) from: Cursor,
    pub(super) to: Cursor,
    pub(super) most: usize,
}

/// Statements for pages of timelines.
macro_rules! pages {
    ($order:literal) => {
        concat!(
            "SELECT q.number, e.* FROM unnest($1::text[], $2::bigint[], $3::int[], $4::bigint[], $5::int[], $6::bigint[])
                 WITH ORDINALITY AS q (room_id, from_position, from_ordinal, to_position, to_ordinal, most, number)
             CROSS JOIN LATERAL (",
            events_from!(
                "event e WHERE e.in_timeline AND e.room_id = q.room_id
                     AND (e.position, e.ordinal) >= (q.from_position, q.from_ordinal)
                     AND (e.position, e.ordinal) < (q.to_position, q.to_ordinal)
                 ORDER BY ",
                $order,
                " LIMIT q.most"
            ),
            ") e"
        )
    };
}

/// Pages of timelines.
pub(super) async fn timelines(
    sql: &mut PgConnection,
    pages: &[Arc<PageWanted>],
    direction: Direction,
) -> Done<Vec<Result<TimelinePage>>> {
    let statement = match direction {
        Direction::Forward => pages!("e.position, e.ordinal"),
        Direction::Backward => pages!("e.position DESC, e.ordinal DESC"),
    };
    let rows = sqlx::query(statement)
        .bind(stored_all(pages.iter().map(|page| &page.room_id)))
        .bind(pages.iter().map(|page| place(page.from.position)).collect::<Vec<_>>())
        .bind(pages.iter().map(|page| ordinal(page.from)).collect::<Vec<_>>())
        .bind(pages.iter().map(|page| place(page.to.position)).collect::<Vec<_>>())
        .bind(pages.iter().map(|page| ordinal(page.to)).collect::<Vec<_>>())
        .bind(pages.iter().map(|page| and_one(page.most)).collect::<Vec<_>>())
        .fetch_all(sql)
        .await?;
    let cut = |(mut events, page): (Vec<_>, &Arc<PageWanted>)| {
        let more = events.len() > page.most;
        events.truncate(page.most);
        TimelinePage { events, more }
    };
    let found = by_question(&rows, pages.len(), Some)?;
    Ok(found.into_iter().zip(pages).map(|(events, page)| events.map(|events| cut((events, page)))).collect())
}
