//! Server-side key backups.

use std::collections::BTreeMap;

use async_trait::async_trait;
use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData, replaces},
    json::RawJson,
};
use olmstead_storage::{
    Backups, Result,
    backups::{
        BackupInfo, BackupKey, BackupSelection, BackupState, DeleteBackupOutcome, PutBackupOutcome, StoredBackupKey,
        UpdateBackupOutcome,
    },
};
use ruma::{OwnedRoomId, UserId};
use sqlx::{
    Connection as _, PgConnection, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use crate::{
    PostgresStore,
    error::Done,
    locks::Locks,
    rows::{At as _, Columns as _, number},
    store::{command, read, view},
    text::{stored, stored_all},
};

fn info(row: &PgRow) -> Done<BackupInfo> {
    Ok(BackupInfo {
        version: BackupVersion(row.count("version")?),
        algorithm: row.text("algorithm")?,
        auth_data: row.json("auth_data")?,
        count: row.count("count")?,
        etag: row.count("etag")?,
    })
}

fn state(row: &PgRow) -> Done<BackupState> {
    Ok(BackupState { etag: row.count("etag")?, count: row.count("count")? })
}

/// A statement on the keys of a selection. Each kind of selection has its own: with one for all, the plan that a connection
/// keeps would read the whole version to find one session.
macro_rules! of_selection {
    ($selection:expr, $before:literal, $after:literal) => {
        match $selection {
            BackupSelection::All => concat!($before, "user_id = $1 AND version = $2", $after),
            BackupSelection::Room(_) => concat!($before, "user_id = $1 AND version = $2 AND room_id = $3", $after),
            BackupSelection::Session(..) => {
                concat!($before, "user_id = $1 AND version = $2 AND room_id = $3 AND session_id = $4", $after)
            }
        }
    };
}

/// A statement on the keys of a selection with its parameters.
fn select<'a>(
    statement: &'static str,
    user_id: &'a UserId,
    version: BackupVersion,
    selection: &BackupSelection<'a>,
) -> Query<'a, Postgres, PgArguments> {
    let query = sqlx::query(statement).bind(user_id.as_str()).bind(number(version.0));
    match *selection {
        BackupSelection::All => query,
        BackupSelection::Room(room) => query.bind(stored(room.as_str())),
        BackupSelection::Session(room, session) => query.bind(stored(room.as_str())).bind(stored(session)),
    }
}

async fn read_info(
    sql: &mut PgConnection,
    user_id: &UserId,
    version: Option<BackupVersion>,
) -> Done<Option<BackupInfo>> {
    let row = sqlx::query(
        "SELECT version, algorithm, auth_data, count, etag FROM backup
         WHERE user_id = $1 AND ($2::bigint IS NULL OR version = $2) ORDER BY version DESC LIMIT 1",
    )
    .bind(user_id.as_str())
    .bind(version.map(|version| number(version.0)))
    .fetch_optional(sql)
    .await?;
    row.as_ref().map(info).transpose()
}

async fn create(sql: &mut PgConnection, user_id: &UserId, algorithm: &str, auth_data: &RawJson) -> Done<BackupVersion> {
    let row = sqlx::query(
        "WITH owner AS (
             INSERT INTO backup_owner (user_id, last_version) VALUES ($1, 1)
             ON CONFLICT (user_id) DO UPDATE SET last_version = backup_owner.last_version + 1 RETURNING last_version
         )
         INSERT INTO backup (user_id, version, algorithm, auth_data, count, etag)
         SELECT $1, last_version, $2, $3, 0, 0 FROM owner RETURNING version",
    )
    .bind(user_id.as_str())
    .bind(stored(algorithm))
    .bind(auth_data.get())
    .fetch_one(sql)
    .await?;
    Ok(BackupVersion(row.count("version")?))
}

async fn update(
    sql: &mut PgConnection,
    user_id: &UserId,
    version: BackupVersion,
    algorithm: &str,
    auth_data: &RawJson,
) -> Done<UpdateBackupOutcome> {
    let Some(known) = read_info(sql, user_id, Some(version)).await? else {
        return Ok(UpdateBackupOutcome::NotFound);
    };
    if known.algorithm != algorithm {
        return Ok(UpdateBackupOutcome::OtherAlgorithm);
    }
    sqlx::query("UPDATE backup SET auth_data = $3 WHERE user_id = $1 AND version = $2")
        .bind(user_id.as_str())
        .bind(number(version.0))
        .bind(auth_data.get())
        .execute(sql)
        .await?;
    Ok(UpdateBackupOutcome::Updated)
}

