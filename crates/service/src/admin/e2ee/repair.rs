//! `POST /_olmstead/admin/v1/e2ee/repair`: makes clients do what they failed to do.

use olmstead_domain::position::Cursor;
use olmstead_storage::devices::DeviceRef;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Result,
    admin::{
        audit::{Operator, recorded},
        users::{find, no_device},
    },
    to_device,
};

/// Messages that are looked at with one read.
const PAGE: usize = 500;

/// What is to be mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Mend {
    /// A device's one-time keys go, and its fallback key counts as given out, so that it uploads new ones.
    DropOneTimeKeys {
        /// The device.
        device_id: OwnedDeviceId,
    },
    /// Everyone who shares a room with the user is told that the device list changed, so that their clients ask for it.
    AnnounceDeviceList,
    /// To-device messages that wait for a device and were sent more than this long ago go. They are lost.
    DropInbox {
        /// The device.
        device_id: OwnedDeviceId,
        /// Milliseconds.
        older_than_ms: u64,
    },
}

/// The body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose devices it is about.
    pub user_id: OwnedUserId,
    /// What is to be done.
    #[serde(flatten)]
    pub mend: Mend,
    /// Only tell what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// How many keys, lists or messages it is about.
    pub affected: u64,
    /// Whether it was done.
    pub done: bool,
}

/// Mends something, or tells what that would mean.
///
/// # Errors
/// [`crate::Refusal::NotFound`] if there is no such account or device.
pub async fn repair(cx: &Context, operator: &Operator, request: &Request) -> Result<Response> {
    let user_id = &request.user_id;
    find(cx, user_id).await?;
    if request.dry_run {
        return Ok(Response { affected: would_affect(cx, user_id, &request.mend).await?, done: false });
    }
    let affected = match &request.mend {
        Mend::DropOneTimeKeys { device_id } => {
            let device = device(cx, user_id, device_id).await?;
            let what = ("e2ee.drop_one_time_keys", &*format!("{user_id} {device_id}"), "");
            let drop = async {
                let dropped = cx.storage.drop_one_time_keys(&device).await?;
                dropped.ok_or_else(|| no_device(user_id, device_id))
            };
            recorded(cx, operator, what, drop).await?
        }
        Mend::AnnounceDeviceList => {
            let what = ("e2ee.announce_device_list", user_id.as_str(), "");
            let announce = async { Ok(u64::from(cx.storage.announce_device_list(user_id).await?)) };
            recorded(cx, operator, what, announce).await?
        }
        Mend::DropInbox { device_id, older_than_ms } => {
            let device = device(cx, user_id, device_id).await?;
            let details = format!("older than {older_than_ms} ms");
            let what = ("e2ee.drop_inbox", &*format!("{user_id} {device_id}"), &*details);
            let drop = async {
                let (count, end) = older(cx, &device, *older_than_ms).await?;
                if count > 0 {
                    cx.storage.acknowledge(&device, end).await?;
                }
                Ok(count)
            };
            recorded(cx, operator, what, drop).await?
        }
    };
    Ok(Response { affected, done: true })
}

async fn would_affect(cx: &Context, user_id: &OwnedUserId, mend: &Mend) -> Result<u64> {
    Ok(match mend {
        Mend::DropOneTimeKeys { device_id } => {
            let device = device(cx, user_id, device_id).await?;
            cx.storage.key_counts(&device).await?.one_time_keys.values().sum()
        }
        Mend::AnnounceDeviceList => 1,
        Mend::DropInbox { device_id, older_than_ms } => {
            older(cx, &device(cx, user_id, device_id).await?, *older_than_ms).await?.0
        }
    })
}

/// A device that lives, a dehydrated one too.
async fn device(cx: &Context, user_id: &OwnedUserId, device_id: &OwnedDeviceId) -> Result<DeviceRef> {
    let devices = cx.storage.device_health(user_id, 0).await?;
    let found = devices.into_iter().find(|health| health.device.id.device_id == *device_id);
    found.map(|health| health.device.id).ok_or_else(|| no_device(user_id, device_id))
}

/// How many messages that wait for a device are older than this, and the place after the last of them. Messages from
/// before times were noted count as old.
async fn older(cx: &Context, device: &DeviceRef, than_ms: u64) -> Result<(u64, Cursor)> {
    let newest = cx.now().saturating_sub(than_ms);
    let to = cx.storage.horizon().await?.position;
    let (mut count, mut end) = (0, Cursor::default());
    loop {
        let page = cx.storage.inbox(device, end, to, PAGE).await?;
        for (cursor, event) in &page.messages {
            if to_device::sent_at(event).unwrap_or_default() > newest {
                return Ok((count, end));
            }
            count += 1;
            end = cursor.next();
        }
        if !page.more {
            return Ok((count, end));
        }
    }
}
