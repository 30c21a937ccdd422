//! `GET /_olmstead/admin/v1/e2ee/users/{userId}`: all there is to know of a user's encryption but the keys' secrets, which
//! the server never had.

use std::collections::BTreeMap;

use olmstead_domain::{
    backup::BackupVersion,
    json::RawJson,
    keys::{CrossSigningKey, CrossSigningKeys, DeviceKeys, KeyUsage, Signed, signatures},
};
use olmstead_storage::{accounts::Account, inspection::DeviceHealth};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use super::MOST_WAITING;
use crate::{Context, Result, admin::users::find, keys, to_device};

/// The newest changes of device lists among which that of the user is looked for, and signatures of others at most.
const MOST_TRACES: usize = 10_000;
/// The newest backup versions that are looked at.
const MOST_BACKUPS: u64 = 20;

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserReport {
    /// The user.
    pub user_id: OwnedUserId,
    /// When the account was created, milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Words for what is not ordinary: `deactivated`, `locked`, `suspended`, `guest`, `admin`.
    pub standing: Vec<String>,
    /// Cross-signing keys by their role.
    pub cross_signing: BTreeMap<String, KeyReport>,
    /// The position of the last change of the device list; absent if it is not among the newest of the server.
    pub list_changed: Option<u64>,
    /// Devices, a dehydrated one too, in order of their ids.
    pub devices: Vec<DeviceReport>,
    /// Backups, the newest first.
    pub backups: Vec<BackupReport>,
}

/// A cross-signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyReport {
    /// The public key in unpadded base64.
    pub public_key: String,
    /// Who signed it.
    pub signed_by: Vec<SignatureReport>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureReport {
    /// The role of a cross-signing key, a device id, or the id of another user, whose user-signing key made it.
    pub by: String,
    /// Whether it is right.
    pub verifies: bool,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// Its public name.
    pub display_name: Option<String>,
    /// Whether it is a dehydrated device, which has no session.
    pub dehydrated: bool,
    /// When it first logged in, milliseconds.
    pub created_at: u64,
    /// When it last made a request, milliseconds, within five minutes.
    pub last_seen_at: Option<u64>,
    /// Its identity keys by algorithm; empty if it has none.
    pub identity_keys: BTreeMap<String, String>,
    /// Who signed its identity keys.
    pub signed_by: Vec<SignatureReport>,
    /// One-time keys that were not given out, by algorithm.
    pub one_time_keys: BTreeMap<String, u64>,
    /// Fallback keys by algorithm: whether it was given out.
    pub fallback_keys: BTreeMap<String, bool>,
    /// To-device messages that wait.
    pub inbox: InboxReport,
}

/// What waits for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxReport {
    /// How many messages; counted up to 1,000.
    pub waiting: u64,
    /// When the oldest was sent, milliseconds; absent if none waits or it was sent before this was noted.
    pub oldest_at: Option<u64>,
}

/// A version of the key backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// The version.
    pub version: String,
    /// Its algorithm.
    pub algorithm: String,
    /// Keys in it.
    pub count: u64,
    /// Changes when they do.
    pub etag: String,
}

/// Looks at a user.
///
/// # Errors
/// [`crate::Refusal::NotFound`] if there is no such account.
pub async fn inspect(cx: &Context, user_id: &UserId) -> Result<UserReport> {
    let account = find(cx, user_id).await?;
    let stored = cx.storage.cross_signing_keys(user_id).await?;
    let cross_signing = keys::read_stored(user_id, &stored)?;
    let health = cx.storage.device_health(user_id, MOST_WAITING).await?;
    let traces = cx.storage.user_traces(user_id, MOST_TRACES).await?;
    let parsed = parsed(&health);
    let signers = Signers { user_id, cross_signing: &cross_signing, devices: &parsed };
    let report = |(role, key): (KeyUsage, &CrossSigningKey)| {
        let report = KeyReport { public_key: key.public_key().to_owned(), signed_by: signers.on(key.raw()) };
        (role.as_str().to_owned(), report)
    };
    let mut keys: BTreeMap<_, _> = cross_signing.iter().map(report).collect();
    if let (Some(report), Some(master)) = (keys.get_mut(KeyUsage::Master.as_str()), &cross_signing.master) {
        for (signer, key_id, signature) in &traces.signers {
            let verifies = is_by(cx, master, signer, key_id, signature).await?;
            report.signed_by.push(SignatureReport { by: signer.to_string(), verifies });
        }
    }
    Ok(UserReport {
        user_id: user_id.to_owned(),
        created_at: account.created_at,
        standing: standing(&account),
        cross_signing: keys,
        list_changed: traces.list_changed.map(|position| position.0),
        devices: health.iter().map(|health| device(health, &signers)).collect(),
        backups: backups(cx, user_id).await?,
    })
}

