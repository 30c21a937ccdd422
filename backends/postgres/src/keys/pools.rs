//! The one-time and fallback keys of a device.
//!
//! A pool is a queue: keys get numbers from `next` up and leave from `first` on, by a claim or by the cap. The ids of
//! keys that left are remembered from `spent` to `first` (OTK-3).

use std::collections::{BTreeMap, HashMap};

use olmstead_domain::{
    json::RawJson,
    keys::{
        StoredFallback,
        fallback::{self, FallbackUpload},
        one_time::{Admit, admit},
    },
    position::Position,
};
use olmstead_storage::{changes::ChangeKey, devices::DeviceRef, keys::KeyCounts};
use sqlx::PgConnection;

use crate::{
    command::Command,
    error::Done,
    rows::{Columns as _, number},
    text::{stored, stored_all},
};

/// The counts of a device, none for one that is gone, and the position of their last change.
pub(crate) async fn counts(sql: &mut PgConnection, device: &DeviceRef) -> Done<(KeyCounts, Position)> {
    let rows = sqlx::query(
        "SELECT algorithm, next - first AS count, fallback_key IS NOT NULL AND NOT fallback_used AS unused, changed
         FROM pool WHERE generation = $1 ORDER BY algorithm",
    )
    .bind(number(device.generation))
    .fetch_all(sql)
    .await?;
    let (mut counts, mut changed) = (KeyCounts::default(), Position::START);
    for row in &rows {
        let algorithm = row.text("algorithm")?;
        if row.flag("unused")? {
            counts.unused_fallback_keys.push(algorithm.clone());
        }
        let count = row.count("count")?;
        if count > 0 {
            counts.one_time_keys.insert(algorithm, count);
        }
        changed = changed.max(row.place("changed")?);
    }
    Ok((counts, changed))
}

/// A pool and its fallback key.
#[derive(Default)]
struct Pool {
    spent: u64,
    first: u64,
    next: u64,
    fallback: Option<StoredFallback>,
    /// From which number on ids are stored.
    stored: u64,
    touched: bool,
}

/// A key that is to be stored.
struct NewKey {
    algorithm: String,
    number: u64,
    key_id: String,
    key: RawJson,
}

/// A key that cannot be stored, because another has its name.
pub(super) struct Taker {
    pub(super) key_name: String,
    pub(super) existing: RawJson,
    pub(super) uploaded: RawJson,
}

/// The pools of a device by algorithm, held against claims, with changes that are not written yet.
pub(super) struct Pools {
    pools: BTreeMap<String, Pool>,
    new: Vec<NewKey>,
}

fn name_parts(key_name: &str) -> (&str, &str) {
    key_name.split_once(':').unwrap_or((key_name, ""))
}

impl Pools {
    /// Reads and holds them. Needs the device's row, so that no pool is added meanwhile.
    pub(super) async fn hold(sql: &mut PgConnection, device: &DeviceRef) -> Done<Self> {
        let rows = sqlx::query(
            "SELECT algorithm, spent, first, next, fallback_id, fallback_key, fallback_used
             FROM pool WHERE generation = $1 ORDER BY algorithm FOR UPDATE",
        )
        .bind(number(device.generation))
        .fetch_all(sql)
        .await?;
        let mut pools = BTreeMap::new();
        for row in &rows {
            let fallback = match (row.maybe_text("fallback_id")?, row.maybe_json("fallback_key")?) {
                (Some(key_id), Some(value)) => Some(StoredFallback { key_id, value, used: row.flag("fallback_used")? }),
                _ => None,
            };
            let spent = row.count("spent")?;
            let (first, next) = (row.count("first")?, row.count("next")?);
            let pool = Pool { spent, first, next, fallback, stored: spent, touched: false };
            pools.insert(row.text("algorithm")?, pool);
        }
        Ok(Self { pools, new: Vec::new() })
    }

