//! The read that every sync starts with.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Result, SyncReads,
    sync::{SyncFacts, SyncQuery},
};
use sqlx::PgConnection;

use crate::{
    PostgresStore,
    account_data::entries_between,
    changes,
    device_lists,
    ephemeral::presence_between,
    error::Done,
    keys,
    rooms::memberships,
    rows::number,
    store::view,
    to_device::inbox,
};

async fn is_alive(sql: &mut PgConnection, generation: u64) -> Done<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM device WHERE generation = $1)")
        .bind(number(generation))
        .fetch_one(sql)
        .await?)
}

/// All facts of one view, strictly below its horizon.
async fn facts(sql: &mut PgConnection, query: &SyncQuery) -> Done<Option<SyncFacts>> {
    let device = &query.device;
    // The first statement makes the view, so its horizon is the view's.
    let horizon = changes::horizon(&mut *sql).await?;
    if !is_alive(&mut *sql, device.generation).await? {
        return Ok(None);
    }
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
        horizon,
        memberships: memberships(&mut *sql, &device.user_id, forgotten_from, to).await?,
        inbox: inbox(&mut *sql, device, query.inbox_from, to, query.inbox_limit).await?,
        key_counts,
        key_counts_changed,
        account_data: entries_between(&mut *sql, &device.user_id, from, to).await?,
        device_lists,
        own_device_lists,
        presence: presence_between(sql, from, to).await?,
    }))
}

#[async_trait]
impl SyncReads for PostgresStore {
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
        let facts = view!(self, |connection| facts(connection, query).await)?;
        if let Some(facts) = &facts {
            self.stream().saw(facts.horizon.position);
        }
        Ok(facts)
    }
}
