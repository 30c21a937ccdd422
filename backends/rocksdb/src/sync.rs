//! The read that every sync starts with.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Result, SyncReads,
    account_data::SETTINGS,
    accounts::Account,
    changes::Horizon,
    sync::{SyncFacts, SyncQuery},
};

use crate::{
    RocksStore,
    account_data::{entries_between, newest_of},
    accounts::account_key,
    ephemeral::presence_between,
    pools::{self, Pools},
    reads::{Reads, View},
    rooms::{RoomCache, memberships},
    rows, to_device,
};

/// All facts of one view, strictly below its horizon.
fn facts(reads: &View<'_>, cache: &RoomCache, horizon: Horizon, query: &SyncQuery) -> Result<Option<SyncFacts>> {
    let device = &query.device;
    if rows::live_device(reads, device)?.is_none() {
        return Ok(None);
    }
    let account = reads.get_json::<Account>(&account_key(&device.user_id))?;
    let to = horizon.position;
    let from = query.since.unwrap_or(Position::START);
    let (device_lists, own_device_lists) = if query.since.is_some() {
        let own = rows::own_device_list_changes(reads, &device.user_id, from, to)?;
        (rows::device_list_changes(reads, from, to)?, own)
    } else {
        Default::default()
    };
    let forgotten_from = query.since.unwrap_or(Position::END);
    Ok(Some(SyncFacts {
        locked: account.is_some_and(|account| account.locked),
        horizon,
        memberships: memberships((reads, to), cache, &device.user_id, forgotten_from, to)?,
        inbox: to_device::inbox(reads, device, query.inbox_from, to, query.inbox_limit)?,
        key_counts: Pools::read(reads, device)?.counts(),
        key_counts_changed: pools::counts_changed_at(reads, device)?,
        account_data: entries_between(reads, &device.user_id, from, to)?,
        settings_changed: newest_of(reads, &device.user_id, &SETTINGS)?,
        device_lists,
        own_device_lists,
        presence: presence_between(reads, from, to)?,
    }))
}

#[async_trait]
impl SyncReads for RocksStore {
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
        let query = query.clone();
        let cache = self.rooms();
        self.read_view(move |view, horizon| facts(view, &cache, horizon, &query)).await
    }
}
