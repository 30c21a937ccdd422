//! Events by id.
//!
//! Every read of events is one statement: it finds ids in an index, and takes the events, and the redactions that apply
//! to them, by these. Subqueries see to it that each is looked up by its key, whatever the planner believes of the
//! number of rows.

use std::collections::HashSet;

use olmstead_domain::{position::Cursor, rooms::pdu::Pdu};
use olmstead_storage::{Result, StorageError, rooms::StoredEvent};
use ruma::{EventId, OwnedEventId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    error::Done,
    rows::{At as _, damaged, numbered},
    text::stored_all,
};

/// A statement that reads events: the columns of `e`, an alias that the rest of the statement gives to rows of `event`.
macro_rules! events_from {
    ($($rest:literal),+) => {
        concat!(
            "SELECT e.pdu, e.position, e.ordinal, e.replaces, e.transaction_device, e.transaction_generation,
                 e.transaction_id, (
                     SELECT x.pdu FROM redaction d JOIN event x ON x.event_id = d.event_id WHERE d.target = e.event_id
                 ) AS redaction FROM ",
            $($rest),+
        )
    };
}

/// The same, given a query `s` of event ids. OFFSET 0 keeps the lookup apart from the rest.
macro_rules! events_of {
    ($query:literal, $order:literal) => {
        events_from!(
            "(",
            $query,
            ") s LEFT JOIN LATERAL (SELECT * FROM event WHERE event.event_id = s.event_id OFFSET 0) e ON true
             ORDER BY ",
            $order
        )
    };
}

pub(super) use {events_from, events_of};

/// The stored form of an event.
pub(super) fn text_of(pdu: &Pdu) -> Done<String> {
    serde_json::to_string(pdu).map_err(|error| StorageError::corrupt("an event cannot be written", error).into())
}

fn read_pdu(text: &str) -> Done<Pdu> {
    serde_json::from_str(text).map_err(|error| StorageError::corrupt("an event cannot be read", error).into())
}

/// An event with all that is known of it, from the columns of `events_from!` that begin at this place; `None` where no
/// event was found.
fn event(row: &PgRow, at: usize) -> Done<Option<StoredEvent>> {
    let Some(text) = row.try_get::<Option<&str>, _>(at)? else { return Ok(None) };
    let transaction = match row.maybe_text_at(at + 4)? {
        Some(device_id) => Some((device_id.into(), row.count_at(at + 5)?, row.text_at(at + 6)?)),
        None => None,
    };
    let redaction: Option<&str> = row.try_get(at + 7)?;
    Ok(Some(StoredEvent {
        pdu: read_pdu(text)?,
        cursor: Cursor::new(row.place_at(at + 1)?, row.ordinal_at(at + 2)?),
        redacted_by: redaction.map(read_pdu).transpose()?,
        transaction,
        replaces: row
            .maybe_text_at(at + 3)?
            .map(|replaced| replaced.try_into().map_err(|_| damaged("replaces")))
            .transpose()?,
    }))
}

/// Events that an index names, so they must be there.
pub(super) fn all(rows: &[PgRow]) -> Done<Vec<StoredEvent>> {
    rows.iter().map(|row| named(row, 0)).collect()
}

fn named(row: &PgRow, at: usize) -> Done<StoredEvent> {
    event(row, at)?.ok_or_else(|| damaged("event_id"))
}

/// As [`all`], for several questions: the first column is the number of the part that a row answers, and `of` gives the
/// place of the question that each part is of.
pub(super) fn by_question(
    rows: &[PgRow],
    questions: usize,
    of: impl Fn(usize) -> Option<usize>,
) -> Done<Vec<Result<Vec<StoredEvent>>>> {
    let mut found: Vec<Result<Vec<StoredEvent>>> = (0..questions).map(|_| Ok(Vec::new())).collect();
    for row in rows {
        let part = numbered(row)?;
        let found = of(part).and_then(|place| found.get_mut(place)).ok_or_else(|| damaged("number"))?;
        if let Ok(events) = found {
            match named(row, 1) {
                Ok(event) => events.push(event),
                Err(failure) => *found = Err(failure.into()),
            }
        }
    }
    Ok(found)
}

/// Events in the order asked.
pub(super) async fn load(sql: &mut PgConnection, event_ids: &[OwnedEventId]) -> Done<Vec<Option<StoredEvent>>> {
    sqlx::query(events_of!("SELECT * FROM unnest($1::text[]) WITH ORDINALITY AS u (event_id, number)", "s.number"))
        .bind(stored_all(event_ids))
        .fetch_all(sql)
        .await?
        .iter()
        .map(|row| event(row, 0))
        .collect()
}

/// All events reachable through `auth_events`, nearer ones first: a statement for each step away from the start. The
/// edges are in the events and nowhere else: rows of their own would cost every event more than they saved when a chain
/// is read, which is seldom.
pub(super) async fn auth_chain(sql: &mut PgConnection, event_ids: &[OwnedEventId]) -> Done<Vec<Pdu>> {
    let mut seen: HashSet<OwnedEventId> = event_ids.iter().cloned().collect();
    let mut next: Vec<OwnedEventId> = seen.iter().cloned().collect();
    let mut chain = Vec::new();
    while !next.is_empty() {
        let rows = sqlx::query("SELECT pdu FROM event WHERE event_id = ANY($1)")
            .bind(stored_all(next.drain(..)))
            .fetch_all(&mut *sql)
            .await?;
        for row in &rows {
            let pdu = read_pdu(row.try_get(0)?)?;
            next.extend(pdu.auth_events().iter().filter(|id| seen.insert((*id).clone())).cloned());
            chain.push(pdu);
        }
    }
    Ok(chain)
}

/// An event id as a parameter.
pub(super) fn id(event_id: &EventId) -> std::borrow::Cow<'_, str> {
    crate::text::stored(event_id.as_str())
}