    /// What clients are told.
    pub(super) fn counts(&self) -> KeyCounts {
        let counts = self.pools.iter().map(|(algorithm, pool)| (algorithm.clone(), pool.next - pool.first));
        let unused =
            self.pools.iter().filter(|(_, pool)| pool.fallback.as_ref().is_some_and(|fallback| !fallback.used));
        KeyCounts {
            one_time_keys: counts.filter(|(_, count)| *count > 0).collect(),
            unused_fallback_keys: unused.map(|(algorithm, _)| algorithm.clone()).collect(),
        }
    }

    /// Drops all keys of a device, and what is remembered of them. Their deletion is written at once.
    pub(super) async fn clear(&mut self, sql: &mut PgConnection, device: &DeviceRef) -> Done<()> {
        sqlx::query("DELETE FROM one_time_key WHERE generation = $1")
            .bind(number(device.generation))
            .execute(sql)
            .await?;
        for pool in self.pools.values_mut() {
            let next = pool.next;
            // The numbers go on, and the row stays: it says when the counts changed.
            *pool = Pool { spent: next, first: next, next, stored: next, touched: true, ..Pool::default() };
        }
        Ok(())
    }

    /// Adds one-time keys in their order. Gives the first that cannot be stored.
    pub(super) async fn add(
        &mut self,
        sql: &mut PgConnection,
        device: &DeviceRef,
        keys: &[(String, RawJson)],
        limit: usize,
        memory: usize,
    ) -> Done<Option<Taker>> {
        if keys.is_empty() {
            return Ok(None);
        }
        let mut known = known(sql, device, keys).await?;
        for (key_name, key) in keys {
            let (algorithm, key_id) = name_parts(key_name);
            let pool = self.pools.entry(algorithm.to_owned()).or_default();
            let stored = known.get(key_name);
            let unclaimed = stored.filter(|(number, _)| *number >= pool.first).map(|(_, key)| key);
            match admit(unclaimed, stored.is_some(), key) {
                Admit::Store => {
                    known.insert(key_name.clone(), (pool.next, key.clone()));
                    self.new.push(NewKey {
                        algorithm: algorithm.to_owned(),
                        number: pool.next,
                        key_id: key_id.to_owned(),
                        key: key.clone(),
                    });
                    pool.next += 1;
                    pool.touched = true;
                }
                Admit::AlreadyThere | Admit::AlreadyClaimed => {}
                Admit::Conflict => {
                    let existing = unclaimed.unwrap_or(key).clone();
                    return Ok(Some(Taker { key_name: key_name.clone(), existing, uploaded: key.clone() }));
                }
            }
        }
        let (limit, memory) = (limit as u64, memory as u64);
        for pool in self.pools.values_mut().filter(|pool| pool.touched) {
            // The oldest beyond the limit leave as if they were claimed.
            pool.first = pool.first.max(pool.next.saturating_sub(limit));
            pool.spent = pool.spent.max(pool.first.saturating_sub(memory));
        }
        Ok(None)
    }

    /// Sets fallback keys (FBK-1, FBK-5).
    pub(super) fn set_fallbacks(&mut self, keys: &[(String, RawJson)]) {
        for (key_name, key) in keys {
            let (algorithm, key_id) = name_parts(key_name);
            let pool = self.pools.entry(algorithm.to_owned()).or_default();
            match fallback::replace(pool.fallback.as_ref(), key_id, key) {
                FallbackUpload::Unchanged => {}
                FallbackUpload::Replace(stored) => {
                    pool.fallback = Some(stored);
                    pool.touched = true;
                }
            }
        }
    }

