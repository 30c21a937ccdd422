//! `GET /_olmstead/admin/v1/e2ee/doctor`: looks for what makes messages undecryptable, some users at a time, and says what
//! users see of it and what can be done.

use std::{collections::BTreeMap, time::Duration};

use olmstead_domain::keys::{DeviceKeys, KeyUsage};
use olmstead_storage::inspection::DeviceHealth;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use super::{
    MOST_WAITING, UNFETCHED,
    inspect::{Signers, parsed},
};
use crate::{
    Context, Result,
    admin::users::find,
    keys::{SIGNED_CURVE25519, read_stored},
    to_device,
};

/// Users of a page by default, and at most.
const PAGE: usize = 50;
const MOST: usize = 500;
/// A client that works uploads its keys well within this.
const SETTLED: Duration = Duration::from_secs(60 * 60);
/// A client that made a request within this is in use.
const IN_USE: Duration = Duration::from_secs(24 * 60 * 60);

/// The query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Users after this one, in order of ids.
    pub from: Option<OwnedUserId>,
    /// How many users at most.
    pub limit: Option<usize>,
    /// This user only.
    pub user: Option<OwnedUserId>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A device that is logged in has no identity keys.
    NoDeviceKeys,
    /// No one-time keys are left, and the fallback key was given out or there is none.
    EmptyPool,
    /// A cross-signing key is not signed by the master key, or cannot be without one.
    CrossSigningDoesNotVerify,
    /// A device did not sign its own keys.
    DeviceKeysDoNotVerify,
    /// Very many messages wait.
    FullInbox,
    /// Messages wait for long: the client does not sync.
    NeverFetches,
    /// Another device has the same identity key.
    SharedIdentityKey,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// Whose.
    pub user_id: OwnedUserId,
    /// Of which device, if it is of one.
    pub device_id: Option<OwnedDeviceId>,
    /// What was found.
    pub found: String,
    /// What users see of it.
    pub users_see: String,
    /// What to do.
    pub remedy: String,
}

/// An identity key and a device that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The curve25519 key.
    pub key: String,
    /// The owner.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
}

/// The answer: a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// What is wrong, in order of users and devices.
    pub findings: Vec<Finding>,
    /// How many users were looked at.
    pub users: u64,
    /// How many devices.
    pub devices: u64,
    /// Identity keys of the devices of the page: the same key may be on two pages.
    pub identities: Vec<Identity>,
    /// For `from`, if there may be more users.
    pub next: Option<OwnedUserId>,
}

/// Looks at a page of users.
///
/// # Errors
/// Those of the store; [`crate::Refusal::NotFound`] if one user is asked for who is not there.
pub async fn examine(cx: &Context, request: &Request) -> Result<Response> {
    let limit = request.limit.unwrap_or(PAGE).clamp(1, MOST);
    let accounts = match &request.user {
        Some(user_id) => vec![find(cx, user_id).await?],
        None => cx.storage.accounts_after(request.from.as_deref(), limit).await?,
    };
    let mut page = Response::default();
    if request.user.is_none() && accounts.len() == limit {
        page.next = accounts.last().map(|account| account.user_id.clone());
    }
    for account in accounts.iter().filter(|account| !account.deactivated) {
        page.users += 1;
        examine_user(cx, &account.user_id, &mut page).await?;
    }
    page.findings.extend(shared(&page.identities));
    Ok(page)
}

/// Devices that have an identity key that another of these devices has.
#[must_use]
pub fn shared(identities: &[Identity]) -> Vec<Finding> {
    let mut by_key: BTreeMap<&str, Vec<&Identity>> = BTreeMap::new();
    for identity in identities {
        by_key.entry(&identity.key).or_default().push(identity);
    }
    let mut findings = Vec::new();
    for group in by_key.values().filter(|group| group.len() > 1) {
        for one in group {
            let others = group.iter().filter(|other| other != &one);
            let others: Vec<_> = others.map(|other| format!("{} {}", other.user_id, other.device_id)).collect();
            findings.push(Finding {
                kind: Kind::SharedIdentityKey,
                user_id: one.user_id.clone(),
                device_id: Some(one.device_id.clone()),
                found: format!("the curve25519 key {} is also that of {}", one.key, others.join(", ")),
                users_see:
                    "Messages to one of these devices are undecryptable now and then, and senders may refuse both: \
                            one Olm account runs twice, as after a copied or restored client."
                        .to_owned(),
                remedy: "Let the user log out all but one of these devices (or delete them here), and log in anew."
                    .to_owned(),
            });
        }
    }
    findings
}

