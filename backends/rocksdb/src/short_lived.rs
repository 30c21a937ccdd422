//! Short-lived values.

use async_trait::async_trait;
use olmstead_storage::{Result, ShortLived, StorageError};

use crate::{
    RocksStore,
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span},
};

/// How many ended values are forgotten at once.
const SWEEP: usize = 256;

fn value_key(kind: &str, key: &str) -> Key {
    Key::new(Table::ShortLived).text(kind).text(key)
}

fn end_key(expires_at: u64, kind: &str, key: &str) -> Key {
    Key::new(Table::ShortLivedEnd).u64(expires_at).text(kind).text(key)
}

fn lock(locks: Locks, kind: &str, key: &str) -> Locks {
    locks.name("short-lived", &format!("{kind} {key}"))
}

/// When a value ends, and the value.
fn read(reads: &impl Reads, kind: &str, key: &str) -> Result<Option<(u64, Vec<u8>)>> {
    let Some(row) = reads.get(&value_key(kind, key))? else { return Ok(None) };
    let (end, value) = row.split_first_chunk().ok_or_else(|| StorageError::damaged("a short-lived value"))?;
    Ok(Some((u64::from_be_bytes(*end), value.to_vec())))
}

fn forget(command: &mut Command<'_>, kind: &str, key: &str) -> Result<()> {
    if let Some((end, _)) = read(command, kind, key)? {
        command.delete(&end_key(end, kind, key))?;
        command.delete(&value_key(kind, key))?;
    }
    Ok(())
}

fn put(command: &mut Command<'_>, kind: &str, key: &str, value: &[u8], expires_at: u64) -> Result<()> {
    forget(command, kind, key)?;
    let mut row = expires_at.to_be_bytes().to_vec();
    row.extend_from_slice(value);
    command.put(&value_key(kind, key), row)?;
    command.put(&end_key(expires_at, kind, key), [])
}

#[async_trait]
impl ShortLived for RocksStore {
    async fn put_short_lived(&self, kind: &str, key: &str, value: Vec<u8>, expires_at: u64) -> Result<()> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.command(lock(Locks::new(), &kind, &key), move |command| put(command, &kind, &key, &value, expires_at))
            .await
    }

    async fn short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.read(move |view| Ok(read(view, &kind, &key)?.filter(|(end, _)| *end >= now).map(|(_, value)| value))).await
    }

    async fn replace_short_lived(
        &self,
        kind: &str,
        key: &str,
        expected: &[u8],
        value: Vec<u8>,
        expires_at: u64,
    ) -> Result<bool> {
        let (kind, key, expected) = (kind.to_owned(), key.to_owned(), expected.to_vec());
        self.command(lock(Locks::new(), &kind, &key), move |command| match read(command, &kind, &key)? {
            Some((_, stored)) if stored == expected => {
                put(command, &kind, &key, &value, expires_at)?;
                Ok(true)
            }
            _ => Ok(false),
        })
        .await
    }

    async fn take_short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.command(lock(Locks::new(), &kind, &key), move |command| {
            let found = read(command, &kind, &key)?;
            forget(command, &kind, &key)?;
            Ok(found.filter(|(end, _)| *end >= now).map(|(_, value)| value))
        })
        .await
    }

    async fn expire_short_lived(&self, now: u64) -> Result<usize> {
        let ended: Vec<(String, String)> = self
            .read(move |view| {
                let table = Key::new(Table::ShortLivedEnd);
                let mut ended = Vec::new();
                for row in view.scan(Span::between(&table, &table.clone().u64(now)))?.take(SWEEP) {
                    let (key, _) = row?;
                    let mut parts = table.parts_after(&key)?;
                    parts.u64()?;
                    ended.push((parts.text()?, parts.text()?));
                }
                Ok(ended)
            })
            .await?;
        if ended.is_empty() {
            return Ok(0);
        }
        let locks = ended.iter().fold(Locks::new(), |locks, (kind, key)| lock(locks, kind, key));
        self.command(locks, move |command| {
            let mut count = 0;
            for (kind, key) in &ended {
                // It may have been taken or set anew since it was found.
                if read(command, kind, key)?.is_some_and(|(end, _)| end < now) {
                    forget(command, kind, key)?;
                    count += 1;
                }
            }
            Ok(count)
        })
        .await
    }
}
