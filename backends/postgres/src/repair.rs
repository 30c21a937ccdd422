//! What an operator mends.

use async_trait::async_trait;
use olmstead_storage::{Repair, Result, changes::ChangeKey, devices::DeviceRef};
use ruma::UserId;

use crate::{
    PostgresStore,
    command::Command,
    error::Done,
    locks::Locks,
    rows::{Columns as _, number},
    store::command,
};

async fn drop_one_time_keys(command: &mut Command, device: &DeviceRef) -> Done<Option<u64>> {
    // Holds the device against a deletion.
    let found = sqlx::query("SELECT FROM device WHERE generation = $1 FOR NO KEY UPDATE")
        .bind(number(device.generation))
        .fetch_optional(command.sql())
        .await?;
    if found.is_none() {
        return Ok(None);
    }
    let place = command.place().await?;
    let dropped = sqlx::query(
        "WITH held AS (
             SELECT algorithm, next - first AS count FROM pool WHERE generation = $1 ORDER BY algorithm FOR UPDATE
         )
         UPDATE pool p SET first = p.next, fallback_used = p.fallback_used OR p.fallback_key IS NOT NULL, changed = $2
         FROM held WHERE p.generation = $1 AND p.algorithm = held.algorithm
         RETURNING held.count",
    )
    .bind(number(device.generation))
    .bind(place)
    .fetch_all(command.sql())
    .await?;
    command.change(ChangeKey::Device(device.user_id.clone(), device.device_id.clone()));
    let counts: Done<Vec<u64>> = dropped.iter().map(|row| row.count("count")).collect();
    Ok(Some(counts?.into_iter().sum()))
}

#[async_trait]
impl Repair for PostgresStore {
    async fn drop_one_time_keys(&self, device: &DeviceRef) -> Result<Option<u64>> {
        command!(self, Locks::new().pool(&device.user_id, &device.device_id), |command| {
            drop_one_time_keys(&mut command, device).await
        })
    }

    async fn announce_device_list(&self, user_id: &UserId) -> Result<bool> {
        command!(self, Locks::new().user(user_id), |command| {
            let known = sqlx::query("SELECT FROM account WHERE user_id = $1")
                .bind(user_id.as_str())
                .fetch_optional(command.sql())
                .await?
                .is_some();
            if known {
                command.device_list_changed(user_id).await?;
            }
            Ok(known)
        })
    }
}
