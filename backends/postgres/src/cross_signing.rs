//! Cross-signing keys and signatures.
//!
//! A user's own signatures are merged into the objects under the lock of the user. Signatures by others stand beside a
//! master key; whoever adds one holds the row of that key, because a new master key takes them away.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use olmstead_domain::{json::RawJson, keys::signatures};
use olmstead_storage::{
    CrossSigning, Result, StorageError,
    cross_signing::{CrossSigningKeys, NewSignature, PutCrossSigningOutcome, SignatureTarget},
};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    accounts::is_active,
    command::Command,
    error::Done,
    locks::Locks,
    rows::Columns as _,
    store::{command, read},
    text::{stored, stored_all},
};

/// The keys in a row that has the columns of `cross_signing`.
pub(crate) fn keys(row: &PgRow) -> Done<CrossSigningKeys> {
    Ok(CrossSigningKeys {
        revision: row.count("revision")?,
        master: row.maybe_json("master")?,
        self_signing: row.maybe_json("self_signing")?,
        user_signing: row.maybe_json("user_signing")?,
    })
}

async fn stored_keys(sql: &mut PgConnection, user_id: &UserId) -> Done<CrossSigningKeys> {
    let row = sqlx::query("SELECT revision, master, self_signing, user_signing FROM cross_signing WHERE user_id = $1")
        .bind(user_id.as_str())
        .fetch_optional(sql)
        .await?;
    row.as_ref().map_or_else(|| Ok(CrossSigningKeys::default()), keys)
}

async fn put(
    command: &mut Command,
    user_id: &UserId,
    expected_revision: u64,
    new: &CrossSigningKeys,
    public_keys: &[String],
) -> Done<PutCrossSigningOutcome> {
    if !is_active(command.sql(), user_id).await? {
        return Ok(PutCrossSigningOutcome::NoAccount);
    }
    // The row is held against signatures by others.
    let row = sqlx::query(
        "SELECT revision, master, self_signing, user_signing FROM cross_signing WHERE user_id = $1 FOR UPDATE",
    )
    .bind(user_id.as_str())
    .fetch_optional(command.sql())
    .await?;
    let old = row.as_ref().map_or_else(|| Ok(CrossSigningKeys::default()), keys)?;
    if old.revision != expected_revision {
        return Ok(PutCrossSigningOutcome::Stale);
    }
    let public_keys = stored_all(public_keys);
    let is_device_id: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM device WHERE user_id = $1 AND device_id = ANY($2))")
            .bind(user_id.as_str())
            .bind(&public_keys)
            .fetch_one(command.sql())
            .await?;
    if is_device_id {
        return Ok(PutCrossSigningOutcome::KeyIsDeviceId);
    }
    let visible = old.master != new.master || old.self_signing != new.self_signing;
    if !visible && old.user_signing == new.user_signing {
        return Ok(PutCrossSigningOutcome::Stored);
    }
    let json = |key: &Option<RawJson>| key.as_ref().map(|key| key.get().to_owned());
    sqlx::query(
        // Ids of replaced keys stay: a device that came to be called like one would be taken for it.
        "WITH ids AS (
             INSERT INTO cross_signing_id (user_id, public_key) SELECT $1, * FROM unnest($2::text[])
             ON CONFLICT DO NOTHING
         ), lost AS (
             DELETE FROM foreign_signature WHERE signed = $1 AND $3
         )
         INSERT INTO cross_signing AS c (user_id, revision, master, self_signing, user_signing)
         VALUES ($1, 1, $4, $5, $6)
         ON CONFLICT (user_id) DO UPDATE SET revision = c.revision + 1, master = EXCLUDED.master,
             self_signing = EXCLUDED.self_signing, user_signing = EXCLUDED.user_signing",
    )
    .bind(user_id.as_str())
    .bind(&public_keys)
    .bind(!signatures::same_public_key(old.master.as_ref(), new.master.as_ref()))
    .bind(json(&new.master))
    .bind(json(&new.self_signing))
    .bind(json(&new.user_signing))
    .execute(command.sql())
    .await?;
    if visible {
        command.device_list_changed(user_id).await?;
    } else {
        command.own_device_list_changed(user_id, user_id).await?;
    }
    Ok(PutCrossSigningOutcome::Stored)
}

/// What is signed: a user's device, or without one the user's master key.
type Target = (OwnedUserId, Option<OwnedDeviceId>);

/// An object that is signed.
struct Object {
    /// What all signatures were verified against, also when there are several in one command.
    before: RawJson,
    now: RawJson,
}

fn target(new: &NewSignature) -> Target {
    match &new.target {
        SignatureTarget::Device(user_id, device_id) => (user_id.clone(), Some(device_id.clone())),
        SignatureTarget::MasterKey(user_id) => (user_id.clone(), None),
    }
}

/// Whose lock a signature needs: that of the owner, if the owner signs.
fn own_signer(new: &NewSignature) -> Option<&OwnedUserId> {
    (target(new).0 == new.signer).then_some(&new.signer)
}

