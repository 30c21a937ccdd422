//! What an append has to know before it writes, in one statement.

use olmstead_storage::{
    StorageError,
    rooms::{Append, Membership},
    to_device::TransactionKey,
};
use ruma::{EventId, OwnedEventId, OwnedUserId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::rows::membership_of;
use crate::{
    error::Done,
    rows::{Columns as _, number},
    text::{original, stored, stored_all},
};

/// What an append touches, each once.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// Type and state key of what is set.
    pub(super) entries: Vec<(&'a str, &'a str)>,
    /// Users whose membership is set.
    pub(super) users: Vec<OwnedUserId>,
    /// Events to redact.
    pub(super) targets: Vec<&'a EventId>,
}

/// A room's head, as far as it is counted on.
#[derive(Default)]
pub(super) struct Head {
    pub(super) revision: u64,
    pub(super) joined: u64,
    pub(super) invited: u64,
    pub(super) is_encrypted: bool,
}

/// What was found; the lists are in the order asked.
pub(super) struct Known {
    /// The event that one of the transactions made before.
    pub(super) seen: Option<OwnedEventId>,
    pub(super) head: Option<Head>,
    pub(super) alias_taken: bool,
    /// The events that hold the entries.
    pub(super) state: Vec<Option<OwnedEventId>>,
    /// Memberships, and whether the user forgot the room.
    pub(super) members: Vec<Option<(Membership, bool)>>,
    /// Whether the event is in the room and was not redacted.
    pub(super) redactable: Vec<bool>,
}

/// The event that a transaction made.
pub(super) async fn transaction_event(
    sql: &mut PgConnection,
    transaction: &TransactionKey,
) -> Done<Option<OwnedEventId>> {
    let row = sqlx::query(
        "SELECT event_id FROM transaction_memory WHERE generation = $1 AND scope = $2 AND transaction_id = $3",
    )
    .bind(number(transaction.device.generation))
    .bind(stored(&transaction.scope))
    .bind(stored(&transaction.transaction_id))
    .fetch_optional(sql)
    .await?;
    Ok(row.map(|row| row.maybe_id("event_id")).transpose()?.flatten())
}

/// Reads it. Each subquery gives one value that is looked up by its key, however large the room; EXISTS might be
/// answered by reading a whole table.
pub(super) async fn read(sql: &mut PgConnection, append: &Append, asked: &Asked<'_>) -> Done<Known> {
    let transactions = append.events.iter().filter_map(|event| event.transaction.as_ref());
    let row = sqlx::query(
        "SELECT r.revision, r.joined, r.invited, r.encrypted_position IS NOT NULL AS is_encrypted,
             (
                 SELECT m.event_id
                 FROM unnest($2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS w (generation, scope, id, number)
                 CROSS JOIN LATERAL (
                     SELECT event_id FROM transaction_memory m
                     WHERE m.generation = w.generation AND m.scope = w.scope AND m.transaction_id = w.id LIMIT 1
                 ) m ORDER BY w.number LIMIT 1
             ) AS seen,
             EXISTS (SELECT FROM alias WHERE alias = $5) AS alias_taken,
             ARRAY (
                 SELECT (
                     SELECT event_id FROM current_state c
                     WHERE c.room_id = $1 AND c.kind = w.kind AND c.state_key = w.state_key
                 ) FROM unnest($6::text[], $7::text[]) WITH ORDINALITY AS w (kind, state_key, number) ORDER BY w.number
             ) AS state,
             ARRAY (
                 SELECT (
                     SELECT CASE WHEN forgotten THEN -membership ELSE membership END FROM membership m
                     WHERE m.user_id = w.user_id AND m.room_id = $1
                 ) FROM unnest($8::text[]) WITH ORDINALITY AS w (user_id, number) ORDER BY w.number
             ) AS members,
             ARRAY (
                 SELECT (SELECT room_id FROM event e WHERE e.event_id = w.target) IS NOT DISTINCT FROM $1
                     AND (SELECT event_id FROM redaction d WHERE d.target = w.target) IS NULL
                 FROM unnest($9::text[]) WITH ORDINALITY AS w (target, number) ORDER BY w.number
             ) AS redactable
         FROM (VALUES (1)) one LEFT JOIN room r ON r.room_id = $1",
    )
    .bind(stored(append.room_id.as_str()))
    .bind(transactions.clone().map(|transaction| number(transaction.device.generation)).collect::<Vec<_>>())
    .bind(stored_all(transactions.clone().map(|transaction| &transaction.scope)))
    .bind(stored_all(transactions.map(|transaction| &transaction.transaction_id)))
    .bind(append.alias.as_ref().map(|(alias, _)| stored(alias.as_str())))
    .bind(stored_all(asked.entries.iter().map(|entry| entry.0)))
    .bind(stored_all(asked.entries.iter().map(|entry| entry.1)))
    .bind(stored_all(&asked.users))
    .bind(stored_all(&asked.targets))
    .fetch_one(sql)
    .await?;
    let state: Vec<Option<String>> = row.try_get("state")?;
    let members: Vec<Option<i16>> = row.try_get("members")?;
    Ok(Known {
        seen: row.maybe_id("seen")?,
        head: head(&row)?,
        alias_taken: row.flag("alias_taken")?,
        state: state.into_iter().map(event_id).collect::<Done<_>>()?,
        members: members.into_iter().map(|number| number.map(standing).transpose()).collect::<Done<_>>()?,
        redactable: row.try_get("redactable")?,
    })
}

fn head(row: &PgRow) -> Done<Option<Head>> {
    let Some(revision) = row.maybe_count("revision")? else { return Ok(None) };
    Ok(Some(Head {
        revision,
        joined: row.count("joined")?,
        invited: row.count("invited")?,
        is_encrypted: row.flag("is_encrypted")?,
    }))
}

fn event_id(text: Option<String>) -> Done<Option<OwnedEventId>> {
    let parse = |text| {
        OwnedEventId::try_from(original(text))
            .map_err(|error| StorageError::corrupt("an entry of the state names no event", error))
    };
    Ok(text.map(parse).transpose()?)
}

/// A membership, and whether the room was forgotten, as the statement puts both in one number.
fn standing(number: i16) -> Done<(Membership, bool)> {
    Ok((membership_of(number.saturating_abs())?, number < 0))
}
