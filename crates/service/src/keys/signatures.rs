//! `POST /keys/signatures/upload` (SIG-1…9).

use std::collections::BTreeMap;

use olmstead_domain::{
    json::RawJson,
    keys::{
        KeyUsage, KeysError, Signer,
        signatures::{Target, accept},
    },
};
use olmstead_storage::{
    cross_signing::{NewSignature, SignatureTarget},
    keys::{KeyQuery, UserKeys},
};
use olmstead_telemetry::UPLOADED_SIGNATURE;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Serialize;

use super::read_stored;
use crate::{Context, Refusal, Result, ServiceError};

/// Signed objects in one request.
const MAX_OBJECTS: usize = 1_000;

/// The body: signed object by user and key name.
pub type Request = BTreeMap<OwnedUserId, BTreeMap<String, RawJson>>;

/// The answer: what was not accepted, one by one (SIG-3).
#[derive(Debug, Default, Serialize)]
pub struct Response {
    failures: BTreeMap<OwnedUserId, BTreeMap<String, Failure>>,
}

/// Why one object was not accepted.
#[derive(Debug, Serialize)]
struct Failure {
    errcode: &'static str,
    error: String,
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        Self { errcode: error.kind().errcode(), error: error.to_string() }
    }
}

/// Verifies and stores signatures of the caller; each object stands for itself.
///
/// # Errors
/// [`Refusal::TooLarge`] for too many objects.
pub async fn upload(cx: &Context, user_id: &UserId, request: Request) -> Result<Response> {
    if request.values().map(BTreeMap::len).sum::<usize>() > MAX_OBJECTS {
        return Err(ServiceError::refused(Refusal::TooLarge, format!("At most {MAX_OBJECTS} objects in a request.")));
    }
    let own = own_keys(cx, user_id).await?;
    let own_devices: BTreeMap<OwnedDeviceId, RawJson> =
        own.devices.iter().map(|row| (row.device_id.clone(), row.keys.clone())).collect();
    let own_public = read_stored(user_id, &own.cross_signing)?.public_keys();
    let signer = Signer { user_id, keys: &own_public, devices: &own_devices };

    let mut response = Response::default();
    // What is to be stored, and which entry it is of.
    let (mut signatures, mut entries) = (Vec::new(), Vec::new());
    for (target_user, objects) in request {
        let other =
            if target_user == user_id { None } else { Some(others_keys(cx, user_id, &target_user, &objects).await?) };
        let keys = other.as_ref().unwrap_or(&own);
        let mut cross_signing = read_stored(&target_user, &keys.cross_signing)?;
        if other.is_some() {
            // Nobody may know that it is there (KQ-9).
            cross_signing.user_signing = None;
        }
        let devices: BTreeMap<OwnedDeviceId, RawJson> =
            keys.devices.iter().map(|row| (row.device_id.clone(), row.keys.clone())).collect();
        for (key, uploaded) in objects {
            let target = Target::find(&key, &cross_signing, &devices);
            match accept(&signer, &target_user, target, &keys.asker_signatures, &uploaded) {
                Err(error) => {
                    if matches!(error, KeysError::InvalidSignature(_)) {
                        cx.telemetry.health().signature_refused(UPLOADED_SIGNATURE);
                    }
                    response.failures.entry(target_user.clone()).or_default().insert(key, error.into());
                }
                Ok(new) => {
                    let Some(target) = target else { continue };
                    let place = match target {
                        Target::Device(_) => SignatureTarget::Device(target_user.clone(), key.as_str().into()),
                        Target::Key(KeyUsage::Master, _) => SignatureTarget::MasterKey(target_user.clone()),
                        // Nothing is ever new on these: `accept` says so.
                        Target::Key(..) => continue,
                    };
                    for (key_id, signature) in new {
                        entries.push((target_user.clone(), key.clone()));
                        signatures.push(NewSignature {
                            target: place.clone(),
                            verified_against: target.raw().clone(),
                            signer: user_id.to_owned(),
                            key_id,
                            signature,
                        });
                    }
                }
            }
        }
    }
    if !signatures.is_empty() {
        let stored = cx.storage.add_signatures(signatures).await?;
        for ((target_user, key), stored) in entries.into_iter().zip(stored) {
            if !stored {
                let gone = KeysError::NotFound("the object changed or went while the request ran".to_owned());
                response.failures.entry(target_user).or_default().insert(key, gone.into());
            }
        }
    }
    Ok(response)
}

async fn own_keys(cx: &Context, user_id: &UserId) -> Result<UserKeys> {
    let query = KeyQuery { user_id: user_id.to_owned(), device_ids: Vec::new() };
    Ok(cx.storage.query_keys(&[query], Some(user_id)).await?.into_iter().next().unwrap_or_default())
}

/// Keys of another user, as far as the objects name them.
async fn others_keys(
    cx: &Context,
    asker: &UserId,
    user_id: &OwnedUserId,
    objects: &BTreeMap<String, RawJson>,
) -> Result<UserKeys> {
    if !cx.is_local(user_id) {
        return Ok(UserKeys::default());
    }
    let device_ids = objects.keys().map(|key| key.as_str().into()).collect();
    let query = KeyQuery { user_id: user_id.clone(), device_ids };
    Ok(cx.storage.query_keys(&[query], Some(asker)).await?.into_iter().next().unwrap_or_default())
}
