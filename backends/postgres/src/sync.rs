//! The read that every sync starts with.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Result, SyncReads,
    account_data::SETTINGS,
    changes::Horizon,
    sync::{SyncFacts, SyncQuery},
};
use sqlx::PgConnection;

use crate::{
    PostgresStore,
    account_data::{entries_between, newest_of},
    changes, device_lists,
    error::Done,
    keys, presence,
    rooms::memberships,
    rows::number,
    store::view,
    to_device::inbox,
};

/// Whether the account of a device is locked; `None` if the device is gone.
async fn is_locked(sql: &mut PgConnection, generation: u64) -> Done<Option<bool>> {
    Ok(sqlx::query_scalar(
        "SELECT a.locked FROM device d JOIN account a ON a.user_id = d.user_id WHERE d.generation = $1",
    )
    .bind(number(generation))
    .fetch_optional(sql)
    .await?)
}

/// All facts of one view, strictly below its horizon.
async fn facts(sql: &mut PgConnection, horizon: Horizon, query: &SyncQuery) -> Done<Option<SyncFacts>> {
    let device = &query.device;
    let Some(locked) = is_locked(&mut *sql, device.generation).await? else { return Ok(None) };
    let to = horizon.position;
    let from = query.since.unwrap_or(Position::START);
    let (device_lists, own_device_lists) = if query.since.is_some() {
        let own = device_lists::own_changes(&mut *sql, &device.user_id, from, to).await?;
        (device_lists::changes(&mut *sql, from, to).await?, own)
    } else {
        Default::default()
    };
    let (key_counts, key_counts_changed) = keys::counts(&mut *sql, device).await?;
    let forgotten_from = query.since.unwrap_or(Position::END);
    Ok(Some(SyncFacts {
        locked,
        horizon,
        memberships: memberships(&mut *sql, &device.user_id, forgotten_from, to).await?,
        inbox: inbox(&mut *sql, device, query.inbox_from, to, query.inbox_limit).await?,
        key_counts,
        key_counts_changed,
        account_data: entries_between(&mut *sql, &device.user_id, from, to).await?,
        presence: presence::between(&mut *sql, from, to).await?,
        settings_changed: newest_of(sql, &device.user_id, &SETTINGS).await?,
        device_lists,
        own_device_lists,
    }))
}

#[async_trait]
impl SyncReads for PostgresStore {
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
        view!(self, |connection| {
            // The first statement makes the view, so its horizon is the view's.
            let (horizon, base) = changes::horizon(&mut *connection).await?;
            self.stream().saw(horizon.position, base);
            facts(connection, horizon, query).await
        })
    }
}