    /// Writes what changed, if anything did.
    pub(super) async fn save(&self, command: &mut Command, device: &DeviceRef) -> Done<()> {
        let touched: Vec<(&String, &Pool)> = self.pools.iter().filter(|(_, pool)| pool.touched).collect();
        if touched.is_empty() {
            return Ok(());
        }
        let position = command.place().await?;
        let pools = || touched.iter().map(|(_, pool)| *pool);
        let fallbacks = || pools().map(|pool| pool.fallback.as_ref());
        // An upload larger than the cap and the memory together is not remembered as a whole.
        let is_kept = |key: &&NewKey| self.pools.get(&key.algorithm).is_none_or(|pool| key.number >= pool.spent);
        let new = || self.new.iter().filter(is_kept);
        sqlx::query(
            "WITH pools AS (
                 INSERT INTO pool (generation, algorithm, spent, first, next,
                     fallback_id, fallback_key, fallback_used, changed)
                 SELECT $1, p.*, $2 FROM unnest($3::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::text[], $9::text[], $10::boolean[]) AS p
                 ON CONFLICT (generation, algorithm) DO UPDATE SET
                     spent = EXCLUDED.spent, first = EXCLUDED.first, next = EXCLUDED.next,
                     fallback_id = EXCLUDED.fallback_id, fallback_key = EXCLUDED.fallback_key,
                     fallback_used = EXCLUDED.fallback_used, changed = EXCLUDED.changed
             ), forgotten AS (
                 DELETE FROM one_time_key k
                 USING unnest($3::text[], $4::bigint[], $5::bigint[]) AS p (algorithm, stored, spent)
                 WHERE k.generation = $1 AND k.algorithm = p.algorithm
                     AND k.number >= p.stored AND k.number < p.spent
             )
             INSERT INTO one_time_key (generation, algorithm, number, key_id, key)
             SELECT $1, * FROM unnest($11::text[], $12::bigint[], $13::text[], $14::text[])",
        )
        .bind(number(device.generation))
        .bind(position)
        .bind(stored_all(touched.iter().map(|(algorithm, _)| algorithm)))
        .bind(numbers(pools().map(|pool| pool.stored)))
        .bind(numbers(pools().map(|pool| pool.spent)))
        .bind(numbers(pools().map(|pool| pool.first)))
        .bind(numbers(pools().map(|pool| pool.next)))
        .bind(fallbacks().map(|fallback| fallback.map(|key| stored(&key.key_id))).collect::<Vec<_>>())
        .bind(fallbacks().map(|fallback| fallback.map(|key| key.value.get())).collect::<Vec<_>>())
        .bind(fallbacks().map(|fallback| fallback.is_some_and(|key| key.used)).collect::<Vec<_>>())
        .bind(stored_all(new().map(|key| &key.algorithm)))
        .bind(numbers(new().map(|key| key.number)))
        .bind(stored_all(new().map(|key| &key.key_id)))
        .bind(new().map(|key| key.key.get()).collect::<Vec<_>>())
        .execute(command.sql())
        .await?;
        command.change(ChangeKey::Device(device.user_id.clone(), device.device_id.clone()));
        Ok(())
    }
}

fn numbers(values: impl Iterator<Item = u64>) -> Vec<i64> {
    values.map(number).collect()
}

/// Which of these names are taken or remembered: number and key of each.
async fn known(
    sql: &mut PgConnection,
    device: &DeviceRef,
    keys: &[(String, RawJson)],
) -> Done<HashMap<String, (u64, RawJson)>> {
    let names = || keys.iter().map(|(key_name, _)| name_parts(key_name));
    let rows = sqlx::query(
        "SELECT k.algorithm, k.key_id, k.number, k.key
         FROM unnest($2::text[], $3::text[]) AS u (algorithm, key_id)
             JOIN one_time_key k ON k.generation = $1 AND k.algorithm = u.algorithm AND k.key_id = u.key_id",
    )
    .bind(number(device.generation))
    .bind(stored_all(names().map(|(algorithm, _)| algorithm)))
    .bind(stored_all(names().map(|(_, key_id)| key_id)))
    .fetch_all(sql)
    .await?;
    rows.iter()
        .map(|row| {
            let key_name = format!("{}:{}", row.text("algorithm")?, row.text("key_id")?);
            Ok((key_name, (row.count("number")?, row.json("key")?)))
        })
        .collect()
}
