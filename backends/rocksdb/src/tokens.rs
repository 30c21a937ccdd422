//! Access and refresh tokens.
//!
//! Tokens come in pairs: an access token and, with it, perhaps a refresh token. A login begins with one pair; each use
//! of the refresh token makes a further one. Until a token of a new pair is used, the older pairs live on, so that a
//! lost answer can be asked for again; its first use ends all other pairs of the device (AUTH-5).
//!
//! The last tokens that ended so are remembered, to tell a client that was left behind from one whose device is gone.

use olmstead_storage::{
    Result,
    devices::{DeviceRef, NewSession, TokenHash},
};
use serde::{Deserialize, Serialize};

use crate::{
    command::Command,
    keys::{Key, Table},
    reads::{Reads, Span},
};

/// Pairs of one device that may live at once. A client that asks again and again without using what it gets loses the
/// older of them, but never the pair it asks with.
const PAIRS: usize = 8;
/// Tokens of one device that are remembered as replaced.
const REPLACED: usize = 16;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Access,
    Refresh,
}

/// A token as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) device: DeviceRef,
    pub(crate) kind: Kind,
    /// Which pair it is of.
    pub(crate) pair: u64,
    /// When it stops working, milliseconds; `None` is never.
    pub(crate) expires_at: Option<u64>,
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

fn token_key(hash: &[u8]) -> Key {
    Key::new(Table::Token).bytes(hash)
}

/// What a token is.
pub(crate) fn token(reads: &impl Reads, hash: &TokenHash) -> Result<Option<TokenRow>> {
    reads.get_json(&token_key(hash))
}

/// All tokens of a device in a table, with their pairs, the oldest first.
fn tokens(reads: &impl Reads, table: Table, device: &DeviceRef) -> Result<Vec<(u64, Vec<u8>)>> {
    let prefix = Key::new(table).device(device);
    let mut tokens = Vec::new();
    for row in reads.scan(Span::prefix(&prefix))? {
        let (key, _) = row?;
        let mut parts = prefix.parts_after(&key)?;
        tokens.push((parts.u64()?, parts.bytes()?));
    }
    Ok(tokens)
}

fn row_of_device(table: Table, device: &DeviceRef, pair: u64, hash: &[u8]) -> Key {
    Key::new(table).device(device).u64(pair).bytes(hash)
}

fn replaced_key(hash: &[u8]) -> Key {
    Key::new(Table::ReplacedToken).bytes(hash)
}

/// The device whose token this was before another took its place.
pub(crate) fn replaced(reads: &impl Reads, hash: &TokenHash) -> Result<Option<DeviceRef>> {
    reads.get_json(&replaced_key(hash))
}

fn end(command: &mut Command<'_>, device: &DeviceRef, pair: u64, hash: &[u8]) -> Result<()> {
    command.delete(&token_key(hash))?;
    command.delete(&row_of_device(Table::DeviceToken, device, pair, hash))
}

/// Ends tokens of a device that lives on, and remembers them. Once in a command, as it counts what was there before.
fn replace(command: &mut Command<'_>, device: &DeviceRef, gone: &[(u64, Vec<u8>)]) -> Result<()> {
    for (pair, hash) in gone {
        end(command, device, *pair, hash)?;
        command.put_json(&replaced_key(hash), device)?;
        command.put(&row_of_device(Table::DeviceReplacedToken, device, *pair, hash), [])?;
    }
    let known = tokens(command, Table::DeviceReplacedToken, device)?;
    let excess = (known.len() + gone.len()).saturating_sub(REPLACED);
    for (pair, hash) in known.iter().take(excess) {
        forget(command, device, *pair, hash)?;
    }
    Ok(())
}

fn forget(command: &mut Command<'_>, device: &DeviceRef, pair: u64, hash: &[u8]) -> Result<()> {
    command.delete(&replaced_key(hash))?;
    command.delete(&row_of_device(Table::DeviceReplacedToken, device, pair, hash))
}

/// Ends all tokens of a device that were there before the command, since a new login follows.
pub(crate) fn replace_all(command: &mut Command<'_>, device: &DeviceRef) -> Result<()> {
    let gone = tokens(command, Table::DeviceToken, device)?;
    replace(command, device, &gone)
}

/// Ends all tokens of a device that goes, and forgets those before.
pub(crate) fn end_all(command: &mut Command<'_>, device: &DeviceRef) -> Result<()> {
    for (pair, hash) in tokens(command, Table::DeviceToken, device)? {
        end(command, device, pair, &hash)?;
    }
    for (pair, hash) in tokens(command, Table::DeviceReplacedToken, device)? {
        forget(command, device, pair, &hash)?;
    }
    Ok(())
}

/// Begins a pair.
pub(crate) fn begin(command: &mut Command<'_>, device: &DeviceRef, new: &NewPair, retires: bool) -> Result<()> {
    let pair = command.position()?.0;
    let access = (new.access, Kind::Access, new.access_expires_at);
    let refresh = new.refresh.map(|hash| (hash, Kind::Refresh, None));
    for (hash, kind, expires_at) in [Some(access), refresh].into_iter().flatten() {
        let row = TokenRow { device: device.clone(), kind, pair, expires_at, retires };
        command.put_json(&token_key(&hash), &row)?;
        command.put(&row_of_device(Table::DeviceToken, device, pair, &hash), [])?;
    }
    Ok(())
}

/// The first use of a pair: ends all others.
pub(crate) fn first_use(command: &mut Command<'_>, used: &TokenRow) -> Result<()> {
    let (own, others): (Vec<_>, Vec<_>) =
        tokens(command, Table::DeviceToken, &used.device)?.into_iter().partition(|(pair, _)| *pair == used.pair);
    for (_, hash) in own {
        let key = token_key(&hash);
        if let Some(mut row) = command.get_json::<TokenRow>(&key)? {
            row.retires = false;
            command.put_json(&key, &row)?;
        }
    }
    replace(command, &used.device, &others)
}

/// Makes room for one more pair beside the one that is used.
pub(crate) fn bound_pairs(command: &mut Command<'_>, used: &TokenRow) -> Result<()> {
    let tokens = tokens(command, Table::DeviceToken, &used.device)?;
    let mut others: Vec<u64> = tokens.iter().map(|(pair, _)| *pair).filter(|pair| *pair != used.pair).collect();
    others.dedup();
    let excess = others.len().saturating_sub(PAIRS - 2);
    let old = &others[..excess];
    let gone: Vec<_> = tokens.iter().filter(|(pair, _)| old.contains(pair)).cloned().collect();
    replace(command, &used.device, &gone)
}
