//! A command: reads and writes that become one batch.

use std::collections::HashMap;

use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{Result, StorageError, changes::ChangeKey};
use rocksdb::WriteBatch;
use serde::Serialize;

use crate::{
    keys::{Key, Table},
    reads::{Reads, Scan, Span, View},
    store::Inner,
    stream::Issued,
    wal::Durable,
};

/// Up to so many rows are deleted one by one.
const FEW: usize = 256;

/// A command that is running, under its locks.
///
/// [`Reads::get`] sees what the command itself wrote; [`Reads::scan`] and ranges that were deleted do not show in reads
/// of the same command.
pub(crate) struct Command<'a> {
    inner: &'a Inner,
    view: View<'a>,
    batch: WriteBatch,
    written: HashMap<Vec<u8>, Option<Vec<u8>>>,
    issued: Option<Issued<'a>>,
    changes: Vec<ChangeKey>,
}

impl<'a> Command<'a> {
    /// A command that did nothing yet. With `short` it must not take long, see [`View::fell_short`].
    pub(crate) fn new(inner: &'a Inner, short: bool) -> Self {
        Self {
            inner,
            view: View::now(inner.engine(), short),
            batch: WriteBatch::default(),
            written: HashMap::new(),
            issued: None,
            changes: Vec::new(),
        }
    }

    /// See [`View::fell_short`].
    pub(crate) fn fell_short(&self) -> bool {
        self.view.fell_short()
    }

    /// The command's position in the stream; issued when it is first asked for. A command asks only when it is sure to
    /// write.
    pub(crate) fn position(&mut self) -> Result<Position> {
        if let Some(issued) = &self.issued {
            return Ok(issued.position());
        }
        let issued = match self.inner.issue(!self.view.is_short())? {
            Some(issued) => issued,
            None => return self.view.fall_short(),
        };
        let position = issued.position();
        self.issued = Some(issued);
        Ok(position)
    }

    /// Says who may have to be told. Issues the position.
    pub(crate) fn change(&mut self, key: ChangeKey) -> Result<()> {
        self.position()?;
        if !self.changes.contains(&key) || self.changes.len() > 64 {
            self.changes.push(key);
        }
        Ok(())
    }

    /// Writes a row.
    pub(crate) fn put(&mut self, key: &Key, value: impl Into<Vec<u8>>) -> Result<()> {
        let value = value.into();
        self.view.spend(value.len())?;
        self.note(key)?;
        self.batch.put_cf(self.inner.engine().family(key.family())?, key, &value);
        self.written.insert(key.as_bytes().to_vec(), Some(value));
        Ok(())
    }

    /// Writes a row as JSON.
    pub(crate) fn put_json<T: Serialize + ?Sized>(&mut self, key: &Key, value: &T) -> Result<()> {
        let value = serde_json::to_vec(value)
            .map_err(|error| StorageError::corrupt(format!("a row for the table {:?}", key.table()), error))?;
        self.put(key, value)
    }

    /// Writes a row as JSON text, as it is.
    pub(crate) fn put_raw(&mut self, key: &Key, value: &RawJson) -> Result<()> {
        self.put(key, value.get())
    }

    /// Writes a row as a number.
    pub(crate) fn put_u64(&mut self, key: &Key, value: u64) -> Result<()> {
        self.put(key, value.to_be_bytes())
    }

    /// Writes a large row that this command does not read again, without keeping a copy.
    pub(crate) fn put_blob(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.view.spend(value.len())?;
        self.note(key)?;
        self.batch.put_cf(self.inner.engine().family(key.family())?, key, value);
        self.written.remove(key.as_bytes());
        Ok(())
    }

    /// A row is about to be written.
    fn note(&mut self, key: &Key) -> Result<()> {
        let engine = self.inner.engine();
        let Some(newest) = engine.newest() else { return Ok(()) };
        if let Some((log, position)) = key.log_place() {
            newest.note(log, position);
        }
        if key.table().is_kept() {
            let position = self.position()?;
            newest.note(key.first_text(), position);
        }
        Ok(())
    }

    /// As [`Self::note`], for rows that are deleted together.
    fn note_span(&mut self, span: &Span) -> Result<()> {
        if let Some(rows) = span.kept() {
            let position = self.position()?;
            if let Some(newest) = self.inner.engine().newest() {
                newest.note(rows, position);
            }
        }
        Ok(())
    }

