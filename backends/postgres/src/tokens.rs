//! Access and refresh tokens.
//!
//! Tokens come in pairs: an access token and, with it, perhaps a refresh token. A login begins with one pair; each use
//! of the refresh token makes a further one. Until a token of a new pair is used, the older pairs live on, so that a
//! lost answer can be asked for again; its first use ends all other pairs of the device (AUTH-5).
//!
//! The last tokens that ended so are remembered, to tell a client that was left behind from one whose device is gone.

use olmstead_storage::devices::{DeviceRef, NewSession, TokenHash};
use sqlx::PgConnection;

use crate::{
    error::Done,
    rows::{Columns as _, number},
};

/// Pairs of one device that may live at once. A client that asks again and again without using what it gets loses the
/// older of them, but never the pair it asks with.
const PAIRS: i64 = 8;
/// Tokens of one device that are remembered as replaced.
const REPLACED: i64 = 16;

/// A token as stored.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    pub(crate) device: DeviceRef,
    pub(crate) pair: u64,
    /// Its pair was not used yet, and older ones may live.
    pub(crate) retires: bool,
}

/// A new pair of tokens.
pub(crate) struct NewPair {
    pub(crate) access: TokenHash,
    pub(crate) access_expires_at: Option<u64>,
    pub(crate) refresh: Option<TokenHash>,
}

impl From<&NewSession> for NewPair {
    fn from(session: &NewSession) -> Self {
        Self { access: session.access, access_expires_at: session.access_expires_at, refresh: session.refresh }
    }
}

/// A token of a kind whose device lives.
pub(crate) async fn live(sql: &mut PgConnection, hash: &TokenHash, refresh: bool) -> Done<Option<TokenRow>> {
    let row = sqlx::query(
        "SELECT d.user_id, d.device_id, d.generation, t.pair, t.retires
         FROM token t JOIN device d USING (generation) WHERE t.hash = $1 AND t.refresh = $2",
    )
    .bind(hash.as_slice())
    .bind(refresh)
    .fetch_optional(sql)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(TokenRow {
        device: DeviceRef {
            user_id: row.id("user_id")?,
            device_id: row.id("device_id")?,
            generation: row.count("generation")?,
        },
        pair: row.count("pair")?,
        retires: row.flag("retires")?,
    }))
}

/// Whether a token was of a device that is still there, before another took its place.
pub(crate) async fn was_replaced(sql: &mut PgConnection, hash: &TokenHash) -> Done<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM replaced_token JOIN device USING (generation) WHERE hash = $1)")
        .bind(hash.as_slice())
        .fetch_one(sql)
        .await?)
}

/// Ends all tokens of a device that lives on, since a new login follows.
pub(crate) async fn replace_all(sql: &mut PgConnection, device: &DeviceRef) -> Done<()> {
    sqlx::query(
        "WITH gone AS (DELETE FROM token WHERE generation = $1 RETURNING hash, generation, pair)
         INSERT INTO replaced_token (hash, generation, pair) SELECT hash, generation, pair FROM gone",
    )
    .bind(number(device.generation))
    .execute(&mut *sql)
    .await?;
    bound_replaced(sql, device).await
}

/// Forgets all but the last tokens that were replaced.
async fn bound_replaced(sql: &mut PgConnection, device: &DeviceRef) -> Done<()> {
    sqlx::query(
        "DELETE FROM replaced_token WHERE hash IN (
             SELECT hash FROM replaced_token WHERE generation = $1 ORDER BY pair DESC OFFSET $2
         )",
    )
    .bind(number(device.generation))
    .bind(REPLACED)
    .execute(sql)
    .await?;
    Ok(())
}

/// Begins a pair.
pub(crate) async fn begin(sql: &mut PgConnection, device: &DeviceRef, new: &NewPair, retires: bool) -> Done<()> {
    sqlx::query(
        "WITH new AS (SELECT nextval('token_pair') AS pair)
         INSERT INTO token (hash, generation, refresh, pair, expires_at, retires)
         SELECT $1, $2, false, pair, $3, $5 FROM new
         UNION ALL SELECT $4, $2, true, pair, NULL, $5 FROM new WHERE $4 IS NOT NULL",
    )
    .bind(new.access.as_slice())
    .bind(number(device.generation))
    .bind(new.access_expires_at.map(number))
    .bind(new.refresh.as_ref().map(<[u8; 32]>::as_slice))
    .bind(retires)
    .execute(sql)
    .await?;
    Ok(())
}

/// The first use of a pair: ends all others.
pub(crate) async fn first_use(sql: &mut PgConnection, used: &TokenRow) -> Done<()> {
    sqlx::query(
        "WITH gone AS (DELETE FROM token WHERE generation = $1 AND pair <> $2 RETURNING hash, generation, pair),
              own AS (UPDATE token SET retires = false WHERE generation = $1 AND pair = $2)
         INSERT INTO replaced_token (hash, generation, pair) SELECT hash, generation, pair FROM gone",
    )
    .bind(number(used.device.generation))
    .bind(number(used.pair))
    .execute(&mut *sql)
    .await?;
    bound_replaced(sql, &used.device).await
}

/// Makes room for one more pair beside the one that is used.
pub(crate) async fn bound_pairs(sql: &mut PgConnection, used: &TokenRow) -> Done<()> {
    sqlx::query(
        "WITH gone AS (
             DELETE FROM token WHERE generation = $1 AND pair IN (
                 SELECT DISTINCT pair FROM token WHERE generation = $1 AND pair <> $2 ORDER BY pair DESC OFFSET $3
             ) RETURNING hash, generation, pair)
         INSERT INTO replaced_token (hash, generation, pair) SELECT hash, generation, pair FROM gone",
    )
    .bind(number(used.device.generation))
    .bind(number(used.pair))
    .bind(PAIRS - 2)
    .execute(&mut *sql)
    .await?;
    bound_replaced(sql, &used.device).await
}
