//! Reading rows, alike in a command and in a view.

use olmstead_domain::json::RawJson;
use olmstead_storage::{Result, StorageError};
use rocksdb::{DB, DBIteratorWithThreadMode, IteratorMode, ReadOptions, Snapshot};
use serde::de::DeserializeOwned;

use crate::{
    engine::{Engine, storage_error},
    keys::{Family, Key, Table},
};

/// Rows from one key to another, in their order or against it.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    family: Family,
    from: Vec<u8>,
    to: Vec<u8>,
    backward: bool,
}

impl Span {
    /// All rows of a family. No key begins with `ff`.
    pub(crate) fn all(family: Family) -> Self {
        Self { family, from: Vec::new(), to: vec![0xff], backward: false }
    }

    /// The family of the rows.
    pub(crate) const fn family(&self) -> Family {
        self.family
    }

    /// All rows whose keys begin with these parts.
    pub(crate) fn prefix(prefix: &Key) -> Self {
        Self { family: prefix.family(), from: prefix.as_bytes().to_vec(), to: prefix.end(), backward: false }
    }

    /// Rows at `from` and after, strictly before `to`, of one table.
    pub(crate) fn between(from: &Key, to: &Key) -> Self {
        Self { family: from.family(), from: from.as_bytes().to_vec(), to: to.as_bytes().to_vec(), backward: false }
    }

    /// Those of the rows whose keys come after all that begin with `prefix`.
    pub(crate) fn after(mut self, prefix: &Key) -> Self {
        self.from = self.from.max(prefix.end());
        self
    }

    /// The first key that may be in it.
    pub(crate) fn from(&self) -> &[u8] {
        &self.from
    }

    /// The first key after it.
    pub(crate) fn to(&self) -> &[u8] {
        &self.to
    }

    /// The same rows, the last one first.
    pub(crate) fn backward(mut self) -> Self {
        self.backward = true;
        self
    }
}

/// Rows as they are read: keys for [`Key::parts_after`], and values.
pub(crate) struct Scan<'a>(Option<DBIteratorWithThreadMode<'a, DB>>);

impl Iterator for Scan<'_> {
    type Item = Result<(Box<[u8]>, Box<[u8]>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next().map(|row| row.map_err(storage_error))
    }
}

/// Something rows can be read from.
pub(crate) trait Reads {
    /// The value of a row.
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>>;

    /// Rows in order. In a command these are the rows before it: what the command itself wrote is not among them.
    fn scan(&self, span: Span) -> Result<Scan<'_>>;

    /// Values of several rows, in the order asked.
    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Whether a row is there.
    fn has(&self, key: &Key) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    /// A row kept as JSON of a type.
    fn get_json<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        self.get(key)?.map(|value| json(key.table(), &value)).transpose()
    }

    /// A row kept as JSON text.
    fn get_raw(&self, key: &Key) -> Result<Option<RawJson>> {
        self.get(key)?.map(|value| raw(key.table(), value)).transpose()
    }

    /// A row kept as a number.
    fn get_u64(&self, key: &Key) -> Result<Option<u64>> {
        self.get(key)?.map(|value| number(key.table(), &value)).transpose()
    }
}

/// A view of the database: as of now, row by row, or as of one moment.
pub(crate) struct View<'a> {
    engine: &'a Engine,
    snapshot: Option<Snapshot<'a>>,
}

impl<'a> View<'a> {
    /// Each row as of when it is read.
    pub(crate) const fn now(engine: &'a Engine) -> Self {
        Self { engine, snapshot: None }
    }

    /// All rows as of this moment.
    pub(crate) fn frozen(engine: &'a Engine) -> Self {
        Self { engine, snapshot: Some(engine.db().snapshot()) }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        if let Some(snapshot) = &self.snapshot {
            options.set_snapshot(snapshot);
        }
        options
    }
}

impl Reads for View<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.engine.get(key, &self.options())
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Vec<u8>>>> {
        self.engine.get_many(keys, &self.options())
    }

    fn scan(&self, span: Span) -> Result<Scan<'_>> {
        if span.from >= span.to {
            return Ok(Scan(None));
        }
        let mut options = self.options();
        options.set_iterate_lower_bound(span.from);
        options.set_iterate_upper_bound(span.to);
        let family = self.engine.family(span.family)?;
        let mode = if span.backward { IteratorMode::End } else { IteratorMode::Start };
        Ok(Scan(Some(self.engine.db().iterator_cf_opt(family, options, mode))))
    }
}

/// Reads a value kept as JSON.
pub(crate) fn json<T: DeserializeOwned>(table: Table, value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|error| StorageError::corrupt(row_of(table), error))
}

/// Reads a value kept as JSON text.
pub(crate) fn raw(table: Table, value: impl Into<Vec<u8>>) -> Result<RawJson> {
    let text = String::from_utf8(value.into()).map_err(|error| StorageError::corrupt(row_of(table), error))?;
    RawJson::from_text(text).map_err(|error| StorageError::corrupt(row_of(table), error))
}

/// Reads a value kept as a number.
pub(crate) fn number(table: Table, value: &[u8]) -> Result<u64> {
    value.try_into().map(u64::from_be_bytes).map_err(|error| StorageError::corrupt(row_of(table), error))
}

fn row_of(table: Table) -> String {
    format!("a row of the table {table:?}")
}
