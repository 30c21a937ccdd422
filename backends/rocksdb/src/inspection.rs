//! Reads for operators.

use std::sync::Arc;

use async_trait::async_trait;
use olmstead_storage::{
    Inspection, Result,
    accounts::Account,
    devices::DeviceRef,
    inspection::{DeviceHealth, UserTraces},
    rooms::RoomHead,
};
use ruma::{OwnedRoomId, RoomId, UserId};

use crate::{
    RocksStore,
    accounts::account_key,
    devices::shown,
    keys::{Key, Table},
    pools::Pools,
    reads::{Reads, Span, json, raw},
    rooms, rows,
    store::blocking,
    to_device::inbox_span,
};

fn health(reads: &impl Reads, user_id: &UserId, most: usize) -> Result<Vec<DeviceHealth>> {
    let mut all = Vec::new();
    for (device_id, row) in rows::devices(reads, user_id)? {
        let id = DeviceRef { user_id: user_id.to_owned(), device_id: device_id.clone(), generation: row.generation };
        let pools = Pools::read(reads, &id)?;
        let (mut waiting, mut oldest) = (0, None);
        let (prefix, span) = inbox_span(reads, &id)?;
        for row in reads.scan(span)?.take(most) {
            let (key, event) = row?;
            if oldest.is_none() {
                oldest = Some((prefix.parts_after(&key)?.cursor()?.position, raw(Table::Inbox, event)?));
            }
            waiting += 1;
        }
        all.push(DeviceHealth {
            dehydrated: row.dehydrated,
            identity_keys: reads.get_raw(&rows::identity_key(user_id, &device_id))?,
            counts: pools.counts(),
            fallback_keys: pools.fallback_keys(),
            device: shown(reads, user_id, device_id, row)?,
            waiting,
            oldest,
        });
    }
    Ok(all)
}

fn traces(reads: &impl Reads, user_id: &UserId, most: usize) -> Result<UserTraces> {
    let mut traces = UserTraces::default();
    let log = Key::new(Table::DeviceListLog);
    for row in reads.scan(Span::prefix(&log).backward())?.take(most) {
        let (key, _) = row?;
        let mut parts = log.parts_after(&key)?;
        let position = parts.position()?;
        if parts.text()? == user_id.as_str() {
            traces.list_changed = Some(position);
            break;
        }
    }
    let signatures = Key::new(Table::ForeignSignature).text(user_id);
    for row in reads.scan(Span::prefix(&signatures))?.take(most) {
        let (key, signature) = row?;
        let mut parts = signatures.parts_after(&key)?;
        traces.signers.push((parts.id()?, parts.text()?, String::from_utf8_lossy(&signature).into_owned()));
    }
    Ok(traces)
}

#[async_trait]
impl Inspection for RocksStore {
    async fn accounts_after(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<Account>> {
        let after = after.map(account_key);
        self.read_view_of(true, move |view, _| {
            let span = Span::prefix(&Key::new(Table::Account));
            let span = match &after {
                Some(after) => span.after(after),
                None => span,
            };
            view.scan(span)?.take(limit).map(|row| json(Table::Account, &row?.1)).collect()
        })
        .await
    }

    async fn device_health(&self, user_id: &UserId, most: usize) -> Result<Vec<DeviceHealth>> {
        let user_id = user_id.to_owned();
        self.read_view_of(true, move |view, _| health(view, &user_id, most)).await
    }

    async fn user_traces(&self, user_id: &UserId, most: usize) -> Result<UserTraces> {
        let user_id = user_id.to_owned();
        self.read_view_of(true, move |view, _| traces(view, &user_id, most)).await
    }

    async fn rooms_after(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<(OwnedRoomId, RoomHead)>> {
        let after = after.map(ToOwned::to_owned);
        self.read_view_of(true, move |view, _| rooms::rooms_after(view, after.as_deref(), limit)).await
    }

    async fn store_size(&self) -> Result<u64> {
        let inner = Arc::clone(self.inner());
        blocking(move || inner.engine().size()).await
    }

    async fn horizon_lag(&self) -> Result<u64> {
        Ok(self.stream().lag())
    }
}