/// Reads the targets. Master keys are held, in the order that everybody takes them.
async fn objects(sql: &mut PgConnection, new: &[NewSignature]) -> Done<BTreeMap<Target, Object>> {
    let targets: BTreeSet<Target> = new.iter().map(target).collect();
    let devices = || targets.iter().filter_map(|(user_id, device_id)| Some((user_id, device_id.as_ref()?)));
    let masters = targets.iter().filter(|(_, device_id)| device_id.is_none());
    let rows = sqlx::query(
        "WITH masters AS (
             SELECT user_id, c.master FROM unnest($3::text[]) AS t (user_id) JOIN cross_signing c USING (user_id)
             WHERE c.master IS NOT NULL ORDER BY user_id FOR UPDATE OF c
         )
         SELECT user_id, NULL AS device_id, master AS object FROM masters
         UNION ALL
         SELECT user_id, device_id, d.identity_keys
         FROM unnest($1::text[], $2::text[]) AS t (user_id, device_id) JOIN device d USING (user_id, device_id)
         WHERE d.identity_keys IS NOT NULL",
    )
    .bind(devices().map(|(user_id, _)| user_id.as_str()).collect::<Vec<_>>())
    .bind(stored_all(devices().map(|(_, device_id)| device_id)))
    .bind(masters.map(|(user_id, _)| user_id.as_str()).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    rows.iter()
        .map(|row| {
            let object = row.json("object")?;
            Ok(((row.id("user_id")?, row.maybe_id("device_id")?), Object { before: object.clone(), now: object }))
        })
        .collect()
}

async fn add(command: &mut Command, new: &[NewSignature]) -> Done<Vec<bool>> {
    let mut objects = objects(command.sql(), new).await?;
    // By others: signed, signer and key id, and of two such signatures the last.
    let mut foreign = BTreeMap::new();
    let mut answers = Vec::with_capacity(new.len());
    for signature in new {
        let target = target(signature);
        let object = objects.get_mut(&target).filter(|object| object.before == signature.verified_against);
        let Some(object) = object else {
            answers.push(false);
            continue;
        };
        let accepted = match target {
            (owner, _) if owner == signature.signer => {
                let own = BTreeMap::from([(signature.key_id.clone(), signature.signature.clone())]);
                let merged = signatures::add_signatures(&object.now, &signature.signer, &own)
                    .map_err(|error| StorageError::corrupt("a stored key object", error))?;
                if !signatures::same_signatures(&object.now, &merged) {
                    object.now = merged;
                }
                true
            }
            (signed, None) => {
                foreign.insert((signed, &signature.signer, &signature.key_id), &signature.signature);
                true
            }
            // Nobody but the owner signs a device (SIG-4).
            _ => false,
        };
        answers.push(accepted);
    }
    objects.retain(|_, object| object.before != object.now);
    save_objects(command, &objects).await?;
    save_foreign(command, &foreign).await?;
    Ok(answers)
}

/// Writes objects that changed.
async fn save_objects(command: &mut Command, changed: &BTreeMap<Target, Object>) -> Done<()> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH object AS (
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS o (user_id, device_id, object)
         ), masters AS (
             UPDATE cross_signing c SET master = o.object, revision = c.revision + 1
             FROM object o WHERE c.user_id = o.user_id AND o.device_id IS NULL
         )
         UPDATE device d SET identity_keys = o.object
         FROM object o WHERE d.user_id = o.user_id AND d.device_id = o.device_id",
    )
    .bind(changed.keys().map(|(user_id, _)| user_id.as_str()).collect::<Vec<_>>())
    .bind(changed.keys().map(|(_, id)| id.as_ref().map(|id| stored(id.as_str()))).collect::<Vec<_>>())
    .bind(changed.values().map(|object| object.now.get()).collect::<Vec<_>>())
    .execute(command.sql())
    .await?;
    // Their owners made the signatures, so there is one.
    for owner in changed.keys().map(|(user_id, _)| user_id).collect::<BTreeSet<_>>() {
        command.device_list_changed(owner).await?;
    }
    Ok(())
}

/// Keeps signatures by other users beside the master keys. A change for the signer alone (DL-12).
async fn save_foreign(
    command: &mut Command,
    foreign: &BTreeMap<(OwnedUserId, &OwnedUserId, &String), &String>,
) -> Done<()> {
    if foreign.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "WITH added AS (
             INSERT INTO foreign_signature AS f (signed, signer, key_id, signature)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
             ON CONFLICT (signed, signer, key_id) DO UPDATE SET signature = EXCLUDED.signature
                 WHERE f.signature <> EXCLUDED.signature
             RETURNING signed, signer
         ), place AS (
             SELECT (SELECT base FROM running) + pg_current_xact_id()::text::bigint AS position
             WHERE EXISTS (SELECT FROM added)
         )
         INSERT INTO own_device_list_log (user_id, position, named)
         SELECT DISTINCT signer, place.position, signed FROM added, place
         ON CONFLICT DO NOTHING RETURNING user_id, position",
    )
    .bind(foreign.keys().map(|(signed, ..)| signed.as_str()).collect::<Vec<_>>())
    .bind(foreign.keys().map(|(_, signer, _)| signer.as_str()).collect::<Vec<_>>())
    .bind(stored_all(foreign.keys().map(|(.., key_id)| key_id)))
    .bind(stored_all(foreign.values()))
    .fetch_all(command.sql())
    .await?;
    for row in &rows {
        command.took(row.place("position")?);
        command.change_of_user(row.id("user_id")?);
    }
    Ok(())
}

#[async_trait]
impl CrossSigning for PostgresStore {
    async fn cross_signing_keys(&self, user_id: &UserId) -> Result<CrossSigningKeys> {
        read!(self, |connection| stored_keys(connection, user_id).await)
    }

    async fn put_cross_signing_keys(
        &self,
        user_id: &UserId,
        expected_revision: u64,
        keys: CrossSigningKeys,
        public_keys: Vec<String>,
    ) -> Result<PutCrossSigningOutcome> {
        command!(self, Locks::new().user(user_id), |command| {
            put(&mut command, user_id, expected_revision, &keys, &public_keys).await
        })
    }

    async fn add_signatures(&self, signatures: Vec<NewSignature>) -> Result<Vec<bool>> {
        let own = signatures.iter().filter_map(own_signer);
        command!(self, own.clone().fold(Locks::new(), |locks, owner| locks.user(owner)), |command| {
            add(&mut command, &signatures).await
        })
    }
}
