//! To-device messages.

use std::sync::Arc;

use async_trait::async_trait;
use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    Result, ToDevice,
    devices::DeviceRef,
    to_device::{InboxPage, OutgoingMessage, Recipient, TransactionKey},
};
use sqlx::{PgConnection, Row as _};

use crate::{
    PostgresStore,
    changes::DEVICE,
    command::Command,
    error::{Done, Failure},
    locks::Locks,
    rows::{self, Columns as _, number, ordinal, place},
    store::{command, read},
    text::stored,
};

/// Adds what a command with a transaction locks, so that one that is sent twice at once waits without a position.
pub(crate) fn lock_transaction(locks: Locks, transaction: &TransactionKey) -> Locks {
    let device = &transaction.device;
    locks.name("transaction", &format!("{} {}", device.generation, device.device_id))
}

/// What waits for a device at `from` and after, strictly below `to`.
pub(crate) async fn inbox(
    sql: &mut PgConnection,
    device: &DeviceRef,
    from: Cursor,
    to: Position,
    limit: usize,
) -> Done<InboxPage> {
    // One row more tells whether there is more.
    let rows = sqlx::query(
        "SELECT position, ordinal, event FROM inbox
         WHERE generation = $1 AND (position, ordinal) >= ($2, $3) AND position < $4
         ORDER BY position, ordinal LIMIT $5",
    )
    .bind(number(device.generation))
    .bind(place(from.position))
    .bind(ordinal(from))
    .bind(place(to))
    .bind(rows::limit(limit.saturating_add(1)))
    .fetch_all(sql)
    .await?;
    let messages = rows.iter().take(limit).map(|row| Ok((row.cursor()?, row.json("event")?)));
    Ok(InboxPage { messages: messages.collect::<Done<_>>()?, more: rows.len() > limit })
}

/// Puts messages in inboxes; `false` when the transaction was seen before.
async fn send(command: &mut Command, transaction: Option<&TransactionKey>, messages: &[OutgoingMessage]) -> Done<bool> {
    let mut users = Vec::with_capacity(messages.len());
    let mut devices = Vec::with_capacity(messages.len());
    for message in messages {
        let (user_id, device_id) = match &message.recipient {
            Recipient::AllDevices(user_id) => (user_id, None),
            Recipient::Device(user_id, device_id) => (user_id, Some(stored(device_id.as_str()))),
        };
        users.push(user_id.as_str());
        devices.push(device_id);
    }
    // All in one: the hottest command of encryption. The device's rows are held so that none is deleted meanwhile, in
    // the order that a deletion takes them. A transaction of a device that is gone is not remembered: nothing would ever
    // clear it. The position is taken only when somebody gets something.
    let row = sqlx::query(
        "WITH alive AS (
             SELECT generation FROM device WHERE generation = $1 FOR KEY SHARE
         ), noted AS (
             INSERT INTO transaction_memory (generation, scope, transaction_id)
             SELECT generation, $2, $3 FROM alive ON CONFLICT DO NOTHING RETURNING generation
         ), state AS (
             SELECT EXISTS (SELECT FROM alive) AND NOT EXISTS (SELECT FROM noted) AS repeated
         ), message AS (
             SELECT * FROM unnest($4::text[], $5::text[], $6::text[])
                 WITH ORDINALITY AS m (user_id, device_id, event, number)
             WHERE NOT (SELECT repeated FROM state)
         ), to_one AS (
             SELECT d.generation, d.user_id, d.device_id, m.event, m.number
             FROM message m JOIN device d USING (user_id, device_id)
             ORDER BY d.user_id, d.device_id FOR KEY SHARE OF d
         ), to_all AS (
             SELECT d.generation, d.user_id, d.device_id, m.event, m.number
             FROM message m JOIN device d USING (user_id) WHERE m.device_id IS NULL
             ORDER BY d.user_id, d.device_id FOR KEY SHARE OF d
         ), target AS (
             SELECT * FROM to_one UNION ALL SELECT * FROM to_all
         ), taken AS (
             SELECT (SELECT base FROM running) + pg_current_xact_id()::text::bigint AS position
             WHERE EXISTS (SELECT FROM target)
         ), logged AS (
             INSERT INTO change_log (position, kind, subject, detail)
             SELECT DISTINCT taken.position, $7::smallint, user_id, device_id FROM taken, target
         ), sent AS (
             INSERT INTO inbox (generation, position, ordinal, event)
             SELECT generation, taken.position, row_number() OVER (ORDER BY number, device_id) - 1, event
             FROM taken, target
         )
         SELECT repeated, (SELECT position FROM taken) AS position FROM state",
    )
    .bind(transaction.map(|transaction| number(transaction.device.generation)))
    .bind(transaction.map(|transaction| stored(&transaction.scope)))
    .bind(transaction.map(|transaction| stored(&transaction.transaction_id)))
    .bind(users)
    .bind(devices)
    .bind(messages.iter().map(|message| message.event.get()).collect::<Vec<_>>())
    .bind(DEVICE)
    .fetch_one(command.sql())
    .await?;
    if let Some(position) = row.maybe_count("position")? {
        command.took(Position(position));
    }
    let repeated = row.flag("repeated")?;
    if repeated {
        command.discard();
    }
    Ok(!repeated)
}

