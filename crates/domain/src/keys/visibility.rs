//! Who may see which signature (client-server API, Key and signature security; SIG-8 to SIG-16, KQ-7 to KQ-9, XS-14).
//!
//! [`serve`] is the only way from a stored key to an answer, for clients, other servers and application services alike.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use ruma::{DeviceId, OwnedDeviceId, UserId};

use super::{CrossSigningPublicKeys, KeysError, ed25519::PREFIX};
use crate::json::{Fields, RawJson, Text};

/// Who asks, and whose keys are shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The user who asks; `None` is another server.
    pub asker: Option<&'a UserId>,
    /// The current public keys of the user who asks; the default for a server.
    pub asker_keys: &'a CrossSigningPublicKeys,
    /// The user whose keys are shown.
    pub owner: &'a UserId,
    /// The current public keys of that user.
    pub owner_keys: &'a CrossSigningPublicKeys,
    /// The current devices of that user.
    pub owner_devices: &'a BTreeSet<OwnedDeviceId>,
}

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// The identity keys of a device.
    Device {
        /// The device.
        device_id: &'a DeviceId,
        /// Its display name, if it has one and the asker may see it (KQ-5).
        display_name: Option<&'a str>,
    },
    /// The master key.
    Master {
        /// Signatures on it by the asker that are stored beside it: full name of the key and signature.
        asker_signatures: &'a [(String, String)],
    },
    /// The self-signing key.
    SelfSigning,
    /// The user-signing key.
    UserSigning,
}

/// The JSON of a stored key as the asker may see it, or `None` if they may not see it at all: a user-signing key of
/// someone else (KQ-9), or a self-signing or user-signing key that the current master key did not sign (XS-14).
///
/// Signatures the asker may see:
///
/// | by | on | who sees it |
/// |---|---|---|
/// | the device | itself | everyone |
/// | the owner's self-signing key | the owner's devices | everyone (SIG-12) |
/// | the owner's devices | the owner's master key | everyone (SIG-11, SIG-14) |
/// | the owner's master key | the owner's self-signing key | everyone (SIG-13) |
/// | the owner's current cross-signing keys | anything of the owner | the owner (SIG-10) |
/// | the asker's current cross-signing keys | the owner's master key | the asker, from the rows beside it (SIG-10) |
///
/// The text of the object is returned as stored if nothing is left out or added.
///
/// # Errors
/// [`KeysError::BadJson`] if the stored object cannot be read.
pub fn serve(view: &View<'_>, shown: Shown<'_>, stored: &RawJson) -> Result<Option<RawJson>, KeysError> {
    let is_owner = view.asker == Some(view.owner);
    if matches!(shown, Shown::UserSigning) && !is_owner {
        return Ok(None);
    }
    let mut fields = Fields::parse(stored.as_raw())?;
    let mut signatures: Signatures<'_> = match fields.get("signatures") {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|error| KeysError::bad(format!("signatures: {error}")))?,
        None => Signatures::new(),
    };

    let mut changed = false;
    signatures.retain(|Text(user), by_user| {
        if user != view.owner.as_str() {
            changed = true;
            return false;
        }
        let before = by_user.len();
        by_user.retain(|Text(name), _| visible(view, is_owner, shown, name));
        changed |= by_user.len() != before;
        // A user with no signatures left is no member; one that came empty stays as uploaded.
        before == 0 || !by_user.is_empty()
    });

    if matches!(shown, Shown::SelfSigning | Shown::UserSigning) {
        let by_master = signatures.values().flat_map(BTreeMap::keys).any(|Text(name)| {
            name.strip_prefix(PREFIX).is_some_and(|key_id| view.owner_keys.master.as_deref() == Some(key_id))
        });
        if !by_master {
            return Ok(None);
        }
    }

    if let (Shown::Master { asker_signatures }, Some(asker), false) = (shown, view.asker, is_owner) {
        for (name, signature) in asker_signatures {
            if name.strip_prefix(PREFIX).is_some_and(|key| view.asker_keys.contains(key)) {
                let by_asker = signatures.entry(Text(Cow::Borrowed(asker.as_str()))).or_default();
                by_asker.insert(Text(Cow::Borrowed(name)), Text(Cow::Borrowed(signature)));
                changed = true;
            }
        }
    }

    // The map borrows from the fields: write it out before they change.
    let served = changed.then(|| RawJson::from_value(&signatures)).transpose()?;
    drop(signatures);
    let display_name = match shown {
        Shown::Device { display_name, .. } => display_name,
        _ => None,
    };
    let unsigned_removed = fields.remove("unsigned");
    if served.is_none() && display_name.is_none() && !unsigned_removed {
        return Ok(Some(stored.clone()));
    }
    if let Some(signatures) = served {
        fields.set("signatures", &signatures)?;
    }
    if let Some(name) = display_name {
        fields.set("unsigned", &BTreeMap::from([("device_display_name", name)]))?;
    }
    Ok(Some(fields.to_raw()?))
}

type Signatures<'a> = BTreeMap<Text<'a>, BTreeMap<Text<'a>, Text<'a>>>;

/// Whether the asker may see a signature by one of the owner's keys.
fn visible(view: &View<'_>, is_owner: bool, shown: Shown<'_>, name: &str) -> bool {
    let Some((algorithm, key_id)) = name.split_once(':') else { return false };
    let is_device_signature = match shown {
        // A device may sign itself with an algorithm we do not know.
        Shown::Device { device_id, .. } => key_id == device_id.as_str(),
        Shown::Master { .. } => view.owner_devices.contains::<DeviceId>(key_id.into()),
        Shown::SelfSigning | Shown::UserSigning => false,
    };
    if is_device_signature {
        return true;
    }
    if algorithm != "ed25519" {
        return false;
    }
    let keys = view.owner_keys;
    if is_owner {
        return keys.contains(key_id);
    }
    let public = match shown {
        Shown::Device { .. } => &keys.self_signing,
        Shown::SelfSigning => &keys.master,
        Shown::Master { .. } | Shown::UserSigning => &None,
    };
    public.as_deref() == Some(key_id)
}
