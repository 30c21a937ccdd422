//! Reading rows, alike in a command and in a view.

use std::cell::Cell;

use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{Result, StorageError};
use rocksdb::{DB, DBIteratorWithThreadMode, ErrorKind, IteratorMode, ReadOptions, ReadTier, Snapshot};
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
    /// It begins at this position of the log that has this many bytes before it.
    log: Option<(usize, Position)>,
    /// What is kept in memory of these rows is kept under this many of the first bytes.
    kept: Option<usize>,
}

impl Span {
    /// All rows of a family. No key begins with `ff`.
    pub(crate) fn all(family: Family) -> Self {
        Self { family, from: Vec::new(), to: vec![0xff], backward: false, log: None, kept: None }
    }

    /// The family of the rows.
    pub(crate) const fn family(&self) -> Family {
        self.family
    }

    /// All rows whose keys begin with these parts.
    pub(crate) fn prefix(prefix: &Key) -> Self {
        let (from, to) = (prefix.as_bytes().to_vec(), prefix.end());
        let kept = prefix.table().is_kept().then(|| prefix.first_text().len());
        Self { family: prefix.family(), from, to, backward: false, log: None, kept }
    }

    /// Rows at `from` and after, strictly before `to`, of one table.
    pub(crate) fn between(from: &Key, to: &Key) -> Self {
        let log = match (from.log_place(), to.log_place()) {
            (Some((log, position)), Some((end, _))) if log == end => Some((log.len(), position)),
            _ => None,
        };
        let kept = from.table().is_kept().then(|| from.first_text().len());
        let (family, from, to) = (from.family(), from.as_bytes().to_vec(), to.as_bytes().to_vec());
        Self { family, from, to, backward: false, log, kept }
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

    /// What of these rows is kept in memory is kept under these first bytes; they are the same for all rows.
    pub(crate) fn kept(&self) -> Option<&[u8]> {
        self.from.get(..self.kept?)
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

/// The bytes of a key, and of its value.
type Row = (Box<[u8]>, Box<[u8]>);

/// Rows as they are read: keys for [`Key::parts_after`], and values.
pub(crate) struct Scan<'a> {
    rows: Option<DBIteratorWithThreadMode<'a, DB>>,
    short: Option<&'a Short>,
}

impl Iterator for Scan<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.as_mut()?.next()?;
        Some(match self.short {
            Some(short) => short.row(row),
            None => row.map_err(storage_error),
        })
    }
}

/// Work that must not take long: it finds what it reads in memory, and does not touch much. Otherwise it fails, and says
/// so here.
#[derive(Debug)]
struct Short {
    /// Bytes that may still be touched.
    left: Cell<usize>,
    failed: Cell<bool>,
}

/// What short work may touch, bytes. Some hundred microseconds.
const SHORT: usize = 256 << 10;
/// What a row costs beside its bytes.
const ROW: usize = 128;

impl Short {
    const fn new() -> Self {
        Self { left: Cell::new(SHORT), failed: Cell::new(false) }
    }

    /// The error that ends the attempt; nobody sees it.
    fn fail<T>(&self) -> Result<T> {
        self.failed.set(true);
        Err(StorageError::Unavailable { message: "this takes longer".to_owned(), source: None })
    }

    fn spend(&self, bytes: usize) -> Result<()> {
        match self.left.get().checked_sub(bytes + ROW) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.fail(),
        }
    }

    fn error<T>(&self, error: rocksdb::Error) -> Result<T> {
        if error.kind() == ErrorKind::Incomplete { self.fail() } else { Err(storage_error(error)) }
    }

    fn value(&self, value: Result<Option<Vec<u8>>, rocksdb::Error>) -> Result<Option<Vec<u8>>> {
        let value = value.or_else(|error| self.error(error))?;
        self.spend(value.as_ref().map_or(0, Vec::len))?;
        Ok(value)
    }

    fn row(&self, row: Result<Row, rocksdb::Error>) -> Result<Row> {
        let row = row.or_else(|error| self.error(error))?;
        self.spend(row.0.len() + row.1.len())?;
        Ok(row)
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
    /// For single rows.
    options: ReadOptions,
    snapshot: Option<Snapshot<'a>>,
    short: Option<Short>,
}