async fn examine_user(cx: &Context, user_id: &UserId, page: &mut Response) -> Result<()> {
    let devices = cx.storage.device_health(user_id, MOST_WAITING).await?;
    let parsed = parsed(&devices);
    let stored = cx.storage.cross_signing_keys(user_id).await?;
    let cross_signing = read_stored(user_id, &stored)?;
    let signers = Signers { user_id, cross_signing: &cross_signing, devices: &parsed };
    for (role, key) in cross_signing.iter().filter(|(role, _)| *role != KeyUsage::Master) {
        let by_master = |signature: &super::inspect::SignatureReport| {
            signature.verifies && signature.by == KeyUsage::Master.as_str()
        };
        if !signers.on(key.raw()).iter().any(by_master) {
            page.findings.push(Finding {
                kind: Kind::CrossSigningDoesNotVerify,
                user_id: user_id.to_owned(),
                device_id: None,
                found: format!("the {} key has no good signature of the master key", role.as_str()),
                users_see:
                    "All devices of the user are shown as not verified, and clients that send to verified devices \
                            only do not send to them."
                        .to_owned(),
                remedy:
                    "The user resets cross-signing in a client (Element: Settings, Encryption, Reset cryptographic \
                         identity). The server cannot make that signature."
                        .to_owned(),
            });
        }
    }
    for health in &devices {
        page.devices += 1;
        let keys = parsed.get(&health.device.id.device_id);
        if let Some(key) = keys.and_then(|keys| keys.public_key("curve25519")) {
            let id = &health.device.id;
            let (key, user_id, device_id) = (key.to_owned(), id.user_id.clone(), id.device_id.clone());
            page.identities.push(Identity { key, user_id, device_id });
        }
        page.findings.extend(examine_device(cx.now(), health, keys));
    }
    Ok(())
}

fn examine_device(now: u64, health: &DeviceHealth, keys: Option<&DeviceKeys>) -> Vec<Finding> {
    let id = &health.device.id;
    let is_within = |at: u64, span: Duration| now.saturating_sub(at) < millis(span);
    let in_use = health.device.last_seen_at.is_some_and(|at| is_within(at, IN_USE));
    let delete = format!("olmstead device delete {} {}", id.user_id, id.device_id);
    let mut findings = Vec::new();
    let mut add = |kind, found: String, users_see: &str, remedy: String| {
        findings.push(Finding {
            kind,
            user_id: id.user_id.clone(),
            device_id: Some(id.device_id.clone()),
            found,
            users_see: users_see.to_owned(),
            remedy,
        });
    };
    match keys {
        None if health.identity_keys.is_some() => add(
            Kind::DeviceKeysDoNotVerify,
            "the identity keys that are stored cannot be read".to_owned(),
            "Nobody encrypts to this device: what is sent to the user is undecryptable there.",
            format!("Delete the device (`{delete}`) and let the user log in anew."),
        ),
        None if !is_within(health.device.created_at, SETTLED) => add(
            Kind::NoDeviceKeys,
            "no identity keys were ever uploaded".to_owned(),
            "Nobody encrypts to this device: encrypted rooms show only undecryptable messages there. Right for bots and \
             programs that take no part in encryption.",
            "If a person uses it, log out and in again with a client that does encryption.".to_owned(),
        ),
        None => {}
        Some(keys) => {
            if !keys.is_self_signed() {
                add(
                    Kind::DeviceKeysDoNotVerify,
                    "the device's signature on its own keys is missing or wrong".to_owned(),
                    "Other clients refuse the device: nobody encrypts to it, and what it sends is distrusted.",
                    format!(
                        "Delete the device (`{delete}`) and let the user log in anew; if it comes again, the client is \
                         broken."
                    ),
                );
            }
            pool(health, &mut add);
        }
    }
    inbox(now, health, in_use, &mut add);
    findings
}