async fn delete(sql: &mut PgConnection, user_id: &UserId, version: BackupVersion) -> Done<DeleteBackupOutcome> {
    // Every number up to the last was a version once.
    let was: bool = sqlx::query_scalar(
        "WITH keys AS (DELETE FROM backup_key WHERE user_id = $1 AND version = $2),
              info AS (DELETE FROM backup WHERE user_id = $1 AND version = $2)
         SELECT EXISTS (SELECT FROM backup_owner WHERE user_id = $1 AND $2 BETWEEN 1 AND last_version)",
    )
    .bind(user_id.as_str())
    .bind(number(version.0))
    .fetch_one(sql)
    .await?;
    Ok(if was { DeleteBackupOutcome::Deleted } else { DeleteBackupOutcome::NotFound })
}

/// Each session once: of two in one command the rule picks, too. In the order of the rows.
fn best(keys: Vec<BackupKey>) -> Vec<((OwnedRoomId, String), KeyBackupData)> {
    let mut best: BTreeMap<(OwnedRoomId, String), KeyBackupData> = BTreeMap::new();
    for BackupKey { room_id, session_id, data } in keys {
        let place = (room_id, session_id);
        if best.get(&place).is_none_or(|known| replaces(known, &data)) {
            best.insert(place, data);
        }
    }
    best.into_iter().collect()
}

/// Writes keys, each where it is new or better (the rule of `olmstead_domain::backup::replaces`, which the conformance
/// suite holds this against).
///
/// However many they are, this is one statement: its transaction has no id before all of them have arrived, and holds back
/// the horizon only while they are written.
async fn put_keys(
    sql: &mut PgConnection,
    user_id: &UserId,
    version: BackupVersion,
    keys: &[((OwnedRoomId, String), KeyBackupData)],
) -> Done<PutBackupOutcome> {
    let data = || keys.iter().map(|(_, data)| data);
    let row = sqlx::query(
        "WITH state AS (
             SELECT max(version) AS current, coalesce(bool_or(version = $2), false) AS known FROM backup WHERE user_id = $1
         ), written AS (
             INSERT INTO backup_key AS k (user_id, version, room_id, session_id, first_message_index, forwarded_count,
                 is_verified, session_data)
             SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::boolean[], $8::text[])
             WHERE (SELECT known AND current = $2 FROM state)
             ON CONFLICT (user_id, version, room_id, session_id) DO UPDATE SET
                 first_message_index = EXCLUDED.first_message_index, forwarded_count = EXCLUDED.forwarded_count,
                 is_verified = EXCLUDED.is_verified, session_data = EXCLUDED.session_data
             WHERE (NOT EXCLUDED.is_verified, EXCLUDED.first_message_index, EXCLUDED.forwarded_count)
                 < (NOT k.is_verified, k.first_message_index, k.forwarded_count)
             RETURNING xmax = 0 AS new
         ), counted AS (
             SELECT count(*) AS written, count(*) FILTER (WHERE new) AS new FROM written
         ), updated AS (
             UPDATE backup SET count = count + counted.new, etag = etag + 1 FROM counted
             WHERE user_id = $1 AND version = $2 AND counted.written > 0 RETURNING count, etag
         )
         SELECT state.current, state.known, coalesce(u.count, b.count) AS count, coalesce(u.etag, b.etag) AS etag
         FROM state LEFT JOIN backup b ON b.user_id = $1 AND b.version = $2 LEFT JOIN updated u ON true",
    )
    .bind(user_id.as_str())
    .bind(number(version.0))
    .bind(stored_all(keys.iter().map(|((room_id, _), _)| room_id)))
    .bind(stored_all(keys.iter().map(|((_, session_id), _)| session_id)))
    .bind(data().map(|data| number(data.first_message_index)).collect::<Vec<_>>())
    .bind(data().map(|data| number(data.forwarded_count)).collect::<Vec<_>>())
    .bind(data().map(|data| data.is_verified).collect::<Vec<_>>())
    .bind(data().map(|data| data.session_data.get()).collect::<Vec<_>>())
    .fetch_one(&mut *sql)
    .await?;
    // They may have been many, and the connection lives on.
    sql.shrink_buffers();
    match row.maybe_count("current")?.map(BackupVersion) {
        Some(current) if row.flag("known")? && current == version => state(&row).map(PutBackupOutcome::Stored),
        Some(current) if row.flag("known")? => Ok(PutBackupOutcome::NotCurrent { current }),
        _ => Ok(PutBackupOutcome::NotFound),
    }
}

