//! Writing what an append adds, all rows of a kind at once.

use olmstead_domain::position::Position;
use olmstead_storage::{
    changes::ChangeKey,
    rooms::{Append, Membership, NewEvent},
    to_device::TransactionKey,
};
use ruma::{EventId, OwnedEventId, UserId};

use super::{events, known::Head, rows::membership_number};
use crate::{
    changes,
    command::Command,
    error::{Done, Failure},
    rows::{Columns as _, number, place},
    text::{stored, stored_all},
};

/// The rows that the events make. Ordinals are their places in the append.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// For each event the state event that it replaced.
    pub(super) replaces: Vec<Option<OwnedEventId>>,
    pub(super) state: Vec<StateRow<'a>>,
    pub(super) relations: Vec<RelationRow<'a>>,
    /// Redacted events, and what redacted them.
    pub(super) redactions: Vec<(&'a EventId, &'a EventId)>,
    /// Where encryption was turned on.
    pub(super) encrypted: Option<i32>,
    /// An event is in the timeline or sets state.
    pub(super) is_told: bool,
    /// Who may have to be told.
    pub(super) changes: Vec<ChangeKey>,
}

pub(super) struct StateRow<'a> {
    pub(super) ordinal: i32,
    pub(super) kind: &'a str,
    pub(super) state_key: &'a str,
    pub(super) event_id: &'a EventId,
    /// For the membership of the user that the state key names.
    pub(super) member: Option<MemberRow<'a>>,
}

pub(super) struct MemberRow<'a> {
    pub(super) to: Membership,
    pub(super) from: Option<Membership>,
    pub(super) sender: &'a UserId,
    pub(super) forgotten: bool,
}

pub(super) struct RelationRow<'a> {
    pub(super) ordinal: i32,
    pub(super) parent: OwnedEventId,
    pub(super) rel_type: String,
    pub(super) kind: &'a str,
    pub(super) event_id: &'a EventId,
}

/// Writes everything; gives the position of the append. `head` is as it is afterwards but for its revision.
pub(super) async fn write(command: &mut Command, append: &Append, head: &Head, rows: &Rows<'_>) -> Done<Position> {
    let position = events(command, append, head, rows).await?;
    if !rows.state.is_empty() {
        state(command, append, &rows.state, position).await?;
    }
    Ok(position)
}

fn sent_by(event: &NewEvent) -> Option<&TransactionKey> {
    event.transaction.as_ref()
}

