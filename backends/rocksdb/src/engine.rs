//! RocksDB itself: how it is opened and tuned, and the few calls the rest is made of.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use olmstead_domain::position::Position;
use olmstead_storage::{Result, StorageError};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, ErrorKind,
    ReadOptions, WriteBatch, WriteOptions,
};

use crate::{
    Disk, OpenError, RealDisk, damage,
    keys::{Family, Key},
    log_marks::Marks,
    newest::Newest,
};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of memory for blocks that were read, filters and indexes. Filled as they are used.
    pub block_cache_bytes: usize,
    /// Bytes of memory for writes that are not yet in table files. Filled as they are used.
    pub write_buffer_bytes: usize,
    /// Files kept open at most.
    pub max_open_files: i32,
    /// Whether a store is made where there is none.
    pub create: bool,
    /// Bytes of the disk that are kept free: with less, commands are refused. Of a small disk a sixteenth, if that is
    /// less.
    pub least_free_bytes: u64,
    /// The disk, which is the real one but in tests.
    pub disk: Arc<dyn Disk>,
    /// Whether the log is on disk before a command succeeds. Only a test that proves the need for it turns it off: then
    /// a crash loses commands that were answered.
    pub wal_sync: bool,
    /// Whether a copy of a store is told from the store itself, and begins a new epoch. Only a test that copies the files to
    /// see what a crash would leave turns it off.
    pub tell_copies: bool,
    /// What the crash drill wants to be otherwise.
    #[cfg(feature = "drill-faults")]
    pub faults: crate::Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_cache_bytes: 32 << 20,
            write_buffer_bytes: 32 << 20,
            max_open_files: 512,
            create: true,
            least_free_bytes: 256 << 20,
            disk: Arc::new(RealDisk),
            wal_sync: true,
            tell_copies: true,
            #[cfg(feature = "drill-faults")]
            faults: crate::Faults::default(),
        }
    }
}

/// What reading a value gave.
pub(crate) type Read = Result<Option<Vec<u8>>, rocksdb::Error>;

/// An open database.
pub(crate) struct Engine {
    db: DB,
    /// Set when the store knows where its positions go on.
    newest: OnceLock<Newest>,
    marks: Marks,
    disk: Arc<dyn Disk>,
    #[cfg(feature = "drill-faults")]
    faults: crate::Faults,
}

impl Engine {
    /// Opens or makes the database in a directory.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(unusable)?;
        let is_there = damage::is_store(path)?;
        if !is_there && !options.create {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        let marks = Marks::open(path).map_err(unusable)?;
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let shared = database_options(options);
        // A newer version may have more families. They must be named to open the database and read its format.
        let mut names: Vec<String> = Family::ALL.iter().map(|family| family.name().to_owned()).collect();
        if is_there {
            let found = DB::list_cf(&shared, path).map_err(|source| damage::refused(path, source))?;
            names.extend(found.into_iter().filter(|name| Family::ALL.iter().all(|family| family.name() != name)));
        }
        let families = || -> Vec<ColumnFamilyDescriptor> {
            let descriptor = |name: &String| {
                let mut options = family_options(options, &cache);
                if name == Family::Media.name() {
                    keep_values_apart(&mut options);
                }
                ColumnFamilyDescriptor::new(name, options)
            };
            names.iter().map(descriptor).collect()
        };
        if is_there {
            damage::refuse_gap(path, &marks, &shared, families)?;
        }
        let db = DB::open_cf_descriptors(&shared, path, families()).map_err(|error| damage::refused(path, error))?;
        if !is_there {
            tracing::info!(directory = %path.display(), "a new store was made");
        }
        Ok(Self {
            db,
            newest: OnceLock::new(),
            marks,
            disk: Arc::clone(&options.disk),
            #[cfg(feature = "drill-faults")]
            faults: options.faults.clone(),
        })
    }

    /// One value; the inner error is that of reading it.
    pub(crate) fn get(&self, key: &Key, options: &ReadOptions) -> Result<Read> {
        Ok(self.db.get_cf_opt(self.family(key.family())?, key, options))
    }

