//! `POST /keys/device_signing/upload` (XS).

use std::collections::BTreeMap;

use olmstead_domain::{
    json::RawJson,
    keys::{
        CrossSigningUpload,
        cross_signing::{UploadAuth, UploadPlan, upload_plan},
    },
};
use olmstead_storage::{
    cross_signing::{CrossSigningKeys, PutCrossSigningOutcome},
    devices::Session,
    keys::KeyQuery,
};
use ruma::{OwnedDeviceId, UserId};
use serde::Deserialize;

use super::read_stored;
use crate::{Context, Refusal, Result, ServiceError, tries::Tries, uia};

/// The body, besides `auth`.
#[derive(Debug, Deserialize)]
struct Body {
    master_key: Option<RawJson>,
    self_signing_key: Option<RawJson>,
    user_signing_key: Option<RawJson>,
}

/// Stores cross-signing keys, all or none (XS-12). `body` is the whole body with `auth`.
///
/// The keys are checked before authentication is asked for and again when they are stored, so a refused key asks nobody
/// for a password, and a finished authentication stores only what it was made for (XS-13).
///
/// # Errors
/// [`ServiceError::Uia`] where authentication is needed (XS-8); the refusals of the domain's rules;
/// [`ServiceError::UnknownToken`] when the account ended meanwhile.
pub async fn upload(cx: &Context, session: &Session, body: &RawJson) -> Result<()> {
    let user_id = &session.device.user_id;
    let parsed: Body = body.read().map_err(|error| ServiceError::domain(error.kind(), error))?;
    let upload = CrossSigningUpload {
        master: parsed.master_key,
        self_signing: parsed.self_signing_key,
        user_signing: parsed.user_signing_key,
    };
    let mut authorised = false;
    let mut tries = Tries::new(cx);
    loop {
        let (revision, plan) = plan(cx, user_id, &upload).await?;
        match plan.auth {
            UploadAuth::Unchanged => return Ok(()),
            UploadAuth::NotNeeded => {}
            UploadAuth::Needed if authorised => {}
            UploadAuth::Needed => {
                uia::authorise(cx, session, "POST /keys/device_signing/upload", body, uia::PASSWORD).await?;
                authorised = true;
            }
        }
        let public = plan.keys.public_keys();
        let public_keys = [public.master, public.self_signing, public.user_signing].into_iter().flatten().collect();
        let raw = |usage| plan.keys.get(usage).map(|key| key.raw().clone());
        let keys = CrossSigningKeys {
            revision: 0,
            master: raw(olmstead_domain::keys::KeyUsage::Master),
            self_signing: raw(olmstead_domain::keys::KeyUsage::SelfSigning),
            user_signing: raw(olmstead_domain::keys::KeyUsage::UserSigning),
        };
        match cx.storage.put_cross_signing_keys(user_id, revision, keys, public_keys).await? {
            PutCrossSigningOutcome::Stored => return Ok(()),
            PutCrossSigningOutcome::Stale => tries.again().await?,
            PutCrossSigningOutcome::KeyIsDeviceId => {
                return Err(ServiceError::refused(
                    Refusal::Forbidden,
                    "A public key is the id of one of your devices.",
                ));
            }
            PutCrossSigningOutcome::NoAccount => return Err(ServiceError::UnknownToken { soft_logout: false }),
        }
    }
}

/// What the upload comes to on the keys as they are now.
async fn plan(cx: &Context, user_id: &UserId, upload: &CrossSigningUpload) -> Result<(u64, UploadPlan)> {
    let stored = cx.storage.cross_signing_keys(user_id).await?;
    let keyed =
        cx.storage.query_keys(&[KeyQuery { user_id: user_id.to_owned(), device_ids: Vec::new() }], None).await?;
    let mut devices: BTreeMap<OwnedDeviceId, Option<RawJson>> =
        cx.storage.devices(user_id).await?.into_iter().map(|device| (device.id.device_id, None)).collect();
    for row in keyed.into_iter().flat_map(|keys| keys.devices) {
        devices.insert(row.device_id, Some(row.keys));
    }
    let plan = upload_plan(user_id, &read_stored(user_id, &stored)?, upload, &devices)?;
    Ok((stored.revision, plan))
}
