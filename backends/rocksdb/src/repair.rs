//! What an operator mends.

use async_trait::async_trait;
use olmstead_storage::{Repair, Result, devices::DeviceRef};
use ruma::UserId;

use crate::{RocksStore, accounts::account_key, locks::Locks, pools, reads::Reads as _, rows};

#[async_trait]
impl Repair for RocksStore {
    async fn drop_one_time_keys(&self, device: &DeviceRef) -> Result<Option<u64>> {
        let device = device.clone();
        let locks = Locks::new().pool(&device.user_id, &device.device_id).user_shared(&device.user_id);
        self.command(locks, move |command| {
            if rows::live_device(command, &device)?.is_none() {
                return Ok(None);
            }
            pools::spend(command, &device).map(Some)
        })
        .await
    }

    async fn announce_device_list(&self, user_id: &UserId) -> Result<bool> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().user_shared(&user_id), move |command| {
            let known = command.has(&account_key(&user_id))?;
            if known {
                rows::device_list_changed(command, &user_id)?;
            }
            Ok(known)
        })
        .await
    }
}
