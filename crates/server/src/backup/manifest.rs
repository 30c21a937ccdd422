//! What is in a backup: a file that is written last and says what the others are.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use olmstead_storage::maintenance::StoreFacts;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::{BackupError, of};
use crate::config::EngineName;

/// Its name.
const FILE: &str = "manifest.json";
/// The form of backups. One that an older version would misread gets a new number.
const FORMAT: u64 = 1;

/// What a backup is of, and its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub format: u64,
    /// The server name of the store.
    pub server_name: String,
    /// The engine.
    pub engine: EngineName,
    /// The schema or format of the data, as the engine counts it.
    pub schema: u64,
    /// The life of the store.
    pub epoch: u64,
    /// When the backup was finished, seconds since the Unix epoch.
    pub made_at: u64,
    /// The version of Olmstead that made it.
    pub version: String,
    /// All files but this one.
    pub files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the backup.
    pub path: PathBuf,
    /// Its length, bytes.
    pub size: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// The time, seconds since the Unix epoch.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The time, milliseconds since the Unix epoch: also two restores in one second have names of their own.
pub(super) fn now_milliseconds() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl Manifest {
    /// Looks at all files in a directory, brings them to disk, and writes the manifest.
    pub(super) fn write(
        directory: &Path,
        engine: EngineName,
        name: String,
        facts: &StoreFacts,
    ) -> Result<Self, BackupError> {
        let mut files = Vec::new();
        list(directory, Path::new(""), &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let manifest = Self {
            format: FORMAT,
            server_name: name,
            engine,
            schema: facts.schema,
            epoch: facts.epoch.0,
            made_at: now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files,
        };
        let path = directory.join(FILE);
        let written = || {
            let mut file = File::create(&path)?;
            serde_json::to_writer_pretty(&mut file, &manifest)?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        written().map_err(of(&path))?;
        sync_directory(directory)?;
        Ok(manifest)
    }

    /// Reads the manifest of a backup.
    pub(super) fn read(directory: &Path) -> Result<Self, BackupError> {
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                return Err(BackupError::NoManifest(directory.to_owned()));
            }
            Err(error) => return Err(of(path)(error)),
        };
        let damaged = |what: String| BackupError::Damaged { file: path.clone(), what };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        // Before the rest, which a newer version may have in another form.
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found > FORMAT => {
                return Err(BackupError::Newer { what: "the form", found, known: FORMAT });
            }
            _ => {}
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
        let is_inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if let Some(entry) = manifest.files.iter().find(|entry| !is_inside(&entry.path)) {
            return Err(damaged(format!("names the file {}, which is not in the backup", entry.path.display())));
        }
        Ok(manifest)
    }

    /// The length of all files together, bytes.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|entry| entry.size).sum()
    }
}

impl Entry {
    /// Reads the file in a backup to its end, writing what is read into `copy`, and refuses it if it is not what was written.
    pub(super) fn check(&self, backup: &Path, copy: &mut impl io::Write) -> Result<(), BackupError> {
        let file = backup.join(&self.path);
        let damaged = |what: &str| BackupError::Damaged { file: file.clone(), what: what.to_owned() };
        let mut source = match File::open(&file) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is missing")),
            Err(error) => return Err(of(file)(error)),
        };
        let (size, sha256) = sum(&mut source, copy).map_err(of(&file))?;
        if size != self.size {
            return Err(damaged("has another length than when it was written"));
        }
        if sha256 != self.sha256 {
            return Err(damaged("has other content than when it was written"));
        }
        Ok(())
    }
}

/// Brings the names in a directory to disk.
pub(super) fn sync_directory(directory: &Path) -> Result<(), BackupError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(of(directory))
}

fn list(root: &Path, under: &Path, files: &mut Vec<Entry>) -> Result<(), BackupError> {
    let directory = root.join(under);
    for entry in fs::read_dir(&directory).map_err(of(&directory))? {
        let entry = entry.map_err(of(&directory))?;
        let path = under.join(entry.file_name());
        if entry.file_type().map_err(of(&directory))?.is_dir() {
            list(root, &path, files)?;
            continue;
        }
        let whole = root.join(&path);
        let read = || {
            let mut file = File::open(&whole)?;
            file.sync_all()?;
            sum(&mut file, &mut io::sink())
        };
        let (size, sha256) = read().map_err(of(&whole))?;
        files.push(Entry { path, size, sha256 });
    }
    sync_directory(&directory)
}

/// Length and SHA-256 of what is read, which is written elsewhere.
fn sum(from: &mut File, to: &mut impl io::Write) -> io::Result<(u64, String)> {
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let read = from.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        to.write_all(part)?;
        size += part.len() as u64;
    }
    Ok((size, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