async fn read_keys(
    sql: &mut PgConnection,
    user_id: &UserId,
    version: BackupVersion,
    selection: &BackupSelection<'_>,
) -> Done<Option<Vec<StoredBackupKey>>> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM backup WHERE user_id = $1 AND version = $2)")
        .bind(user_id.as_str())
        .bind(number(version.0))
        .fetch_one(&mut *sql)
        .await?;
    if !known {
        return Ok(None);
    }
    let statement = of_selection!(
        selection,
        "SELECT room_id, session_id, first_message_index, forwarded_count, is_verified, session_data FROM backup_key
         WHERE ",
        " ORDER BY room_id, session_id"
    );
    let rows = select(statement, user_id, version, selection).fetch_all(sql).await?;
    // There may be very many, and what was read of one is not kept.
    let key = |row: PgRow| {
        let (index, forwarded, verified) = (row.count_at(2)?, row.count_at(3)?, row.try_get::<bool, _>(4)?);
        let session_data: &str = row.try_get(5)?;
        let data = format!(
            "{{\"first_message_index\":{index},\"forwarded_count\":{forwarded},\"is_verified\":{verified},\
             \"session_data\":{session_data}}}"
        );
        Ok(StoredBackupKey { room_id: row.id_at(0)?, session_id: row.text_at(1)?, data })
    };
    rows.into_iter().map(key).collect::<Done<_>>().map(Some)
}

async fn delete_keys(
    sql: &mut PgConnection,
    user_id: &UserId,
    version: BackupVersion,
    selection: &BackupSelection<'_>,
) -> Done<Option<BackupState>> {
    let statement = of_selection!(
        selection,
        "WITH gone AS (DELETE FROM backup_key WHERE ",
        " RETURNING 1),
              counted AS (SELECT count(*) AS gone FROM gone)
         UPDATE backup SET count = count - gone, etag = etag + (gone > 0)::int FROM counted
         WHERE user_id = $1 AND version = $2 RETURNING count, etag"
    );
    let row = select(statement, user_id, version, selection).fetch_optional(sql).await?;
    row.as_ref().map(state).transpose()
}

#[async_trait]
impl Backups for PostgresStore {
    async fn create_backup(&self, user_id: &UserId, algorithm: String, auth_data: RawJson) -> Result<BackupVersion> {
        command!(self, Locks::new().backup(user_id), |command| {
            create(command.sql(), user_id, &algorithm, &auth_data).await
        })
    }

    async fn backup(&self, user_id: &UserId, version: Option<BackupVersion>) -> Result<Option<BackupInfo>> {
        read!(self, |connection| read_info(connection, user_id, version).await)
    }

    async fn update_backup(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        algorithm: &str,
        auth_data: RawJson,
    ) -> Result<UpdateBackupOutcome> {
        command!(self, Locks::new().backup(user_id), |command| {
            update(command.sql(), user_id, version, algorithm, &auth_data).await
        })
    }

    async fn delete_backup(&self, user_id: &UserId, version: BackupVersion) -> Result<DeleteBackupOutcome> {
        command!(self, Locks::new().backup(user_id), |command| delete(command.sql(), user_id, version).await)
    }

    async fn put_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        keys: Vec<BackupKey>,
    ) -> Result<PutBackupOutcome> {
        let keys = best(keys);
        command!(self, Locks::new().backup(user_id), |command| {
            put_keys(command.sql(), user_id, version, &keys).await
        })
    }

    async fn backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<Vec<StoredBackupKey>>> {
        view!(self, |connection| read_keys(connection, user_id, version, &selection).await)
    }

    async fn delete_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<BackupState>> {
        command!(self, Locks::new().backup(user_id), |command| {
            delete_keys(command.sql(), user_id, version, &selection).await
        })
    }
}
