//! Cross-signing keys and signatures.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use olmstead_domain::{json::RawJson, keys::signatures};
use olmstead_storage::{
    CrossSigning, Result, StorageError,
    cross_signing::{CrossSigningKeys, NewSignature, PutCrossSigningOutcome, SignatureTarget},
};
use ruma::{OwnedUserId, UserId};

use crate::{
    RocksStore,
    accounts::is_active,
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span},
    rows,
};

/// Signatures that `signer` made on the master key of `signed`, kept beside it: key id and signature.
pub(crate) fn foreign_signatures(
    reads: &impl Reads,
    signed: &UserId,
    signer: &UserId,
) -> Result<Vec<(String, String)>> {
    let prefix = Key::new(Table::ForeignSignature).text(signed).text(signer);
    let mut signatures = Vec::new();
    for row in reads.scan(Span::prefix(&prefix))? {
        let (key, value) = row?;
        signatures.push((prefix.parts_after(&key)?.text()?, String::from_utf8_lossy(&value).into_owned()));
    }
    Ok(signatures)
}

/// The object a signature is for, as it is stored.
fn target_object(reads: &impl Reads, target: &SignatureTarget) -> Result<Option<RawJson>> {
    match target {
        SignatureTarget::Device(user_id, device_id) => reads.get_raw(&rows::identity_key(user_id, device_id)),
        SignatureTarget::MasterKey(user_id) => Ok(rows::cross_signing(reads, user_id)?.master),
    }
}

const fn owner(target: &SignatureTarget) -> &OwnedUserId {
    match target {
        SignatureTarget::Device(user_id, _) | SignatureTarget::MasterKey(user_id) => user_id,
    }
}

/// Merges a signature by the owner into the object.
fn add_own(command: &mut Command<'_>, new: &NewSignature) -> Result<()> {
    let Some(object) = target_object(command, &new.target)? else { return Ok(()) };
    let signature = BTreeMap::from([(new.key_id.clone(), new.signature.clone())]);
    let merged = signatures::add_signatures(&object, &new.signer, &signature)
        .map_err(|error| StorageError::corrupt("a stored key object", error))?;
    if signatures::same_signatures(&object, &merged) {
        return Ok(());
    }
    match &new.target {
        SignatureTarget::Device(user_id, device_id) => {
            command.put_raw(&rows::identity_key(user_id, device_id), &merged)?;
        }
        SignatureTarget::MasterKey(user_id) => {
            let mut keys = rows::cross_signing(command, user_id)?;
            keys.master = Some(merged);
            keys.revision += 1;
            command.put_json(&rows::cross_signing_key(user_id), &keys)?;
        }
    }
    rows::device_list_changed(command, owner(&new.target))
}

/// Keeps a signature by another user beside the master key.
fn add_foreign(command: &mut Command<'_>, signed: &UserId, new: &NewSignature) -> Result<()> {
    let key = Key::new(Table::ForeignSignature).text(signed).text(&new.signer).text(&new.key_id);
    if command.get(&key)?.as_deref() == Some(new.signature.as_bytes()) {
        return Ok(());
    }
    command.put(&key, new.signature.as_bytes())?;
    rows::own_device_list_changed(command, &new.signer, signed)
}

#[async_trait]
impl CrossSigning for RocksStore {
    async fn cross_signing_keys(&self, user_id: &UserId) -> Result<CrossSigningKeys> {
        let user_id = user_id.to_owned();
        self.read(move |view| rows::cross_signing(view, &user_id)).await
    }

    async fn put_cross_signing_keys(
        &self,
        user_id: &UserId,
        expected_revision: u64,
        keys: CrossSigningKeys,
        public_keys: Vec<String>,
    ) -> Result<PutCrossSigningOutcome> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().user(&user_id), move |command| {
            if !is_active(command, &user_id)? {
                return Ok(PutCrossSigningOutcome::NoAccount);
            }
            let old = rows::cross_signing(command, &user_id)?;
            if old.revision != expected_revision {
                return Ok(PutCrossSigningOutcome::Stale);
            }
            for public_key in &public_keys {
                if rows::device(command, &user_id, public_key.as_str().into())?.is_some() {
                    return Ok(PutCrossSigningOutcome::KeyIsDeviceId);
                }
            }
            let visible = old.master != keys.master || old.self_signing != keys.self_signing;
            let new_user_signing = old.user_signing != keys.user_signing;
            if !visible && !new_user_signing {
                return Ok(PutCrossSigningOutcome::Stored);
            }
            if !signatures::same_public_key(old.master.as_ref(), keys.master.as_ref()) {
                command.delete_prefix(&Key::new(Table::ForeignSignature).text(&user_id))?;
            }
            // Those of replaced keys stay: a device that came to be called like one would be taken for it.
            let ids = Key::new(Table::CrossSigningId).text(&user_id);
            for public_key in &public_keys {
                command.put(&ids.clone().text(public_key), [])?;
            }
            let new = CrossSigningKeys { revision: old.revision + 1, ..keys.clone() };
            command.put_json(&rows::cross_signing_key(&user_id), &new)?;
            if visible {
                rows::device_list_changed(command, &user_id)?;
            } else {
                rows::own_device_list_changed(command, &user_id, &user_id)?;
            }
            Ok(PutCrossSigningOutcome::Stored)
        })
        .await
    }

    async fn add_signatures(&self, signatures: Vec<NewSignature>) -> Result<Vec<bool>> {
        let locks = signatures.iter().fold(Locks::new(), |locks, new| locks.user(owner(&new.target)));
        self.command(locks, move |command| {
            // Several signatures on one object were all verified against what was stored before the first.
            let mut before: HashMap<String, Option<RawJson>> = HashMap::new();
            let mut answers = Vec::with_capacity(signatures.len());
            for new in &signatures {
                let name = format!("{:?}", new.target);
                let object = match before.get(&name) {
                    Some(object) => object.clone(),
                    None => before.entry(name).or_insert(target_object(command, &new.target)?).clone(),
                };
                let current = object.as_ref() == Some(&new.verified_against);
                let accepted = match &new.target {
                    _ if !current => false,
                    target if *owner(target) == new.signer => {
                        add_own(command, new)?;
                        true
                    }
                    SignatureTarget::MasterKey(signed) => {
                        add_foreign(command, signed, new)?;
                        true
                    }
                    // Nobody but the owner signs a device (SIG-4).
                    SignatureTarget::Device(..) => false,
                };
                answers.push(accepted);
            }
            Ok(answers)
        })
        .await
    }
}
