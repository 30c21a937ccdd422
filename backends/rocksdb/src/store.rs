//! The store: opening it, and running commands and reads on it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use olmstead_domain::position::{Epoch, Position};
use olmstead_storage::{Result, StorageError, changes::Horizon, with_causes};
use rocksdb::WriteBatch;

use crate::{
    OpenError, Options,
    command::{Command, Wrote},
    disk::Headroom,
    engine::Engine,
    keys::{Family, Key},
    locks::{Guard, LockTable, Locks},
    place, pools,
    reads::{Reads, Span, View},
    rooms::{EventCache, RoomCache},
    stream::{Issued, Stream},
    user_keys::UserKeysCache,
    wal::{self, Wal},
};

/// See [`RocksStore::FORMAT`].
const FORMAT: u64 = RocksStore::FORMAT;

/// Name of the format's number among the facts of the store.
const FORMAT_KEY: &str = "format";
/// Name of the epoch.
const EPOCH_KEY: &str = "epoch";
/// Name of the bound of the positions that may have been issued.
const RESERVED_KEY: &str = "reserved_positions";

/// More positions than are used between a copy and what it replaces.
const UNKNOWN: u64 = 1 << 32;

/// A store in a directory.
///
/// Dropping it closes it; the directory can be opened again when all that ran on it has ended.
pub struct RocksStore {
    inner: Arc<Inner>,
    directory: PathBuf,
    events: Arc<EventCache>,
    rooms: Arc<RoomCache>,
    user_keys: Arc<UserKeysCache>,
}

/// What commands run on.
pub(crate) struct Inner {
    // Before the engine: its thread is ended first.
    wal: Wal,
    stream: Arc<Stream>,
    locks: LockTable,
    headroom: Headroom,
    engine: Arc<Engine>,
}

impl Inner {
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) const fn wal(&self) -> &Wal {
        &self.wal
    }

    /// Issues a position; `None` if that needs the disk, and may not.
    pub(crate) fn issue(&self, may_wait: bool) -> Result<Option<Issued<'_>>> {
        self.stream.issue(may_wait, |bound| {
            let mut batch = WriteBatch::default();
            batch.put_cf(self.engine.family(Family::Main)?, Command::meta(RESERVED_KEY), bound.0.to_be_bytes());
            self.engine.write_durable(batch).inspect_err(|error| self.wal.fail(error))
        })
    }
}

impl RocksStore {
    /// The format of stored data that this version writes, and the newest that it reads. A change that an older version would
    /// misread gets a new number.
    pub const FORMAT: u64 = 1;

    /// Opens the store in a directory, or makes one there. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`], in words for the operator.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let engine = Arc::new(Engine::open(path, &options)?);
        let (mut epoch, mut reserved) = begin(&engine, path)?;
        let refused = |error: StorageError| cannot_open(path, &error);
        let is_copy = place::is_copy(&engine, path).map_err(refused)? && options.tell_copies;
        if is_copy {
            tracing::warn!(
                directory = %path.display(),
                "the store is a copy or was restored: a new epoch begins and one-time keys are dropped"
            );
            (epoch, reserved) = next_life(&engine, epoch, reserved).map_err(refused)?;
        }
        engine.remember_newest(reserved);
        let stream = Arc::new(Stream::new(epoch, reserved));
        let wal = Wal::start(Arc::clone(&engine), Arc::clone(&stream), options.wal_sync)
            .map_err(|source| OpenError::Directory { path: path.to_owned(), source })?;
        let headroom = Headroom::new(Arc::clone(&options.disk), path, options.least_free_bytes);
        let inner = Arc::new(Inner { wal, stream, locks: LockTable::new(), headroom, engine });
        if is_copy {
            // Keys may have been handed out since the copy was made. The epoch comes last: until then it is a copy still, and
            // all of this is done again.
            pools::drop_one_time_keys(&inner).map_err(refused)?;
        }
        place::note(&inner.engine, path, is_copy.then_some((Command::meta(EPOCH_KEY), epoch.0))).map_err(refused)?;
        let directory = path.to_owned();
        let (events, rooms, user_keys) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Arc::new(Self { inner, directory, events, rooms, user_keys }))
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Runs a command under its locks. It is durable when this returns.
    ///
    /// The work may be run twice: first here, which is enough for most commands and spares a change of threads, and again
    /// on the blocking pool if it met something that is not in memory, is large, or has to wait. The first attempt has
    /// left nothing then.
    pub(crate) async fn command<T: Send + 'static>(
        &self,
        locks: Locks,
        work: impl Fn(&mut Command<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        self.command_of(false, locks, work).await
    }

    /// [`Self::command`], on the blocking pool at once if it is known to be long.
    pub(crate) async fn command_of<T: Send + 'static>(
        &self,
        is_long: bool,
        locks: Locks,
        work: impl Fn(&mut Command<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let guards = self.inner.locks.take(locks).await;
        let whole = move |mut command: Command<'_>| {
            let answer = work(&mut command);
            if command.fell_short() {
                return Ok(None);
            }
            let answer = answer?;
            Ok(match command.commit()? {
                Wrote::Done(durable) => Some((answer, durable)),
                Wrote::TooLong => None,
            })
        };
        let (answer, durable) = self.twice(is_long, guards, whole).await?;
        #[cfg(feature = "drill-faults")]
        if self.inner.engine.answers_early() {
            return Ok(answer);
        }
        if let Some(durable) = durable
            && !durable.await.unwrap_or(false)
        {
            return Err(wal::lost());
        }
        Ok(answer)
    }

    /// Runs a command that need not be durable at once and has no position; while the disk is full, it does nothing. As
    /// for the rest see [`Self::command`].
    pub(crate) async fn relaxed_command(
        &self,
        locks: Locks,
        work: impl Fn(&mut Command<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        if !self.inner.headroom.is_there() {
            return Ok(());
        }
        let guards = self.inner.locks.take(locks).await;
        let whole = move |mut command: Command<'_>| {
            let answer = work(&mut command);
            if command.fell_short() {
                return Ok(None);
            }
            answer?;
            Ok(match command.commit_relaxed()? {
                Wrote::Done(_) => Some(()),
                Wrote::TooLong => None,
            })
        };
        self.twice(false, guards, whole).await
    }

    /// Does short work here, or all of it on the blocking pool.
    async fn twice<T: Send + 'static>(
        &self,
        is_long: bool,
        guards: Vec<Guard>,
        work: impl Fn(Command<'_>) -> Result<Option<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        self.inner.wal.check()?;
        self.inner.headroom.check()?;
        if !is_long && let Some(done) = work(Command::new(&self.inner, true))? {
            return Ok(done);
        }
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            // Moved in, so that the locks are held to the end even if the caller goes away.
            let _guards = guards;
            inner.wal.check()?;
            work(Command::new(&inner, false))?.ok_or_else(|| StorageError::damaged("a command without an end"))
        })
        .await
    }

    /// Reads, each row as of when it is read. The work may be run twice, as that of a command.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&View<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        {
            let view = View::now(&self.inner.engine, true);
            let answer = work(&view);
            if !view.fell_short() {
                return answer;
            }
        }
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&View::now(&inner.engine, false))).await
    }

    /// Reads in one consistent view. The horizon given is of the view: all below it is in it. The work may be run twice.
    pub(crate) async fn read_view<T: Send + 'static>(
        &self,
        work: impl Fn(&View<'_>, Horizon) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_view_of(false, work).await
    }

    /// [`Self::read_view`], on the blocking pool at once if it is known to be long.
    pub(crate) async fn read_view_of<T: Send + 'static>(
        &self,
        is_long: bool,
        work: impl Fn(&View<'_>, Horizon) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if !is_long {
            // In this order: what is final before the view is made is in the view.
            let horizon = self.inner.stream.horizon();
            let view = View::frozen(&self.inner.engine, true);
            let answer = work(&view, horizon);
            if !view.fell_short() {
                return answer;
            }
        }
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let horizon = inner.stream.horizon();
            work(&View::frozen(&inner.engine, false), horizon)
        })
        .await
    }

    /// Events that were read lately.
    pub(crate) fn events(&self) -> Arc<EventCache> {
        Arc::clone(&self.events)
    }

    /// Keys of users that were read lately.
    pub(crate) fn user_keys(&self) -> Arc<UserKeysCache> {
        Arc::clone(&self.user_keys)
    }

    /// What is known of rooms and their members.
    pub(crate) fn rooms(&self) -> Arc<RoomCache> {
        Arc::clone(&self.rooms)
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.inner.stream
    }

    pub(crate) fn wal(&self) -> &Wal {
        &self.inner.wal
    }
}

