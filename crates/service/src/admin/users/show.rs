//! `GET /_olmstead/admin/v1/users/{userId}`: all about an account but its encryption.

use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::devices::{Device, of_user};
use crate::{Context, Result, admin::e2ee::inspect::standing, profile, rooms::membership::joined_rooms};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The id.
    pub user_id: OwnedUserId,
    /// The display name.
    pub display_name: Option<String>,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Words for what is not ordinary: `deactivated`, `locked`, `suspended`, `guest`, `admin`.
    pub standing: Vec<String>,
    /// Whether there is a password.
    pub has_password: bool,
    /// When one of the devices last made a request, milliseconds, within five minutes.
    pub last_seen_at: Option<u64>,
    /// Devices that are logged in, in order of their ids.
    pub devices: Vec<Device>,
    /// Rooms the user is in.
    pub joined_rooms: Vec<OwnedRoomId>,
}

/// Reads it.
///
/// # Errors
/// [`crate::Refusal::NotFound`], and `InvalidParam` for what is no user of this server.
pub async fn show(cx: &Context, user: &str) -> Result<Response> {
    let account = super::account(cx, user).await?;
    let devices = of_user(cx, &account.user_id).await?;
    let fields = cx.storage.profile(&account.user_id).await?.unwrap_or_default();
    let display_name = match profile::field_of(&fields, profile::DISPLAY_NAME) {
        Some(Value::String(name)) => Some(name),
        _ => None,
    };
    Ok(Response {
        display_name,
        created_at: account.created_at,
        standing: standing(&account),
        has_password: account.password_hash.is_some(),
        last_seen_at: devices.iter().filter_map(|device| device.last_seen_at).max(),
        devices,
        joined_rooms: joined_rooms(cx, &account.user_id).await?,
        user_id: account.user_id,
    })
}
