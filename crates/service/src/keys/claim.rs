//! `POST /keys/claim` (OTK-1, OTK-8…15, FBK-3…9).

use std::collections::BTreeMap;

use olmstead_domain::json::RawJson;
use olmstead_storage::keys::ClaimWant;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::unreachable;
use crate::{Context, Result};

/// The body.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Algorithm by user and device.
    one_time_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>,
    /// How long to wait for other servers, milliseconds (OTK-12). There are none to wait for yet.
    #[serde(default, rename = "timeout")]
    _timeout: Option<u64>,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    /// Key by user, device and full key name (OTK-9).
    one_time_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, BTreeMap<String, RawJson>>>,
    /// Servers that could not be asked (OTK-11).
    failures: BTreeMap<OwnedServerName, Value>,
}

/// Hands out one key for each device asked for. A key that is in the answer is spent, whether or not the answer
/// arrives (OTK-15). A claimer who took many keys of a device gets its fallback key.
///
/// # Errors
/// [`crate::ServiceError::LimitExceeded`] for a claimer who names too many devices, and those of the store.
pub async fn claim(cx: &Context, claimer: &UserId, request: Request) -> Result<Response> {
    let mut response = Response::default();
    let mut wants = Vec::new();
    for (user_id, devices) in request.one_time_keys {
        if !cx.is_local(&user_id) {
            response.failures.entry(user_id.server_name().to_owned()).or_insert_with(unreachable);
            continue;
        }
        wants.extend(devices.into_iter().map(|(device_id, algorithm)| ClaimWant {
            user_id: user_id.clone(),
            device_id,
            algorithm,
            spares: false,
        }));
    }
    if wants.is_empty() {
        return Ok(response);
    }
    cx.claim_budget.apply(claimer, &mut wants)?;
    for claimed in cx.storage.claim_keys(&wants).await? {
        let devices = response.one_time_keys.entry(claimed.user_id).or_default();
        devices.insert(claimed.device_id, BTreeMap::from([(claimed.key_name, claimed.key)]));
    }
    Ok(response)
}
