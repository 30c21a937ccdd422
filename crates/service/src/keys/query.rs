//! `POST /keys/query` (KQ, SIG-8…16).

use std::collections::BTreeMap;

use olmstead_domain::{
    json::RawJson,
    keys::{
        CrossSigningPublicKeys,
        visibility::{self, Shown, View},
    },
};
use olmstead_storage::{
    StorageError,
    keys::{KeyQuery, UserKeys},
};
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{public_keys, unreachable};
use crate::{Context, Result, ServiceError};

/// The body.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Devices by user; an empty list asks for all (KQ-1).
    device_keys: BTreeMap<OwnedUserId, Vec<OwnedDeviceId>>,
    /// How long to wait for other servers, milliseconds (KQ-4). There are none to wait for yet.
    #[serde(default, rename = "timeout")]
    _timeout: Option<u64>,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    /// Identity keys of devices.
    device_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, RawJson>>,
    /// Master keys (KQ-7).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    master_keys: BTreeMap<OwnedUserId, RawJson>,
    /// Self-signing keys (KQ-8).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    self_signing_keys: BTreeMap<OwnedUserId, RawJson>,
    /// The asker's own user-signing key (KQ-9).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_signing_keys: BTreeMap<OwnedUserId, RawJson>,
    /// Servers that could not be asked (KQ-3).
    failures: BTreeMap<OwnedServerName, Value>,
}

/// Reads the keys of users, each with the signatures the asker may see and no others.
///
/// # Errors
/// Only those of the store.
pub async fn query(cx: &Context, asker: &UserId, request: Request) -> Result<Response> {
    let mut response = Response::default();
    let mut queries = Vec::with_capacity(request.device_keys.len());
    for (user_id, device_ids) in request.device_keys {
        if cx.is_local(&user_id) {
            queries.push(KeyQuery { user_id, device_ids });
        } else {
            response.failures.entry(user_id.server_name().to_owned()).or_insert_with(unreachable);
        }
    }
    if queries.is_empty() {
        return Ok(response);
    }
    let users = cx.storage.query_keys(&queries, Some(asker)).await?;

    // Signatures on others' master keys are shown if a current key of the asker made them.
    let asker_keys = if users.iter().any(|keys| !keys.asker_signatures.is_empty()) {
        let stored = cx.storage.cross_signing_keys(asker).await?;
        public_keys(asker, &stored)?
    } else {
        CrossSigningPublicKeys::default()
    };
    for (query, keys) in queries.into_iter().zip(users) {
        if keys.known {
            show(&mut response, asker, &asker_keys, query.user_id, &keys)?;
        }
    }
    Ok(response)
}

/// Puts one user's keys in the answer.
fn show(
    response: &mut Response,
    asker: &UserId,
    asker_keys: &CrossSigningPublicKeys,
    owner: OwnedUserId,
    keys: &UserKeys,
) -> Result<()> {
    let owner_keys = public_keys(&owner, &keys.cross_signing)?;
    let asker_keys = if asker == owner { &owner_keys } else { asker_keys };
    let view = View {
        asker: Some(asker),
        asker_keys,
        owner: &owner,
        owner_keys: &owner_keys,
        owner_devices: &keys.keyed_devices,
    };
    let serve = |shown: Shown<'_>, stored: &RawJson| {
        visibility::serve(&view, shown, stored)
            .map_err(|error| ServiceError::from(StorageError::damaged(format!("keys of {owner}: {error}"))))
    };

    let mut devices = BTreeMap::new();
    for row in &keys.devices {
        let shown = Shown::Device { device_id: &row.device_id, display_name: row.display_name.as_deref() };
        if let Some(raw) = serve(shown, &row.keys)? {
            devices.insert(row.device_id.clone(), raw);
        }
    }
    let master = match &keys.cross_signing.master {
        Some(stored) => serve(Shown::Master { asker_signatures: &keys.asker_signatures }, stored)?,
        None => None,
    };
    let self_signing = match &keys.cross_signing.self_signing {
        Some(stored) => serve(Shown::SelfSigning, stored)?,
        None => None,
    };
    let user_signing = match &keys.cross_signing.user_signing {
        Some(stored) => serve(Shown::UserSigning, stored)?,
        None => None,
    };
    response.master_keys.extend(master.map(|raw| (owner.clone(), raw)));
    response.self_signing_keys.extend(self_signing.map(|raw| (owner.clone(), raw)));
    response.user_signing_keys.extend(user_signing.map(|raw| (owner.clone(), raw)));
    response.device_keys.insert(owner, devices);
    Ok(())
}