/// Writes the events, what goes with each, the head, and whom to wake. This is all of a message, so it takes the
/// position, too, and writes out what `position_now()` is: a function is planned at every call.
async fn events(command: &mut Command, append: &Append, head: &Head, rows: &Rows<'_>) -> Done<Position> {
    let events = &append.events;
    let sent: Vec<(&TransactionKey, &EventId)> =
        events.iter().filter_map(|event| Some((sent_by(event)?, event.pdu.event_id()))).collect();
    let (kinds, subjects, details) = changes::columns(&rows.changes);
    let row = sqlx::query(
        "WITH now AS MATERIALIZED (SELECT base + pg_current_xact_id()::text::bigint AS position FROM running),
         events AS (
             INSERT INTO event (event_id, room_id, position, ordinal, in_timeline, replaces, transaction_device,
                 transaction_generation, transaction_id, pdu)
             SELECT e.event_id, $1, now.position, e.number - 1, e.in_timeline, e.replaces, e.device, e.generation,
                 e.transaction_id, e.pdu
             FROM now, unnest($2::text[], $3::boolean[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
                 WITH ORDINALITY AS e (event_id, in_timeline, replaces, device, generation, transaction_id, pdu, number)
         ),
         relations AS (
             INSERT INTO relation (room_id, position, ordinal, parent, rel_type, kind, event_id)
             SELECT $1, now.position, r.*
             FROM now, unnest($9::integer[], $10::text[], $11::text[], $12::text[], $13::text[]) r
         ),
         redactions AS (INSERT INTO redaction (target, event_id) SELECT * FROM unnest($14::text[], $15::text[])),
         -- The memory of a device that is gone would never be cleared; the lock on its row keeps it there.
         memory AS (
             INSERT INTO transaction_memory (generation, scope, transaction_id, event_id)
             SELECT d.generation, t.scope, t.transaction_id, t.event_id
             FROM unnest($16::bigint[], $17::text[], $18::text[], $19::text[])
                 AS t (generation, scope, transaction_id, event_id) JOIN device d USING (generation)
             FOR KEY SHARE OF d ON CONFLICT DO NOTHING
         ),
         log AS (
             INSERT INTO change_log (position, kind, subject, detail)
             SELECT now.position, c.* FROM now, unnest($20::smallint[], $21::text[], $22::text[]) c
         )
         INSERT INTO room AS r (room_id, version, revision, extremities, depth, joined, invited, last_event,
             last_membership, encrypted_position, encrypted_ordinal)
         SELECT $1, $23, $24, $25::text[], $26, $27, $28, CASE WHEN $29 THEN now.position ELSE 0 END,
             CASE WHEN $30 THEN now.position ELSE 0 END, CASE WHEN $31::integer IS NOT NULL THEN now.position END, $31
         FROM now
         ON CONFLICT (room_id) DO UPDATE SET revision = EXCLUDED.revision, extremities = EXCLUDED.extremities,
             depth = EXCLUDED.depth, joined = EXCLUDED.joined, invited = EXCLUDED.invited,
             last_event = greatest(r.last_event, EXCLUDED.last_event),
             last_membership = greatest(r.last_membership, EXCLUDED.last_membership),
             encrypted_position = coalesce(r.encrypted_position, EXCLUDED.encrypted_position),
             encrypted_ordinal = coalesce(r.encrypted_ordinal, EXCLUDED.encrypted_ordinal)
         RETURNING (SELECT position FROM now) AS position",
    )
    .bind(stored(append.room_id.as_str()))
    .bind(stored_all(events.iter().map(|event| event.pdu.event_id())))
    .bind(events.iter().map(|event| event.in_timeline).collect::<Vec<_>>())
    .bind(rows.replaces.iter().map(|id| id.as_deref().map(events::id)).collect::<Vec<_>>())
    .bind(events.iter().map(|event| Some(stored(sent_by(event)?.device.device_id.as_str()))).collect::<Vec<_>>())
    .bind(events.iter().map(|event| Some(number(sent_by(event)?.device.generation))).collect::<Vec<_>>())
    .bind(events.iter().map(|event| Some(stored(&sent_by(event)?.transaction_id))).collect::<Vec<_>>())
    .bind(events.iter().map(|event| events::text_of(&event.pdu)).collect::<Done<Vec<_>>>()?)
    .bind(rows.relations.iter().map(|row| row.ordinal).collect::<Vec<_>>())
    .bind(stored_all(rows.relations.iter().map(|row| &row.parent)))
    .bind(stored_all(rows.relations.iter().map(|row| &row.rel_type)))
    .bind(stored_all(rows.relations.iter().map(|row| row.kind)))
    .bind(stored_all(rows.relations.iter().map(|row| row.event_id)))
    .bind(stored_all(rows.redactions.iter().map(|(target, _)| target)))
    .bind(stored_all(rows.redactions.iter().map(|(_, event_id)| event_id)))
    .bind(sent.iter().map(|(transaction, _)| number(transaction.device.generation)).collect::<Vec<_>>())
    .bind(stored_all(sent.iter().map(|(transaction, _)| &transaction.scope)))
    .bind(stored_all(sent.iter().map(|(transaction, _)| &transaction.transaction_id)))
    .bind(stored_all(sent.iter().map(|(_, event_id)| event_id)))
    .bind(kinds)
    .bind(subjects)
    .bind(details)
    .bind(append.version.as_str())
    .bind(number(head.revision.saturating_add(1)))
    .bind(stored_all(&append.extremities))
    .bind(number(append.depth))
    .bind(number(head.joined))
    .bind(number(head.invited))
    .bind(rows.is_told)
    .bind(rows.state.iter().any(|row| row.member.is_some()))
    .bind(rows.encrypted)
    .fetch_optional(command.sql())
    .await?;
    let position = row.ok_or(Failure::NotRunning)?.place("position")?;
    command.took(position);
    Ok(position)
}

/// Writes versions of state and of memberships, and for each entry and each user the last as the current one.
async fn state(command: &mut Command, append: &Append, rows: &[StateRow<'_>], position: Position) -> Done<()> {
    sqlx::query(
        "WITH new AS MATERIALIZED (
             SELECT $1 AS room_id, $2::bigint AS position, n.* FROM unnest($3::integer[], $4::text[], $5::text[],
                     $6::text[], $7::smallint[], $8::smallint[], $9::text[], $10::boolean[])
                 AS n (ordinal, kind, state_key, event_id, membership, previous, sender, forgotten)
         ),
         versions AS (
             INSERT INTO state_version (room_id, kind, state_key, position, ordinal, event_id)
             SELECT room_id, kind, state_key, position, ordinal, event_id FROM new
         ),
         member_versions AS (
             INSERT INTO membership_version
                 (user_id, room_id, position, ordinal, membership, previous, event_id, sender, forgotten)
             SELECT state_key, room_id, position, ordinal, membership, previous, event_id, sender, forgotten
             FROM new WHERE membership IS NOT NULL
         ),
         members AS (
             INSERT INTO membership
                 (user_id, room_id, position, ordinal, membership, previous, event_id, sender, forgotten)
             SELECT DISTINCT ON (state_key)
                 state_key, room_id, position, ordinal, membership, previous, event_id, sender, forgotten
             FROM new WHERE membership IS NOT NULL ORDER BY state_key, ordinal DESC
             ON CONFLICT (user_id, room_id) DO UPDATE
                 SET position = EXCLUDED.position, ordinal = EXCLUDED.ordinal, membership = EXCLUDED.membership,
                     previous = EXCLUDED.previous, event_id = EXCLUDED.event_id, sender = EXCLUDED.sender,
                     forgotten = EXCLUDED.forgotten
         )
         INSERT INTO current_state (room_id, kind, state_key, position, ordinal, event_id)
         SELECT DISTINCT ON (kind, state_key) room_id, kind, state_key, position, ordinal, event_id
         FROM new ORDER BY kind, state_key, ordinal DESC
         ON CONFLICT (room_id, kind, state_key) DO UPDATE
             SET position = EXCLUDED.position, ordinal = EXCLUDED.ordinal, event_id = EXCLUDED.event_id",
    )
    .bind(stored(append.room_id.as_str()))
    .bind(place(position))
    .bind(rows.iter().map(|row| row.ordinal).collect::<Vec<_>>())
    .bind(stored_all(rows.iter().map(|row| row.kind)))
    .bind(stored_all(rows.iter().map(|row| row.state_key)))
    .bind(stored_all(rows.iter().map(|row| row.event_id)))
    .bind(rows.iter().map(|row| Some(membership_number(row.member.as_ref()?.to))).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.member.as_ref()?.from.map(membership_number)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Some(stored(row.member.as_ref()?.sender.as_str()))).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Some(row.member.as_ref()?.forgotten)).collect::<Vec<_>>())
    .execute(command.sql())
    .await?;
    Ok(())
}
