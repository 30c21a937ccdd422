//! `POST /keys/upload` (DK, OTK-3…7, FBK-1…6).

use std::collections::BTreeMap;

use olmstead_domain::{
    json::RawJson,
    keys::{DeviceKeys, fallback, one_time},
};
use olmstead_storage::{
    devices::DeviceRef,
    keys::{KeyCounts, KeysUpload, UploadOutcome},
};
use serde::{Deserialize, Serialize};

use super::{SIGNED_CURVE25519, read_stored};
use crate::{Context, Result, ServiceError};

/// The body. All parts are optional (DK-2).
#[derive(Debug, Default, Deserialize)]
pub struct Request {
    /// Identity keys.
    pub(crate) device_keys: Option<RawJson>,
    /// One-time keys.
    pub(crate) one_time_keys: Option<RawJson>,
    /// Fallback keys.
    pub(crate) fallback_keys: Option<RawJson>,
    /// Their name before they were released.
    #[serde(rename = "org.matrix.msc2732.fallback_keys")]
    pub(crate) unstable_fallback_keys: Option<RawJson>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Response {
    /// Unclaimed one-time keys by algorithm (DK-7).
    one_time_key_counts: BTreeMap<String, u64>,
}

/// The counts as clients get them: `signed_curve25519` always among them.
#[must_use]
pub fn told_counts(counts: KeyCounts) -> BTreeMap<String, u64> {
    let mut told = counts.one_time_keys;
    told.entry(SIGNED_CURVE25519.to_owned()).or_insert(0);
    told
}

/// Stores the keys of the caller's device, all or nothing (DK-9).
///
/// # Errors
/// The refusals of the domain's checks; [`ServiceError::UnknownToken`] when the device is gone (DK-10).
pub async fn upload(cx: &Context, device: &DeviceRef, request: Request) -> Result<Response> {
    let upload = check(cx, device, request).await?;
    if upload.device_keys.is_none() && upload.one_time_keys.is_empty() && upload.fallback_keys.is_empty() {
        let counts = cx.storage.key_counts(device).await?;
        return Ok(Response { one_time_key_counts: told_counts(counts) });
    }
    match cx.storage.upload_keys(device, upload).await? {
        UploadOutcome::Stored { counts, .. } => Ok(Response { one_time_key_counts: told_counts(counts) }),
        UploadOutcome::DeviceGone => Err(ServiceError::UnknownToken { soft_logout: false }),
        UploadOutcome::OneTimeKeyExists { key_name, existing, uploaded } => {
            Err(one_time::conflict(&key_name, &existing, &uploaded).into())
        }
    }
}

/// Checks the shape of everything before anything is stored. Signatures that
/// may not be shown or do not verify are left out.
///
/// # Errors
/// The refusals of the domain's checks.
pub(crate) async fn check(cx: &Context, device: &DeviceRef, request: Request) -> Result<KeysUpload> {
    let device_keys = match request.device_keys {
        None => None,
        Some(raw) => {
            let mut keys = DeviceKeys::parse(&device.user_id, &device.device_id, &raw)?;
            if keys.has_further_signatures() {
                let stored = cx.storage.cross_signing_keys(&device.user_id).await?;
                keys = keys.with_good_signatures(&read_stored(&device.user_id, &stored)?.public_keys())?;
            }
            Some(keys.raw().clone())
        }
    };
    let one_time_keys = match &request.one_time_keys {
        None => Vec::new(),
        Some(raw) => one_time::parse_one_time_keys(raw)?,
    };
    let fallback_keys = match request.fallback_keys.as_ref().or(request.unstable_fallback_keys.as_ref()) {
        None => Vec::new(),
        Some(raw) => fallback::parse_fallback_keys(raw)?,
    };
    let named = |key: one_time::OneTimeKey| (key.name(), key.value);
    Ok(KeysUpload {
        device_keys,
        one_time_keys: one_time_keys.into_iter().map(named).collect(),
        fallback_keys: fallback_keys.into_iter().map(named).collect(),
        pool_limit: cx.config.one_time_key_limit,
        claimed_memory: cx.config.claimed_key_memory,
    })
}
