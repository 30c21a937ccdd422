//! Damaged stores: told by name, and never opened as if nothing were missing; but what a loss of power leaves is no damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    error::Error as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use olmstead_domain::json::RawJson;
use olmstead_rocksdb::{OpenError, Options, RocksStore};
use olmstead_storage::{AccountData as _, Accounts as _, Storage as _, StorageError, accounts::Account};
use ruma::{OwnedUserId, user_id};
use tempfile::TempDir;

fn open(path: &Path) -> Result<Arc<RocksStore>, OpenError> {
    RocksStore::open(path, Options { tell_copies: false, ..Options::default() })
}

/// Why a store does not open, which has to be its damage and what to do about it.
fn damage(path: &Path) -> String {
    match open(path) {
        Err(error @ OpenError::Damaged { .. }) => {
            let text = error.to_string();
            assert!(text.contains("olmstead restore") && text.contains(path.to_str().unwrap()), "{text}");
            text
        }
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("a damaged store was opened"),
    }
}

fn alice() -> OwnedUserId {
    user_id!("@alice:example.org").to_owned()
}

/// Something that does not compress.
fn text(n: usize) -> String {
    let mut state = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut text = String::new();
    for _ in 0..8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}

async fn write(store: &RocksStore, range: std::ops::Range<usize>) {
    for n in range {
        let value = RawJson::from_text(format!(r#""{}""#, text(n))).unwrap();
        store.set_account_data(&alice(), None, &format!("k{n}"), value).await.unwrap();
    }
}

async fn read(store: &RocksStore, n: usize) -> Result<bool, StorageError> {
    Ok(store.account_data(&alice(), None, &format!("k{n}")).await?.is_some())
}

/// Copies the files as they are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The files whose names begin and end so.
fn files(directory: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(begin) && name.ends_with(end)
        })
        .collect();
    files.sort();
    files
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// What a process that was killed left, with everything in the log: the directory, and the log.
async fn killed(count: usize) -> (TempDir, PathBuf, PathBuf) {
    let root = TempDir::new().unwrap();
    let store = open(&root.path().join("running")).unwrap();
    store.create_account(Account::new(alice(), None, 0), None).await.unwrap();
    write(&store, 0..count).await;
    let left = root.path().join("left");
    copy(&root.path().join("running"), &left);
    let logs = files(&left, "", ".log");
    let log = logs.iter().max_by_key(|log| fs::metadata(log).unwrap().len()).unwrap().clone();
    (root, left, log)
}

/// A store whose data is in tables.
async fn settled(count: usize) -> (TempDir, PathBuf) {
    let (root, left, _) = killed(count).await;
    open(&left).unwrap().close().await.unwrap();
    assert!(!files(&left, "", ".sst").is_empty(), "the log was written out at the start");
    (root, left)
}

/// A loss of power leaves the end of the log half written, or as it was before, or whatever was on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_log_may_be_anything() {
    let (root, left, log) = killed(60).await;
    let name = log.file_name().unwrap();
    let length = fs::metadata(&log).unwrap().len();
    type Harm = fn(&mut Vec<u8>);
    let harms: [(&str, Harm, usize); 7] = [
        ("cut", |log| log.truncate(log.len() - 20), 59),
        ("cut to one byte less", |log| log.truncate(log.len() - 1), 59),
        ("spoiled", |log| *log.last_mut().unwrap() ^= 1, 59),
        ("zeros after it", |log| log.extend([0; 5000]), 60),
        ("anything after it", |log| log.extend((0..5000).map(|n: u32| n.wrapping_mul(97) as u8)), 60),
        (
            "the last of it zeros",
            |log| {
                let end = log.len();
                log[end - 20..].fill(0);
            },
            59,
        ),
        ("nothing", |_| {}, 60),
    ];
    for (what, harm, least) in harms {
        let place = root.path().join(what);
        copy(&left, &place);
        change(&place.join(name), harm);
        let store = open(&place).unwrap_or_else(|error| panic!("{what} of {length}: {error}"));
        for n in 0..least {
            assert!(read(&store, n).await.unwrap(), "{what}: {n} is there");
        }
        write(&store, 100..101).await;
    }
}