impl<'a> View<'a> {
    /// Each row as of when it is read. With `short` only what is in memory and not much, see [`Self::fell_short`].
    pub(crate) fn now(engine: &'a Engine, short: bool) -> Self {
        Self::new(engine, None, short)
    }

    /// All rows as of this moment; as for `short` see [`Self::now`].
    pub(crate) fn frozen(engine: &'a Engine, short: bool) -> Self {
        Self::new(engine, Some(engine.db().snapshot()), short)
    }

    fn new(engine: &'a Engine, snapshot: Option<Snapshot<'a>>, short: bool) -> Self {
        let short = short.then(Short::new);
        let options = read_options(snapshot.as_ref(), short.is_some());
        Self { engine, options, snapshot, short }
    }

    /// Whether the work is to be done again where it may take longer. What it gave means nothing then.
    pub(crate) fn fell_short(&self) -> bool {
        self.short.as_ref().is_some_and(|short| short.failed.get())
    }

    /// Whether only short work is wanted of it.
    pub(crate) const fn is_short(&self) -> bool {
        self.short.is_some()
    }

    /// Ends short work that met something that takes longer.
    pub(crate) fn fall_short<T>(&self) -> Result<T> {
        self.short.as_ref().map_or_else(|| Err(StorageError::damaged("the end of short work")), Short::fail)
    }

    /// Says that so many bytes are about to be written.
    pub(crate) fn spend(&self, bytes: usize) -> Result<()> {
        self.short.as_ref().map_or(Ok(()), |short| short.spend(bytes))
    }

    /// Whether nothing that begins as the key does was written at a position at or above `as_of`; for tables that are
    /// kept, see [`Table::is_kept`].
    pub(crate) fn is_unwritten(&self, key: &Key, as_of: Position) -> bool {
        self.engine.newest().is_some_and(|newest| !newest.may_reach(key.first_text(), as_of))
    }

    /// Whether the span begins after the last row of its log.
    fn is_beyond_all(&self, span: &Span) -> bool {
        let (Some(newest), Some((length, from))) = (self.engine.newest(), span.log) else { return false };
        span.from.get(..length).is_some_and(|log| !newest.may_reach(log, from))
    }

    fn value(&self, value: Result<Option<Vec<u8>>, rocksdb::Error>) -> Result<Option<Vec<u8>>> {
        match &self.short {
            Some(short) => short.value(value),
            None => value.map_err(storage_error),
        }
    }
}

fn read_options(snapshot: Option<&Snapshot<'_>>, short: bool) -> ReadOptions {
    let mut options = ReadOptions::default();
    if let Some(snapshot) = snapshot {
        options.set_snapshot(snapshot);
    }
    if short {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

impl Reads for View<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.value(self.engine.get(key, &self.options)?)
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Vec<u8>>>> {
        let values = self.engine.get_many(keys, &self.options)?;
        values.into_iter().map(|value| self.value(value)).collect()
    }

    fn scan(&self, span: Span) -> Result<Scan<'_>> {
        if span.from >= span.to || self.is_beyond_all(&span) {
            return Ok(Scan { rows: None, short: None });
        }
        let mut options = read_options(self.snapshot.as_ref(), self.short.is_some());
        options.set_iterate_lower_bound(span.from);
        options.set_iterate_upper_bound(span.to);
        let family = self.engine.family(span.family)?;
        let mode = if span.backward { IteratorMode::End } else { IteratorMode::Start };
        self.spend(0)?;
        let rows = self.engine.db().iterator_cf_opt(family, options, mode);
        Ok(Scan { rows: Some(rows), short: self.short.as_ref() })
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