/// One hop to the threads that may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StorageError::unavailable("a storage task did not end well", error)))
}

fn cannot_open(path: &Path, error: &StorageError) -> OpenError {
    let (path, what) = (path.to_owned(), with_causes(error));
    match error {
        StorageError::Corrupt { .. } => OpenError::Damaged { path, what },
        _ => OpenError::Failed { path, what },
    }
}

/// Reads the store's facts about itself, or writes them into a new one: its epoch, and where positions go on.
fn begin(engine: &Engine, path: &Path) -> Result<(Epoch, Position), OpenError> {
    let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
    let refused = |error: StorageError| cannot_open(path, &error);
    let view = View::now(engine, false);
    let fact = |name: &str| view.get_u64(&Command::meta(name)).map_err(refused);
    let Some(format) = fact(FORMAT_KEY)? else {
        let whole = Span::all(Family::Main);
        let mut rows = view.scan(whole).map_err(refused)?;
        if rows.next().is_some() {
            return Err(damaged("it has no format number".to_owned()));
        }
        if place::is_noted(path) {
            return Err(damaged("it is empty, but was in use, as the file \"place\" says".to_owned()));
        }
        return create(engine).map_err(refused);
    };
    if format > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    match (fact(EPOCH_KEY)?, fact(RESERVED_KEY)?) {
        (Some(epoch), Some(reserved)) => Ok((Epoch(epoch), Position(reserved))),
        _ => Err(damaged("its epoch or position is missing".to_owned())),
    }
}

/// The epoch and the first position of a copy that goes on: above all positions that the other life may have used, and no
/// epoch that another restore of the same copy has had. The positions are on disk when this returns, the epoch is not.
fn next_life(engine: &Engine, epoch: Epoch, reserved: Position) -> Result<(Epoch, Position)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let epoch = Epoch(epoch.0.saturating_add(1).max(u64::try_from(now).unwrap_or_default()));
    let first = Position(reserved.0.saturating_add(UNKNOWN));
    let mut batch = WriteBatch::default();
    batch.put_cf(engine.family(Family::Main)?, Command::meta(RESERVED_KEY), first.0.to_be_bytes());
    engine.write_durable(batch)?;
    Ok((epoch, first))
}

fn create(engine: &Engine) -> Result<(Epoch, Position)> {
    let (epoch, first) = (Epoch(1), Position::START.next());
    let family = engine.family(Family::Main)?;
    let mut batch = WriteBatch::default();
    let facts: [(Key, u64); 3] = [
        (Command::meta(FORMAT_KEY), FORMAT),
        (Command::meta(EPOCH_KEY), epoch.0),
        (Command::meta(RESERVED_KEY), first.0),
    ];
    for (key, value) in facts {
        batch.put_cf(family, key, value.to_be_bytes());
    }
    engine.write_durable(batch)?;
    Ok((epoch, first))
}
