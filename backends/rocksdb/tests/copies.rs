//! Which directories are taken for copies, and checkpoints of a store that is in use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use olmstead_domain::{json::RawJson, position::Epoch};
use olmstead_rocksdb::{Options, RocksStore};
use olmstead_storage::{
    AccountData as _, Accounts as _, Changes as _, Maintenance as _, Storage as _, accounts::Account,
};
use ruma::OwnedUserId;
use tempfile::TempDir;

fn open(path: &Path) -> Arc<RocksStore> {
    RocksStore::open(path, Options::default()).unwrap()
}

/// Opens and closes a store; its epoch.
async fn epoch(path: &Path) -> Epoch {
    let store = open(path);
    let epoch = store.horizon().await.unwrap().epoch;
    store.close().await.unwrap();
    epoch
}

fn put(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A store that was opened and closed, in a directory with room for others.
async fn closed() -> (TempDir, PathBuf) {
    let root = TempDir::new().unwrap();
    let store = root.path().join("store");
    assert_eq!(epoch(&store).await, Epoch(1));
    (root, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_put_back_into_the_same_directory_are_a_copy() {
    let (root, store) = closed().await;
    let copy = root.path().join("copy");
    put(&store, &copy);
    assert_eq!(epoch(&store).await, Epoch(1), "the store itself goes on");
    for entry in fs::read_dir(&store).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    put(&copy, &store);
    let restored = epoch(&store).await;
    assert!(restored > Epoch(1));
    assert_eq!(epoch(&store).await, restored, "once");
}

/// As `rsync` does: files that are the same are left alone, with the file that marks the place among them if it is.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_differs_put_back_after_a_clean_end_is_a_copy() {
    let (root, store) = closed().await;
    let copy = root.path().join("copy");
    let running = open(&store);
    put(&store, &copy);
    running.close().await.unwrap();
    drop(running);
    for entry in fs::read_dir(&store).unwrap() {
        let path = entry.unwrap().path();
        let same = fs::read(copy.join(path.file_name().unwrap())).is_ok_and(|text| text == fs::read(&path).unwrap());
        if !same {
            fs::remove_file(&path).unwrap();
        }
    }
    for entry in fs::read_dir(&copy).unwrap() {
        let (from, to) = {
            let e = entry.unwrap();
            (e.path(), store.join(e.file_name()))
        };
        if !to.exists() {
            fs::copy(from, to).unwrap();
        }
    }
    assert!(epoch(&store).await > Epoch(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_renamed_is_no_copy() {
    let (root, store) = closed().await;
    let moved = root.path().join("moved");
    fs::rename(&store, &moved).unwrap();
    assert_eq!(epoch(&moved).await, Epoch(1));
}

/// How an operator says that the disk was put back as it once was.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_mark_was_deleted_is_a_copy() {
    let (_root, store) = closed().await;
    fs::remove_file(store.join("place")).unwrap();
    assert!(epoch(&store).await > Epoch(1));
}

/// A crash may come between the note in the data and the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_cut_off_leaves_no_copy() {
    let (root, store) = closed().await;
    let before = root.path().join("place");
    // The file of before, itself: its data knows the one that was to replace it, too.
    fs::rename(store.join("place"), &before).unwrap();
    fs::write(store.join("place"), "").unwrap();
    fs::rename(&before, store.join("place")).unwrap();
    fs::write(store.join("place.new"), "left").unwrap();
    assert_eq!(epoch(&store).await, Epoch(1));
}

/// What was answered before is in a checkpoint, and it opens as a copy, whatever is written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_a_store_in_use_has_what_was_answered() {
    let (root, store) = closed().await;
    let running = open(&store);
    let user: OwnedUserId = "@alice:example.org".try_into().unwrap();
    running.create_account(Account::new(user.clone(), None, 0), None).await.unwrap();
    let value = |n: u32| RawJson::from_text(format!(r#"{{"n":{n}}}"#)).unwrap();
    let mut written = 0;
    for round in 0..3 {
        for _ in 0..50 {
            running.set_account_data(&user, None, &format!("k{written}"), value(written)).await.unwrap();
            written += 1;
        }
        let (busy, user) = (Arc::clone(&running), user.clone());
        let writer = tokio::spawn(async move {
            for n in 0..100 {
                busy.set_account_data(&user, None, "busy", value(n)).await.unwrap();
            }
        });
        let copy = root.path().join(format!("copy{round}"));
        let facts = running.checkpoint(&copy).await.unwrap().unwrap();
        assert_eq!(facts.epoch, Epoch(1));
        writer.await.unwrap();
        let copy = open(&copy);
        assert!(copy.horizon().await.unwrap().epoch > Epoch(1));
        for n in 0..written {
            let kept =
                copy.account_data("@alice:example.org".try_into().unwrap(), None, &format!("k{n}")).await.unwrap();
            assert_eq!(kept.unwrap().get(), value(n).get());
        }
    }
    assert!(running.checkpoint(&root.path().join("copy0")).await.is_err(), "what is there is not written over");
}
