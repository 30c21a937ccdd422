//! Reads for operators.

use std::collections::BTreeMap;

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Inspection, Result,
    accounts::Account,
    devices::Device,
    inspection::{DeviceHealth, UserTraces},
    keys::KeyCounts,
    rooms::RoomHead,
};
use ruma::{OwnedRoomId, RoomId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    accounts::account_of,
    devices::device_ref,
    error::Done,
    rooms::rooms_after,
    rows::{self, Columns as _},
    store::read,
};

async fn accounts_after(sql: &mut PgConnection, after: Option<&UserId>, limit: usize) -> Done<Vec<Account>> {
    sqlx::query(
        "SELECT user_id, password_hash, guest, admin, deactivated, locked, suspended, created_at
         FROM account WHERE $1::text IS NULL OR user_id > $1 ORDER BY user_id LIMIT $2",
    )
    .bind(after.map(UserId::as_str))
    .bind(rows::limit(limit))
    .fetch_all(sql)
    .await?
    .iter()
    .map(account_of)
    .collect()
}

/// A row for each device and algorithm, at least one for each device.
async fn health(sql: &mut PgConnection, user_id: &UserId, most: usize) -> Done<Vec<DeviceHealth>> {
    let found = sqlx::query(
        "SELECT d.user_id, d.device_id, d.generation, d.display_name, d.created_at, d.identity_keys,
             d.dehydrated_data IS NOT NULL AS dehydrated, s.at, s.ip,
             p.algorithm, p.next - p.first AS count, p.fallback_key IS NOT NULL AS fallback, p.fallback_used,
             i.waiting, o.position AS oldest, o.event
         FROM device d
         LEFT JOIN device_seen s USING (generation)
         LEFT JOIN pool p USING (generation)
         CROSS JOIN LATERAL (
             SELECT count(*) AS waiting FROM (
                 SELECT FROM inbox WHERE inbox.generation = d.generation ORDER BY position, ordinal LIMIT $2
             ) AS first
         ) AS i
         LEFT JOIN LATERAL (
             SELECT position, event FROM inbox WHERE inbox.generation = d.generation
             ORDER BY position, ordinal LIMIT 1
         ) AS o ON true
         WHERE d.user_id = $1 ORDER BY d.device_id, p.algorithm",
    )
    .bind(user_id.as_str())
    .bind(rows::limit(most))
    .fetch_all(sql)
    .await?;
    let mut all: Vec<DeviceHealth> = Vec::new();
    for row in &found {
        let id = device_ref(row)?;
        if all.last().is_none_or(|last| last.device.id != id) {
            all.push(DeviceHealth {
                device: Device {
                    id,
                    display_name: row.maybe_text("display_name")?,
                    created_at: row.count("created_at")?,
                    last_seen_at: row.maybe_count("at")?,
                    last_seen_ip: row.maybe_text("ip")?,
                },
                dehydrated: row.flag("dehydrated")?,
                identity_keys: row.maybe_json("identity_keys")?,
                counts: KeyCounts::default(),
                fallback_keys: BTreeMap::new(),
                waiting: row.count("waiting")?,
                oldest: row.maybe_count("oldest")?.map(Position).zip(row.maybe_json("event")?),
            });
        }
        let (Some(health), Some(algorithm)) = (all.last_mut(), row.maybe_text("algorithm")?) else { continue };
        let count = row.count("count")?;
        if count > 0 {
            health.counts.one_time_keys.insert(algorithm.clone(), count);
        }
        if row.flag("fallback")? {
            let used = row.flag("fallback_used")?;
            if !used {
                health.counts.unused_fallback_keys.push(algorithm.clone());
            }
            health.fallback_keys.insert(algorithm, used);
        }
    }
    Ok(all)
}

async fn traces(sql: &mut PgConnection, user_id: &UserId, most: usize) -> Done<UserTraces> {
    let changed = sqlx::query(
        "SELECT max(position) AS position FROM (
             SELECT position, user_id FROM device_list_log ORDER BY position DESC LIMIT $2
         ) AS newest WHERE user_id = $1",
    )
    .bind(user_id.as_str())
    .bind(rows::limit(most))
    .fetch_one(&mut *sql)
    .await?;
    let signers = sqlx::query(
        "SELECT signer, key_id, signature FROM foreign_signature WHERE signed = $1 ORDER BY signer, key_id LIMIT $2",
    )
    .bind(user_id.as_str())
    .bind(rows::limit(most))
    .fetch_all(sql)
    .await?;
    let signer = |row: &PgRow| -> Done<_> { Ok((row.id("signer")?, row.text("key_id")?, row.text("signature")?)) };
    Ok(UserTraces {
        list_changed: changed.maybe_count("position")?.map(Position),
        signers: signers.iter().map(signer).collect::<Done<_>>()?,
    })
}

#[async_trait]
impl Inspection for PostgresStore {
    async fn accounts_after(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<Account>> {
        read!(self, |connection| accounts_after(connection, after, limit).await)
    }

    async fn device_health(&self, user_id: &UserId, most: usize) -> Result<Vec<DeviceHealth>> {
        read!(self, |connection| health(connection, user_id, most).await)
    }

    async fn user_traces(&self, user_id: &UserId, most: usize) -> Result<UserTraces> {
        read!(self, |connection| traces(connection, user_id, most).await)
    }

    async fn rooms_after(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<(OwnedRoomId, RoomHead)>> {
        read!(self, |connection| rooms_after(connection, after, limit).await)
    }

    async fn store_size(&self) -> Result<u64> {
        read!(self, |connection| {
            let row = sqlx::query("SELECT pg_database_size(current_database()) AS size").fetch_one(connection).await?;
            row.count("size")
        })
    }

    /// Transactions that were begun since the oldest that runs in the whole cluster.
    async fn horizon_lag(&self) -> Result<u64> {
        read!(self, |connection| {
            let row = sqlx::query(
                "SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                     - pg_snapshot_xmin(pg_current_snapshot())::text::bigint) AS lag",
            )
            .fetch_one(connection)
            .await?;
            row.count("lag")
        })
    }
}