    /// Deletes a row, there or not.
    pub(crate) fn delete(&mut self, key: &Key) -> Result<()> {
        self.view.spend(0)?;
        self.note(key)?;
        self.batch.delete_cf(self.inner.engine().family(key.family())?, key);
        self.written.insert(key.as_bytes().to_vec(), None);
        Ok(())
    }

    /// Deletes all rows of a span that were there before this command: a few one by one, many by one mark, so the cost is
    /// bounded. Marks cost later reads, so they are not for what happens often. Whether there were any.
    ///
    /// Where rows were many, reads of this command go on seeing those it did not write.
    pub(crate) fn delete_span(&mut self, span: Span) -> Result<bool> {
        self.note_span(&span)?;
        let family = self.inner.engine().family(span.family())?;
        let mut keys = Vec::new();
        for row in self.view.scan(span.clone())?.take(FEW + 1) {
            keys.push(row?.0);
        }
        if keys.len() > FEW {
            self.batch.delete_range_cf(family, span.from(), span.to());
            self.written.retain(|key, _| key.as_slice() < span.from() || key.as_slice() >= span.to());
            return Ok(true);
        }
        let any = !keys.is_empty();
        for key in keys {
            self.batch.delete_cf(family, &key);
            self.written.insert(key.into_vec(), None);
        }
        Ok(any)
    }

    /// Deletes all rows that begin with these parts, see [`Self::delete_span`].
    pub(crate) fn delete_prefix(&mut self, prefix: &Key) -> Result<()> {
        self.delete_span(Span::prefix(prefix)).map(drop)
    }

    /// Deletes rows one by one, however many, so that reads of this command know; gives their number.
    pub(crate) fn delete_each(&mut self, span: Span) -> Result<u64> {
        self.note_span(&span)?;
        let family = self.inner.engine().family(span.family())?;
        let mut count = 0;
        for row in self.view.scan(span)? {
            let (key, _) = row?;
            self.batch.delete_cf(family, &key);
            self.written.insert(key.into_vec(), None);
            count += 1;
        }
        Ok(count)
    }

    /// Forgets all that was written and told so far: the command does nothing.
    pub(crate) fn discard(&mut self) {
        self.batch.clear();
        self.written.clear();
        self.changes.clear();
        self.issued = None;
    }

    /// A fact about the store.
    pub(crate) fn meta(name: &str) -> Key {
        Key::new(Table::Meta).text(name)
    }

    /// Writes the batch; what is returned is to be waited for after the locks are given back. [`Wrote::TooLong`] only of
    /// a short command.
    pub(crate) fn commit(mut self) -> Result<Wrote> {
        if self.batch.is_empty() && self.changes.is_empty() {
            return Ok(Wrote::Done(self.inner.wal().settled()));
        }
        match self.write() {
            Ok(true) => {
                let position = self.issued.take().map(Issued::keep);
                Ok(Wrote::Done(Some(self.inner.wal().commit(position, self.changes))))
            }
            Ok(false) => Ok(Wrote::TooLong),
            Err(error) => {
                // The batch may come back, so its position must never be final.
                self.issued.take().map(Issued::keep);
                Err(error)
            }
        }
    }

    /// Writes the batch, which need not be durable at once and is told to nobody.
    pub(crate) fn commit_relaxed(mut self) -> Result<Wrote> {
        if self.batch.is_empty() || self.write()? { Ok(Wrote::Done(None)) } else { Ok(Wrote::TooLong) }
    }

    fn write(&mut self) -> Result<bool> {
        let batch = std::mem::take(&mut self.batch);
        self.inner.engine().write(batch, self.view.is_short()).inspect_err(|error| self.inner.wal().fail(error))
    }
}

/// What became of a batch.
pub(crate) enum Wrote {
    /// It is written; a wait for the disk, if there is one.
    Done(Option<Durable>),
    /// Nothing is written, since that takes longer than a short command may.
    TooLong,
}

impl Reads for Command<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        match self.written.get(key.as_bytes()) {
            Some(written) => Ok(written.clone()),
            None => self.view.get(key),
        }
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Vec<u8>>>> {
        if self.written.is_empty() {
            return self.view.get_many(keys);
        }
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn scan(&self, span: Span) -> Result<Scan<'_>> {
        self.view.scan(span)
    }
}