fn pool(health: &DeviceHealth, add: &mut impl FnMut(Kind, String, &str, String)) {
    let left = health.counts.one_time_keys.get(SIGNED_CURVE25519).copied().unwrap_or_default();
    let fallback = health.fallback_keys.get(SIGNED_CURVE25519);
    // A dehydrated device is made with what it has, and cannot upload more.
    if left > 0 || fallback == Some(&false) || health.dehydrated {
        return;
    }
    let (found, users_see) = if fallback.is_some() {
        (
            "no one-time keys are left, and the fallback key was given out",
            "All who begin to talk to this device share one key, so a lost message key is less well protected; with a \
             client that lost its state, first messages are undecryptable.",
        )
    } else {
        (
            "no one-time keys are left, and there is no fallback key",
            "Who has not talked to this device before cannot encrypt to it: it shows their messages as undecryptable.",
        )
    };
    add(
        Kind::EmptyPool,
        found.to_owned(),
        users_see,
        "The client uploads keys when it next syncs. If it does sync and uploads none, it believes that its keys are \
         still there: `olmstead e2ee repair drop-one-time-keys` tells it anew; else let the user restart it."
            .to_owned(),
    );
}

fn inbox(now: u64, health: &DeviceHealth, in_use: bool, add: &mut impl FnMut(Kind, String, &str, String)) {
    let Some((_, oldest)) = &health.oldest else { return };
    let age = to_device::sent_at(oldest).map(|at| now.saturating_sub(at));
    let waited = age.is_some_and(|age| age >= millis(UNFETCHED));
    let full = health.waiting >= MOST_WAITING as u64;
    if full {
        add(
            Kind::FullInbox,
            format!("{MOST_WAITING} or more messages wait"),
            "After the next login or sync the client is busy for long, and shows messages as undecryptable until it is \
             through.",
            "If the device is not used any more, delete it. If nobody will miss what is old: `olmstead e2ee repair \
             drop-inbox --older-than …`."
                .to_owned(),
        );
    }
    if waited {
        let days = age.unwrap_or_default() / millis(Duration::from_secs(24 * 60 * 60));
        add(
            Kind::NeverFetches,
            format!(
                "the oldest message waits for {days} days{}",
                if in_use { ", though the device made requests within the last day" } else { "" }
            ),
            if in_use {
                "The client is in use and shows messages as undecryptable: it does not fetch the keys that were sent to it."
            } else {
                "Nothing, as long as the device is not used."
            },
            if in_use {
                "Let the user restart or update the client; a bot must sync.".to_owned()
            } else {
                let id = &health.device.id;
                format!(
                    "If it will never be used again, delete it (`olmstead device delete {} {}`).",
                    id.user_id, id.device_id
                )
            },
        );
    }
}

const fn millis(span: Duration) -> u64 {
    span.as_secs() * 1_000
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn identity(key: &str, user: &str, device: &str) -> Identity {
        Identity { key: key.to_owned(), user_id: UserId::parse(user).unwrap(), device_id: device.into() }
    }

    #[test]
    fn a_key_of_two_devices_is_found_for_both() {
        let all = [identity("a", "@a:x", "A"), identity("b", "@a:x", "B"), identity("a", "@b:x", "C")];
        let findings = shared(&all);
        let found: Vec<_> = findings.iter().filter_map(|finding| finding.device_id.as_deref()).collect();
        assert_eq!(found, ["A", "C"]);
        assert!(findings.iter().all(|finding| finding.kind == Kind::SharedIdentityKey));
        assert!(shared(&all[..2]).is_empty());
    }
}