/// Deletes what is below cursors. What is not final was not delivered, whatever a token says.
///
/// This alone of all writes is neither durable when it is answered nor has the horizon passed it. Nothing is lost by that:
/// from where delivery goes on is said by the client's token and by nothing else, so what comes back after a crash is not
/// delivered again; it goes with the next acknowledgement, whose cursor is above.
async fn acknowledge(sql: &mut PgConnection, asked: &[Arc<(DeviceRef, Cursor)>]) -> Done<Vec<Result<()>>> {
    // A statement that is a transaction of its own, and is nothing at all when there is nothing to delete. The rows are
    // named by where they are, so that they are found by key whatever the planner believes of their number; they are never
    // changed, only deleted, and what took the place of one since is not in the statement's view.
    let row = sqlx::query(
        "WITH final AS MATERIALIZED (
             SELECT (SELECT base FROM running) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
                 set_config('synchronous_commit', 'off', true)
         ), deleted AS (
             DELETE FROM inbox WHERE ctid = ANY(ARRAY(
                 SELECT i.ctid FROM final f
                     CROSS JOIN unnest($1::bigint[], $2::bigint[], $3::int[]) AS a (generation, position, ordinal)
                     CROSS JOIN LATERAL (
                         SELECT i.ctid FROM inbox i WHERE i.generation = a.generation
                             AND (i.position, i.ordinal) < (a.position, a.ordinal) AND i.position < f.horizon OFFSET 0
                     ) i
             ))
         )
         SELECT horizon FROM final",
    )
    .bind(asked.iter().map(|one| number(one.0.generation)).collect::<Vec<_>>())
    .bind(asked.iter().map(|one| place(one.1.position)).collect::<Vec<_>>())
    .bind(asked.iter().map(|one| ordinal(one.1)).collect::<Vec<_>>())
    .fetch_one(sql)
    .await?;
    row.try_get::<Option<i64>, _>(0)?.ok_or(Failure::NotRunning)?;
    Ok(asked.iter().map(|_| Ok(())).collect())
}

#[async_trait]
impl ToDevice for PostgresStore {
    async fn send_to_device(
        &self,
        transaction: Option<TransactionKey>,
        messages: Vec<OutgoingMessage>,
    ) -> Result<bool> {
        let locks = match &transaction {
            Some(transaction) => lock_transaction(Locks::new(), transaction),
            None => Locks::new(),
        };
        command!(self, locks, |command| send(&mut command, transaction.as_ref(), &messages).await)
    }

    async fn inbox(&self, device: &DeviceRef, from: Cursor, to: Position, limit: usize) -> Result<InboxPage> {
        read!(self, |connection| inbox(connection, device, from, to, limit).await)
    }

    async fn acknowledge(&self, device: &DeviceRef, cursor: Cursor) -> Result<()> {
        let make = |asked: Vec<Arc<(DeviceRef, Cursor)>>| async move {
            read!(self, |connection| acknowledge(connection, &asked).await)
        };
        self.batches().acknowledgements.ask((device.clone(), cursor), make).await
    }
}