    /// Several values of one family, in the order asked.
    pub(crate) fn get_many(&self, keys: &[Key], options: &ReadOptions) -> Result<Vec<Read>> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        if keys.len() == 1 || keys.iter().any(|key| key.family() != first.family()) {
            return keys.iter().map(|key| self.get(key, options)).collect();
        }
        let family = self.family(first.family())?;
        let found = self.db.batched_multi_get_cf_opt(family, keys, false, options);
        Ok(found.into_iter().map(|value| Ok(value?.map(|value| value.to_vec()))).collect())
    }

    /// Writes a batch into the log's buffer and the tables in memory: visible at once, not yet durable. With `at_once`,
    /// gives `false` and writes nothing if that has to wait for tables to be written out.
    pub(crate) fn write(&self, batch: WriteBatch, at_once: bool) -> Result<bool> {
        let mut options = WriteOptions::default();
        options.set_no_slowdown(at_once);
        match self.db.write_opt(batch, &options) {
            Ok(()) => Ok(true),
            Err(error) if at_once && error.kind() == ErrorKind::Incomplete => Ok(false),
            Err(error) => Err(storage_error(error)),
        }
    }

    /// Writes a batch and waits until it is on disk.
    pub(crate) fn write_durable(&self, batch: WriteBatch) -> Result<()> {
        #[cfg(feature = "drill-faults")]
        if self.faults.note.is_some() || self.faults.no_sync {
            self.db.write(batch).map_err(storage_error)?;
            return self.flush_log();
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(storage_error)?;
        self.disk.synced().map_err(not_synced)
    }

    /// Bytes of the files, those of the log aside, and of what is to be written to them.
    pub(crate) fn size(&self) -> Result<u64> {
        let mut size = 0_u64;
        for family in Family::ALL {
            for property in
                ["rocksdb.total-sst-files-size", "rocksdb.total-blob-file-size", "rocksdb.cur-size-all-mem-tables"]
            {
                let bytes = self.db.property_int_value_cf(self.family(family)?, property).map_err(storage_error)?;
                size = size.saturating_add(bytes.unwrap_or_default());
            }
        }
        Ok(size)
    }

    /// The sequence number of the last write.
    pub(crate) fn written(&self) -> u64 {
        self.db.latest_sequence_number()
    }

    /// Tells the log that all writes up to this sequence number are on disk; it is, with what is written next.
    pub(crate) fn mark_synced(&self, sequence: u64) -> Result<()> {
        let mut batch = WriteBatch::default();
        batch.put_log_data(self.marks.mark(sequence));
        // Where it would have to wait, the next mark says the same.
        self.write(batch, true).map(drop)
    }

    /// Brings everything written so far to disk.
    pub(crate) fn flush_log(&self) -> Result<()> {
        #[cfg(feature = "drill-faults")]
        let result = self.faults.flush_log(&self.db);
        #[cfg(not(feature = "drill-faults"))]
        let result = self.db.flush_wal(true);
        result.map_err(storage_error)?;
        self.disk.synced().map_err(not_synced)
    }

    /// The drill's fault of the same name.
    #[cfg(feature = "drill-faults")]
    pub(crate) const fn answers_early(&self) -> bool {
        self.faults.early_answer
    }

    /// Begins to remember how far logs reach. All their rows so far are below `start`.
    pub(crate) fn remember_newest(&self, start: Position) {
        self.newest.get_or_init(|| Newest::new(start));
    }

    /// How far logs reach, if that is known.
    pub(crate) fn newest(&self) -> Option<&Newest> {
        self.newest.get()
    }

    /// RocksDB, for iterators and snapshots.
    pub(crate) const fn db(&self) -> &DB {
        &self.db
    }

    /// The handle of a family.
    pub(crate) fn family(&self, family: Family) -> Result<&ColumnFamily> {
        self.db
            .cf_handle(family.name())
            .ok_or_else(|| StorageError::damaged(format!("the column family {} is missing", family.name())))
    }
}

/// An error of a running database.
pub(crate) fn storage_error(error: rocksdb::Error) -> StorageError {
    match error.kind() {
        ErrorKind::Corruption => StorageError::corrupt("RocksDB found damaged data", error),
        _ => StorageError::unavailable("RocksDB failed", error),
    }
}

fn not_synced(error: std::io::Error) -> StorageError {
    StorageError::unavailable("the log could not be brought to disk", error)
}

fn database_options(options: &Options) -> rocksdb::Options {
    let mut db = rocksdb::Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    // The log's buffer is written out by the thread that syncs it, once for all commands that wait.
    db.set_manual_wal_flush(true);
    db.set_db_write_buffer_size(options.write_buffer_bytes);
    // What was not synced when the power was lost is dropped. That nothing else is missing was seen to (`damage.rs`).
    db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_paranoid_checks(true);
    // Bounds what a start after a crash has to replay.
    db.set_max_total_wal_size(4 * options.write_buffer_bytes as u64);
    db.set_max_open_files(options.max_open_files);
    db.set_max_background_jobs(2);
    db.set_bytes_per_sync(1 << 20);
    db.set_keep_log_file_num(4);
    db.set_max_log_file_size(1 << 20);
    db
}

fn family_options(options: &Options, cache: &Cache) -> rocksdb::Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_block_size(8 << 10);
    // Filters and indexes count as cache, so that memory stays bounded as the database grows.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut family = rocksdb::Options::default();
    family.set_block_based_table_factory(&table);
    family.set_write_buffer_size(options.write_buffer_bytes / 4);
    family.set_level_compaction_dynamic_level_bytes(true);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_bottommost_compression_type(DBCompressionType::Zstd);
    family
}

/// Large values are written once into files of their own, and not again when their keys are compacted.
fn keep_values_apart(family: &mut rocksdb::Options) {
    family.set_enable_blob_files(true);
    family.set_min_blob_size(4 << 10);
    family.set_enable_blob_gc(true);
    // Media is compressed as it is.
    family.set_blob_compression_type(DBCompressionType::None);
}