/// Damage before what is known to have been synced takes answered commands with it. The store stays as it is, so that the
/// file can be put back.
#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_of_the_log_is_named() {
    let (root, left, log) = killed(600).await;
    let name = log.file_name().unwrap();
    let length = usize::try_from(fs::metadata(&log).unwrap().len()).unwrap();
    assert!(length > 100_000, "several blocks of the log, {length} bytes");
    let place = root.path().join("harmed");
    let file = place.join(name);
    for tenth in 1..9 {
        for (what, width, value) in [("a byte", 1, None), ("zeros", 300, Some(0)), ("a page of zeros", 4096, Some(0))] {
            let _ = fs::remove_dir_all(&place);
            copy(&left, &place);
            let at = length * tenth / 10;
            change(&file, |log| match value {
                None => log[at] ^= 0x10,
                Some(value) => log[at..at + width].fill(value),
            });
            for attempt in 0..2 {
                let text = damage(&place);
                let named = text.contains(file.to_str().unwrap()) && text.contains("were answered");
                assert!(named, "{what} at {tenth}/10, attempt {attempt}: {text}");
            }
            fs::copy(&log, &file).unwrap();
            let store = open(&place).unwrap();
            for n in [0, 300, 599] {
                assert!(read(&store, n).await.unwrap(), "{n} is there when the file was put back");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_log_is_named() {
    let (_root, left, _) = killed(20).await;
    for log in files(&left, "", ".log") {
        fs::remove_file(log).unwrap();
    }
    assert!(damage(&left).contains("its log is missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_files_are_named() {
    let (root, left) = settled(50).await;
    let harmed = |what: &str, lost: &[PathBuf]| {
        let place = root.path().join(what);
        copy(&left, &place);
        for file in lost {
            fs::remove_file(place.join(file.file_name().unwrap())).unwrap();
        }
        place
    };
    let text = damage(&harmed("current", &[left.join("CURRENT")]));
    assert!(text.contains("CURRENT is missing"), "{text}");
    let manifests = files(&left, "MANIFEST", "");
    let text = damage(&harmed("manifest", &manifests));
    assert!(text.contains("MANIFEST-"), "{text}");
    for table in files(&left, "", ".sst") {
        let name = table.file_name().unwrap().to_str().unwrap().to_owned();
        let text = damage(&harmed(&name, &[table]));
        assert!(text.contains(&name), "{text}");
    }
    let everything: Vec<PathBuf> = files(&left, "", "")
        .into_iter()
        .filter(|file| !["place", "LOCK"].iter().any(|kept| file.ends_with(kept)))
        .collect();
    let text = damage(&harmed("everything", &everything));
    assert!(text.contains("there is data of a store, such as place"), "{text}");
    // Of these there is nothing that is not known otherwise.
    let store = open(&harmed("options", &files(&left, "OPTIONS", ""))).unwrap();
    assert!(read(&store, 49).await.unwrap());
    let store = open(&harmed("marks", &[left.join("log-marks")])).unwrap();
    assert!(read(&store, 49).await.unwrap());
}

/// RocksDB would make a new database where all of the old one is gone but a name.
#[tokio::test(flavor = "multi_thread")]
async fn another_empty_database_in_the_place_is_named() {
    let (root, left) = settled(5).await;
    let place = root.path().join("emptied");
    fs::create_dir(&place).unwrap();
    fs::copy(left.join("place"), place.join("place")).unwrap();
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    drop(rocksdb::DB::open(&options, &place).unwrap());
    assert!(damage(&place).contains("it is empty, but was in use"));
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_files_are_named() {
    let (root, left) = settled(3000).await;
    let harmed = |what: &str, file: &Path, at: fn(usize) -> usize| {
        let place = root.path().join(what);
        let _ = fs::remove_dir_all(&place);
        copy(&left, &place);
        change(&place.join(file.file_name().unwrap()), |bytes| {
            let at = at(bytes.len());
            bytes[at] ^= 0x20;
        });
        place
    };
    for (what, at) in [("begin", (|_| 9) as fn(usize) -> usize), ("middle", |length| length / 2), ("end", |n| n - 9)] {
        let place = harmed(what, &files(&left, "MANIFEST", "")[0], at);
        let text = damage(&place);
        assert!(text.contains("MANIFEST"), "{what}: {text}");
    }
    let place = harmed("current", &left.join("CURRENT"), |_| 3);
    assert!(damage(&place).contains("CURRENT"));
    // A block of a table is read when a row in it is, so the damage is found then: never as rows that are not there.
    let tables = files(&left, "", ".sst");
    let table = tables.iter().max_by_key(|table| fs::metadata(table).unwrap().len()).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    for at in [(|length| length / 3) as fn(usize) -> usize, |length| length / 2, |length| length - 20] {
        let place = harmed("table", table, at);
        let store = match open(&place) {
            Ok(store) => store,
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. }) && error.to_string().contains(name), "{error}");
                continue;
            }
        };
        let mut found = None;
        for n in 0..3000 {
            match read(&store, n).await {
                Ok(there) => assert!(there, "row {n} is not told to be missing"),
                Err(error) => found = Some(error),
            }
        }
        let error = found.expect("the damage is met");
        let source = error.source().unwrap().to_string();
        assert!(matches!(error, StorageError::Corrupt { .. }) && source.contains(name), "{error}: {source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_no_store_where_none_is_to_be_made() {
    let root = TempDir::new().unwrap();
    let never = || Options { create: false, ..Options::default() };
    let refused = RocksStore::open(root.path(), never()).err().unwrap();
    assert!(matches!(refused, OpenError::Missing { .. }), "{refused}");
    assert!(files(root.path(), "", "").is_empty(), "nothing was made");
    open(root.path()).unwrap().close().await.unwrap();
    RocksStore::open(root.path(), never()).unwrap();
}

/// A first start that was cut off before it had made a store is no damage.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_cut_off_begins_again() {
    let root = TempDir::new().unwrap();
    for (name, content) in [
        ("log-marks.new", "half"),
        ("log-marks", "0123456789abcdef"),
        ("LOG", ""),
        ("MANIFEST-000001", ""),
        ("000001.dbtmp", "MANIFEST"),
    ] {
        fs::write(root.path().join(name), content).unwrap();
        let place = root.path().join(format!("after {name}"));
        copy_files(root.path(), &place);
        open(&place).unwrap().close().await.unwrap();
    }
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from, "", "").iter().filter(|file| file.is_file()) {
        fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
    }
}
