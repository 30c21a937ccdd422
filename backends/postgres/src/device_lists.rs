//! Device lists, and what goes with a device when it is deleted.

use olmstead_domain::{keys::signatures, position::Position};
use olmstead_storage::{StorageError, changes::ChangeKey, devices::DeviceSelection};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use sqlx::PgConnection;

use crate::{
    command::Command,
    error::Done,
    rows::{Columns as _, place},
    text::stored_all,
};

/// Users whose device list changed at `from` and after, strictly below `to`, each once, in order of their ids.
pub(crate) async fn changes(sql: &mut PgConnection, from: Position, to: Position) -> Done<Vec<OwnedUserId>> {
    sqlx::query("SELECT DISTINCT user_id FROM device_list_log WHERE position >= $1 AND position < $2 ORDER BY user_id")
        .bind(place(from))
        .bind(place(to))
        .fetch_all(sql)
        .await?
        .iter()
        .map(|row| row.id("user_id"))
        .collect()
}

/// Which devices a deletion takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Taken<'a> {
    /// These, be they dehydrated or not.
    Selected(&'a DeviceSelection),
    /// The dehydrated one.
    Dehydrated,
}

/// Deletes devices with all that is theirs (DEV-10), under the lock of the user. The user's device list changes if one
/// had keys (DEV-11, DEV-23).
pub(crate) async fn delete(command: &mut Command, user_id: &UserId, taken: Taken<'_>) -> Done<Vec<OwnedDeviceId>> {
    let (ids, but, ordinary): (Option<Vec<String>>, Option<&OwnedDeviceId>, bool) = match taken {
        Taken::Selected(DeviceSelection::These(ids)) => (Some(stored_all(ids)), None, true),
        Taken::Selected(DeviceSelection::AllBut(kept)) => (None, Some(kept), true),
        Taken::Selected(DeviceSelection::All) => (None, None, true),
        Taken::Dehydrated => (None, None, false),
    };
    // The row of the device goes first: it waits for those who are writing something of it, and whoever comes later
    // finds it gone. What was written is seen by the statements after it.
    let rows = sqlx::query(
        "DELETE FROM device WHERE user_id = $1
             AND ($2::text[] IS NULL OR device_id = ANY($2)) AND ($3::text IS NULL OR device_id <> $3)
             AND ($4 OR dehydrated_data IS NOT NULL)
         RETURNING device_id, generation, identity_keys IS NOT NULL AS keyed",
    )
    .bind(user_id.as_str())
    .bind(ids)
    .bind(but.map(|kept| crate::text::stored(kept.as_str()).into_owned()))
    .bind(ordinary)
    .fetch_all(command.sql())
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let (mut gone, mut generations, mut keyed) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let device_id: OwnedDeviceId = row.id("device_id")?;
        generations.push(crate::rows::number(row.count("generation")?));
        if row.flag("keyed")? {
            keyed.push(device_id.clone());
        }
        // Its waiting sync finds out that it is gone.
        command.change(ChangeKey::Device(user_id.to_owned(), device_id.clone()));
        gone.push(device_id);
    }
    gone.sort_unstable();
    // Pools wait for claims that are under way, whose rows the next statement sees.
    sqlx::query("DELETE FROM pool WHERE generation = ANY($1)").bind(&generations).execute(command.sql()).await?;
    sqlx::query(
        "WITH tokens AS (DELETE FROM token WHERE generation = ANY($1)),
              replaced AS (DELETE FROM replaced_token WHERE generation = ANY($1)),
              seen AS (DELETE FROM device_seen WHERE generation = ANY($1)),
              keys AS (DELETE FROM one_time_key WHERE generation = ANY($1)),
              memory AS (DELETE FROM transaction_memory WHERE generation = ANY($1)),
              pushers AS (DELETE FROM pusher WHERE user_id = $2 AND generation = ANY($1))
         DELETE FROM inbox WHERE generation = ANY($1)",
    )
    .bind(&generations)
    .bind(user_id.as_str())
    .execute(command.sql())
    .await?;
    for device_id in &keyed {
        remove_master_signature(command, user_id, device_id).await?;
    }
    if !keyed.is_empty() {
        command.device_list_changed(user_id).await?;
    }
    Ok(gone)
}

/// Takes a device's signature off its user's master key. Needs the lock of the user.
pub(crate) async fn remove_master_signature(command: &mut Command, user_id: &UserId, device_id: &DeviceId) -> Done<()> {
    let row = sqlx::query("SELECT master FROM cross_signing WHERE user_id = $1")
        .bind(user_id.as_str())
        .fetch_optional(command.sql())
        .await?;
    let Some(master) = row.map(|row| row.maybe_json("master")).transpose()?.flatten() else { return Ok(()) };
    let without = signatures::without_device(&master, user_id, device_id)
        .map_err(|error| StorageError::corrupt(format!("the master key of {user_id}"), error))?;
    if let Some(without) = without {
        sqlx::query("UPDATE cross_signing SET master = $2, revision = revision + 1 WHERE user_id = $1")
            .bind(user_id.as_str())
            .bind(without.get())
            .execute(command.sql())
            .await?;
    }
    Ok(())
}