/// Words for what is not ordinary of an account.
pub(crate) fn standing(account: &Account) -> Vec<String> {
    let words = [
        ("deactivated", account.deactivated),
        ("locked", account.locked),
        ("suspended", account.suspended),
        ("guest", account.guest),
        ("admin", account.admin),
    ];
    words.into_iter().filter(|(_, is_so)| *is_so).map(|(word, _)| word.to_owned()).collect()
}

/// The identity keys of those devices that have any.
pub(super) fn parsed(devices: &[DeviceHealth]) -> BTreeMap<OwnedDeviceId, DeviceKeys> {
    let keys = devices.iter().filter_map(|health| {
        let id = &health.device.id;
        let keys = DeviceKeys::parse(&id.user_id, &id.device_id, health.identity_keys.as_ref()?).ok()?;
        Some((id.device_id.clone(), keys))
    });
    keys.collect()
}

/// The keys by which a user signs.
pub(super) struct Signers<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) cross_signing: &'a CrossSigningKeys,
    pub(super) devices: &'a BTreeMap<OwnedDeviceId, DeviceKeys>,
}

impl Signers<'_> {
    /// The name for people and the public key of a key that signs under this name.
    fn find(&self, signer: &str) -> Option<(String, &str)> {
        if let Some((role, key)) = self.cross_signing.iter().find(|(_, key)| key.public_key() == signer) {
            return Some((role.as_str().to_owned(), key.public_key()));
        }
        let device = self.devices.get(<&DeviceId>::from(signer))?;
        Some((signer.to_owned(), device.public_key("ed25519")?))
    }

    /// The signatures that they made on an object, and others in their name.
    pub(super) fn on(&self, object: &RawJson) -> Vec<SignatureReport> {
        let Ok(signed) = Signed::of(object) else { return Vec::new() };
        let report = |signer: String| match self.find(&signer) {
            Some((by, public_key)) => {
                SignatureReport { by, verifies: signed.verifies(self.user_id, &signer, public_key) }
            }
            None => SignatureReport { by: signer, verifies: false },
        };
        signed.signers(self.user_id).into_iter().map(report).collect()
    }
}

/// Whether another user's user-signing key made a signature on a master key.
async fn is_by(cx: &Context, master: &CrossSigningKey, signer: &UserId, key_id: &str, signature: &str) -> Result<bool> {
    let theirs = keys::of_user(cx, signer).await?.public_keys().user_signing;
    let Some(public_key) = theirs.filter(|key| key_id.strip_prefix("ed25519:") == Some(key)) else { return Ok(false) };
    let new = BTreeMap::from([(key_id.to_owned(), signature.to_owned())]);
    let signed = Signed::of(&signatures::add_signatures(master.raw(), signer, &new)?)?;
    Ok(signed.verifies(signer, &public_key, &public_key))
}

fn device(health: &DeviceHealth, signers: &Signers<'_>) -> DeviceReport {
    let keys = signers.devices.get(&health.device.id.device_id);
    let public_keys = keys.map(DeviceKeys::public_keys).unwrap_or_default();
    let by_algorithm = |(name, key): (&str, &str)| (name.split(':').next().unwrap_or(name).to_owned(), key.to_owned());
    DeviceReport {
        device_id: health.device.id.device_id.clone(),
        display_name: health.device.display_name.clone(),
        dehydrated: health.dehydrated,
        created_at: health.device.created_at,
        last_seen_at: health.device.last_seen_at,
        identity_keys: public_keys.into_iter().map(by_algorithm).collect(),
        signed_by: keys.map(|keys| signers.on(keys.raw())).unwrap_or_default(),
        one_time_keys: health.counts.one_time_keys.clone(),
        fallback_keys: health.fallback_keys.clone(),
        inbox: InboxReport {
            waiting: health.waiting,
            oldest_at: health.oldest.as_ref().and_then(|(_, event)| to_device::sent_at(event)),
        },
    }
}

async fn backups(cx: &Context, user_id: &UserId) -> Result<Vec<BackupReport>> {
    let Some(newest) = cx.storage.backup(user_id, None).await? else { return Ok(Vec::new()) };
    let BackupVersion(last) = newest.version;
    let mut found = vec![newest];
    for version in (1..last).rev().take(usize::try_from(MOST_BACKUPS - 1).unwrap_or_default()) {
        found.extend(cx.storage.backup(user_id, Some(BackupVersion(version))).await?);
    }
    let report = |info: olmstead_storage::backups::BackupInfo| BackupReport {
        version: info.version.to_string(),
        algorithm: info.algorithm,
        count: info.count,
        etag: info.etag.to_string(),
    };
    Ok(found.into_iter().map(report).collect())
}
