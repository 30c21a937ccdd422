//! Server-side key backups.

use std::collections::BTreeMap;

use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData, replaces},
    json::RawJson,
};
use olmstead_storage::{
    backups::{BackupKey, BackupSelection, BackupState, DeleteBackupOutcome, PutBackupOutcome, UpdateBackupOutcome},
    devices::DeviceSelection,
};
use ruma::{RoomId, UserId};
use serde_json::json;

use crate::{
    Store,
    support::{ODD_ROOMS, parallel, raw, room_id},
};

const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

async fn create(store: &Store, user: &UserId) -> BackupVersion {
    store.create_backup(user, ALGORITHM.to_owned(), raw(json!({ "public_key": "abc" }))).await.unwrap()
}

fn data(verified: bool, index: u64, forwarded: u64) -> KeyBackupData {
    KeyBackupData {
        first_message_index: index,
        forwarded_count: forwarded,
        is_verified: verified,
        session_data: raw(json!({ "ciphertext": format!("{verified} {index} {forwarded}") })),
    }
}

fn key(room: &RoomId, session: &str, data: KeyBackupData) -> BackupKey {
    BackupKey { room_id: room.to_owned(), session_id: session.to_owned(), data }
}

async fn put(store: &Store, user: &UserId, version: BackupVersion, keys: Vec<BackupKey>) -> BackupState {
    match store.put_backup_keys(user, version, keys).await.unwrap() {
        PutBackupOutcome::Stored(state) => state,
        other => panic!("put: {other:?}"),
    }
}

/// `room/session` of what a selection gives.
async fn selected(store: &Store, user: &UserId, version: BackupVersion, selection: BackupSelection<'_>) -> Vec<String> {
    let keys = store.backup_keys(user, version, selection).await.unwrap().expect("the version exists");
    keys.iter().map(|key| format!("{} {}", key.room_id, key.session_id)).collect()
}

/// Versions go up, of each user by itself, and are never used again: not after a deletion, not after a restart (BKP-1,
/// BKP-2, BKP-32).
pub async fn versions_are_numbered_and_never_reused(mut store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    assert_eq!(store.backup(&alice, None).await.unwrap(), None);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let version = create(&store, &alice).await;
        assert!(seen.iter().all(|old| *old < version), "{version} after {seen:?}");
        seen.push(version);
        assert_eq!(store.delete_backup(&alice, version).await.unwrap(), DeleteBackupOutcome::Deleted);
        store = store.reopen().await;
    }
    assert_eq!(store.backup(&alice, None).await.unwrap(), None);
    create(&store, &bob).await;
    assert_eq!(store.backup(&alice, None).await.unwrap(), None);
    assert_eq!(store.backup(&bob, seen.last().copied()).await.unwrap(), None, "versions of others are not seen");
}

/// The latest is the newest that still exists; older ones are read by their version (BKP-3, BKP-4, BKP-10).
pub async fn the_newest_remaining_version_is_current(store: Store) {
    let alice = store.user("alice").await;
    let (one, two, three) = (create(&store, &alice).await, create(&store, &alice).await, create(&store, &alice).await);
    let info = store.backup(&alice, None).await.unwrap().unwrap();
    assert_eq!((info.version, info.count, info.algorithm.as_str()), (three, 0, ALGORITHM));
    assert_eq!(info.auth_data, raw(json!({ "public_key": "abc" })));
    assert_eq!(store.backup(&alice, Some(one)).await.unwrap().unwrap().version, one);
    store.delete_backup(&alice, two).await.unwrap();
    assert_eq!(store.backup(&alice, None).await.unwrap().unwrap().version, three);
    store.delete_backup(&alice, three).await.unwrap();
    assert_eq!(store.backup(&alice, None).await.unwrap().unwrap().version, one);
    put(&store, &alice, one, vec![key(&room_id("r"), "s", data(true, 0, 0))]).await;
    assert_eq!(store.backup(&alice, Some(three)).await.unwrap(), None);
    assert_eq!(store.backup(&alice, Some(BackupVersion(99))).await.unwrap(), None);
}

/// Version 10 is newer than version 9.
pub async fn more_than_ten_versions_are_in_numeric_order(store: Store) {
    let alice = store.user("alice").await;
    for _ in 0..12 {
        let version = create(&store, &alice).await;
        assert_eq!(store.backup(&alice, None).await.unwrap().unwrap().version, version);
        put(&store, &alice, version, vec![key(&room_id("r"), "s", data(true, 0, 0))]).await;
    }
}

/// A description's `auth_data` changes, and nothing else (BKP-5, BKP-6).
pub async fn a_description_is_updated(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let version = create(&store, &alice).await;
    put(&store, &alice, version, vec![key(&room_id("r"), "s", data(true, 0, 0))]).await;
    let before = store.backup(&alice, None).await.unwrap().unwrap();
    let auth_data = RawJson::from_text(r#"{ "b": 1,  "a": [ ] }"#.to_owned()).unwrap();
    let update = |user, version, algorithm| store.update_backup(user, version, algorithm, auth_data.clone());
    assert_eq!(update(&alice, version, "other").await.unwrap(), UpdateBackupOutcome::OtherAlgorithm);
    assert_eq!(store.backup(&alice, None).await.unwrap().unwrap(), before);
    assert_eq!(update(&alice, version, ALGORITHM).await.unwrap(), UpdateBackupOutcome::Updated);
    let mut expected = before;
    expected.auth_data = auth_data.clone();
    assert_eq!(store.backup(&alice, None).await.unwrap().unwrap(), expected);
    assert_eq!(update(&alice, BackupVersion(99), ALGORITHM).await.unwrap(), UpdateBackupOutcome::NotFound);
    assert_eq!(update(&bob, version, ALGORITHM).await.unwrap(), UpdateBackupOutcome::NotFound);
    store.delete_backup(&alice, version).await.unwrap();
    assert_eq!(update(&alice, version, ALGORITHM).await.unwrap(), UpdateBackupOutcome::NotFound);
    assert_eq!(store.backup(&alice, Some(version)).await.unwrap(), None);
}

/// Deletion takes the keys too, and may be repeated; a version that never was is not found (BKP-8, BKP-9).
pub async fn a_version_is_deleted_with_its_keys(store: Store) {
    let alice = store.user("alice").await;
    let (one, two) = (create(&store, &alice).await, create(&store, &alice).await);
    let keys = (0..20).map(|number| key(&room_id("r"), &format!("s{number}"), data(true, 0, 0))).collect();
    put(&store, &alice, two, keys).await;
    assert_eq!(store.delete_backup(&alice, two).await.unwrap(), DeleteBackupOutcome::Deleted);
    assert_eq!(store.delete_backup(&alice, two).await.unwrap(), DeleteBackupOutcome::Deleted);
    assert_eq!(store.delete_backup(&alice, BackupVersion(77)).await.unwrap(), DeleteBackupOutcome::NotFound);
    assert_eq!(store.delete_backup(&alice, BackupVersion(0)).await.unwrap(), DeleteBackupOutcome::NotFound);
    assert!(store.backup_keys(&alice, two, BackupSelection::All).await.unwrap().is_none());
    assert!(store.delete_backup_keys(&alice, two, BackupSelection::All).await.unwrap().is_none());
    assert_eq!(store.backup(&alice, Some(one)).await.unwrap().unwrap().count, 0);
}

/// Keys go to the current version only; the answer names it (BKP-12, BKP-13).
pub async fn only_the_current_version_takes_keys(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let keys = || vec![key(&room_id("r"), "s", data(true, 0, 0))];
    let put = |user, version| store.put_backup_keys(user, version, keys());
    assert_eq!(put(&alice, BackupVersion(1)).await.unwrap(), PutBackupOutcome::NotFound);
    let (one, two) = (create(&store, &alice).await, create(&store, &alice).await);
    assert_eq!(put(&alice, one).await.unwrap(), PutBackupOutcome::NotCurrent { current: two });
    assert_eq!(put(&alice, BackupVersion(99)).await.unwrap(), PutBackupOutcome::NotFound);
    assert_eq!(put(&bob, two).await.unwrap(), PutBackupOutcome::NotFound);
    assert!(selected(&store, &alice, one, BackupSelection::All).await.is_empty());
    assert!(matches!(put(&alice, two).await.unwrap(), PutBackupOutcome::Stored(_)));
    store.delete_backup(&alice, two).await.unwrap();
    assert_eq!(put(&alice, two).await.unwrap(), PutBackupOutcome::NotFound);
    assert!(matches!(put(&alice, one).await.unwrap(), PutBackupOutcome::Stored(_)));
}

/// The replace rule, key by key (BKP-14 to BKP-18).
pub async fn the_better_key_wins(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let room = room_id("r");
    let table = [
        ("a verified key beats an unverified one", data(false, 0, 0), data(true, 9, 9), true),
        ("an unverified key never replaces a verified one", data(true, 9, 9), data(false, 0, 0), false),
        ("a lower index wins", data(true, 5, 0), data(true, 4, 9), true),
        ("a higher index loses", data(true, 4, 9), data(true, 5, 0), false),
        ("a lower forwarded count wins", data(false, 4, 3), data(false, 4, 2), true),
        ("a higher forwarded count loses", data(false, 4, 2), data(false, 4, 3), false),
    ];
    for (number, (what, old, new, wins)) in table.into_iter().enumerate() {
        let session = format!("s{number}");
        put(&store, &alice, version, vec![key(&room, &session, old.clone())]).await;
        put(&store, &alice, version, vec![key(&room, &session, new.clone())]).await;
        let selection = BackupSelection::Session(&room, &session);
        let stored = store.backup_keys(&alice, version, selection).await.unwrap().unwrap();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].data, if wins { new } else { old }, "{what}");
    }
    let mut equal = data(true, 4, 9);
    equal.session_data = raw(json!({ "another": "ciphertext" }));
    put(&store, &alice, version, vec![key(&room, "s3", equal)]).await;
    let stored = store.backup_keys(&alice, version, BackupSelection::Session(&room, "s3")).await.unwrap().unwrap();
    assert_eq!(stored[0].data, data(true, 4, 9), "of equals the stored one stays");
}

/// The etag grows exactly when stored keys change; the count is that of the keys (BKP-21 to BKP-23).
pub async fn the_etag_changes_with_the_keys_alone(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let room = room_id("r");
    let info = async || {
        let info = store.backup(&alice, Some(version)).await.unwrap().unwrap();
        BackupState { etag: info.etag, count: info.count }
    };
    let start = info().await;
    assert_eq!(start.count, 0);
    assert_eq!(put(&store, &alice, version, Vec::new()).await, start);
    let first =
        put(&store, &alice, version, vec![key(&room, "a", data(true, 5, 0)), key(&room, "b", data(true, 5, 0))]).await;
    assert_eq!(first.count, 2);
    assert!(first.etag > start.etag);
    assert_eq!(info().await, first);
    let losers = vec![key(&room, "a", data(true, 6, 0)), key(&room, "b", data(true, 5, 0))];
    assert_eq!(put(&store, &alice, version, losers).await, first, "no key won");
    let second =
        put(&store, &alice, version, vec![key(&room, "a", data(true, 6, 0)), key(&room, "b", data(true, 4, 0))]).await;
    assert_eq!(second.count, 2);
    assert!(second.etag > first.etag);
    store.update_backup(&alice, version, ALGORITHM, raw(json!({ "new": 1 }))).await.unwrap();
    assert_eq!(info().await, second, "a new description is no change of keys");
    let delete = |selection| store.delete_backup_keys(&alice, version, selection);
    assert_eq!(delete(BackupSelection::Session(&room, "zz")).await.unwrap(), Some(second), "nothing was deleted");
    let third = delete(BackupSelection::Session(&room, "a")).await.unwrap().unwrap();
    assert_eq!(third.count, 1);
    assert!(third.etag > second.etag);
    assert_eq!(info().await, third);
    let fourth = delete(BackupSelection::All).await.unwrap().unwrap();
    assert_eq!(fourth.count, 0);
    assert!(fourth.etag > third.etag);
    assert_eq!(delete(BackupSelection::All).await.unwrap(), Some(fourth));
}

/// Keys are read and deleted all, by room, or one, in the order of room and session (BKP-24, BKP-25, BKP-27).
pub async fn keys_are_selected_by_room_and_session(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let (a, b) = (room_id("a"), room_id("b"));
    let mut keys = Vec::new();
    for room in [&b, &a] {
        for session in ["3", "1", "2"] {
            keys.push(key(room, session, data(true, 0, 0)));
        }
    }
    put(&store, &alice, version, keys).await;
    let line = |room: &RoomId, session: &str| format!("{room} {session}");
    let of = |room: &RoomId| ["1", "2", "3"].map(|session| line(room, session)).to_vec();
    assert_eq!(selected(&store, &alice, version, BackupSelection::All).await, [of(&a), of(&b)].concat());
    assert_eq!(selected(&store, &alice, version, BackupSelection::Room(&a)).await, of(&a));
    assert_eq!(selected(&store, &alice, version, BackupSelection::Session(&b, "2")).await, [line(&b, "2")]);
    assert!(selected(&store, &alice, version, BackupSelection::Session(&b, "9")).await.is_empty());
    assert!(selected(&store, &alice, version, BackupSelection::Room(&room_id("c"))).await.is_empty());
    assert!(store.backup_keys(&alice, BackupVersion(9), BackupSelection::All).await.unwrap().is_none());
    let state = store.delete_backup_keys(&alice, version, BackupSelection::Room(&a)).await.unwrap().unwrap();
    assert_eq!(state.count, 3);
    assert_eq!(selected(&store, &alice, version, BackupSelection::All).await, of(&b));
    let state = store.delete_backup_keys(&alice, version, BackupSelection::Session(&b, "2")).await.unwrap().unwrap();
    assert_eq!(state.count, 2);
    assert_eq!(selected(&store, &alice, version, BackupSelection::Room(&b)).await, [line(&b, "1"), line(&b, "3")]);
}

/// Ids with separators, prefixes of each other or unusual characters stay apart (GEN-21).
pub async fn odd_ids_do_not_mix(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let mut rooms = vec![room_id("a"), room_id("ab")];
    rooms.extend(ODD_ROOMS.map(|room| RoomId::parse(room).unwrap()));
    let sessions = ["s", "s/1", "s1", "s+/=%", "\u{1F600}", "s\u{0}", "s\u{0}\u{1}", "S", "\u{7f}"];
    for room in &rooms {
        for session in sessions {
            let mut data = data(true, 0, 0);
            data.session_data = raw(json!({ "of": [room, session] }));
            put(&store, &alice, version, vec![key(room, session, data)]).await;
        }
    }
    let mut count = 81;
    assert_eq!(store.backup(&alice, None).await.unwrap().unwrap().count, count);
    for room in &rooms {
        assert_eq!(selected(&store, &alice, version, BackupSelection::Room(room)).await.len(), 9);
        for session in sessions {
            let selection = BackupSelection::Session(room, session);
            let found = store.backup_keys(&alice, version, selection).await.unwrap().unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].session_id, session);
            assert_eq!(found[0].data.session_data, raw(json!({ "of": [room, session] })));
        }
    }
    for room in &rooms {
        for (selection, gone) in [(BackupSelection::Session(room, "s\u{0}"), 1), (BackupSelection::Room(room), 8)] {
            let state = store.delete_backup_keys(&alice, version, selection).await.unwrap();
            count -= gone;
            assert_eq!(state.unwrap().count, count, "{room:?}");
        }
    }
}

/// `session_data` is kept byte for byte (BKP-20), over a restart too.
pub async fn session_data_comes_back_unchanged(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let room = room_id("r");
    let text = r#"{ "mac" : "x",  "ciphertext":"\u0041/\/", "ephemeral": { "n": 1.50, "z": null } }"#;
    let mut odd = data(false, 9_007_199_254_740_991, 3);
    odd.session_data = RawJson::from_text(text.to_owned()).unwrap();
    put(&store, &alice, version, vec![key(&room, "s", odd.clone())]).await;
    let store = store.reopen().await;
    let stored = store.backup_keys(&alice, version, BackupSelection::All).await.unwrap().unwrap();
    assert_eq!(stored[0].data, odd);
    assert_eq!(stored[0].data.session_data.get(), text);
}

/// Keys of older versions are read and deleted too (BKP-26, BKP-28).
pub async fn keys_are_deleted_from_any_version(store: Store) {
    let alice = store.user("alice").await;
    let one = create(&store, &alice).await;
    let room = room_id("r");
    put(&store, &alice, one, vec![key(&room, "a", data(true, 0, 0)), key(&room, "b", data(true, 0, 0))]).await;
    let two = create(&store, &alice).await;
    put(&store, &alice, two, vec![key(&room, "a", data(true, 0, 0))]).await;
    assert_eq!(selected(&store, &alice, one, BackupSelection::All).await.len(), 2);
    let state = store.delete_backup_keys(&alice, one, BackupSelection::Session(&room, "a")).await.unwrap().unwrap();
    assert_eq!(state.count, 1);
    assert_eq!(store.backup(&alice, Some(two)).await.unwrap().unwrap().count, 1);
}

/// Backups outlive logout and the deletion of all devices (BKP-33).
pub async fn backups_belong_to_users_not_to_devices(store: Store) {
    let (alice, _) = store.user_with_device("alice").await;
    let version = create(&store, &alice).await;
    put(&store, &alice, version, vec![key(&room_id("r"), "s", data(true, 0, 0))]).await;
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    assert_eq!(store.backup(&alice, None).await.unwrap().unwrap().count, 1);
    assert_eq!(selected(&store, &alice, version, BackupSelection::All).await.len(), 1);
}

/// Parallel puts end with the best key of each session, whatever the order; count and etag agree with it (BKP-29).
pub async fn parallel_puts_converge(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let start = store.backup(&alice, None).await.unwrap().unwrap().etag;
    let candidate = |task: usize, session: usize| {
        let number = u64::try_from((task * 7 + session * 3) % 32).unwrap();
        data(number.is_multiple_of(3), number / 4, number % 4)
    };
    let states = parallel(32, |task| {
        let (store, alice) = (store.clone(), alice.clone());
        async move {
            let keys = (0..5).map(|session| key(&room_id("r"), &format!("s{session}"), candidate(task, session)));
            put(&store, &alice, version, keys.collect()).await
        }
    })
    .await;
    let stored = store.backup_keys(&alice, version, BackupSelection::All).await.unwrap().unwrap();
    assert_eq!(stored.len(), 5);
    for (session, stored) in stored.iter().enumerate() {
        let best = (0..32)
            .map(|task| candidate(task, session))
            .reduce(|old, new| if replaces(&old, &new) { new } else { old });
        assert_eq!(stored.data, best.unwrap(), "session {session}");
    }
    let info = store.backup(&alice, None).await.unwrap().unwrap();
    assert_eq!(info.count, 5);
    assert!(info.etag > start);
    assert!(states.iter().all(|state| state.etag <= info.etag && state.count == 5));
    assert!(states.iter().any(|state| state.etag == info.etag), "the last change was somebody's");
}

/// A put that races with a new version is wholly in the old one, or refused with the new one's name (BKP-30).
pub async fn a_put_is_wholly_before_a_new_version_or_refused(store: Store) {
    let alice = store.user("alice").await;
    for round in 0..15 {
        let old = create(&store, &alice).await;
        let outcomes = parallel(9, |task| {
            let (store, alice) = (store.clone(), alice.clone());
            async move {
                if task == 4 {
                    return Err(create(&store, &alice).await);
                }
                let keys = (0..10).map(|session| key(&room_id("r"), &format!("{task} {session}"), data(true, 0, 0)));
                Ok(store.put_backup_keys(&alice, old, keys.collect()).await.unwrap())
            }
        })
        .await;
        let new = outcomes.iter().find_map(|outcome| outcome.as_ref().err()).copied().unwrap();
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for (task, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Ok(PutBackupOutcome::Stored(_)) => {
                    expected.insert(task.to_string(), 10);
                }
                Ok(PutBackupOutcome::NotCurrent { current }) => assert_eq!(*current, new, "round {round}"),
                Ok(other) => panic!("round {round}: {other:?}"),
                Err(_) => {}
            }
        }
        let mut stored: BTreeMap<String, u64> = BTreeMap::new();
        for key in store.backup_keys(&alice, old, BackupSelection::All).await.unwrap().unwrap() {
            *stored.entry(key.session_id.split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(stored, expected, "round {round}");
        let info = store.backup(&alice, Some(old)).await.unwrap().unwrap();
        assert_eq!(info.count, stored.values().sum::<u64>(), "round {round}");
        assert_eq!(store.backup(&alice, Some(new)).await.unwrap().unwrap().count, 0, "round {round}");
    }
}

/// A large put counts right (BKP-22), and so does one that repeats most of it.
pub async fn a_bulk_put_counts_right(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    let keys = |range: std::ops::Range<u64>| {
        range
            .map(|number| key(&room_id(&format!("r{}", number % 7)), &format!("s{number}"), data(true, 0, 0)))
            .collect()
    };
    assert_eq!(put(&store, &alice, version, keys(0..2_000)).await.count, 2_000);
    assert_eq!(put(&store, &alice, version, keys(500..2_500)).await.count, 2_500);
    assert_eq!(selected(&store, &alice, version, BackupSelection::All).await.len(), 2_500);
}

/// Versions, keys, counts and etags are there after a restart.
pub async fn backups_survive_a_restart(store: Store) {
    let alice = store.user("alice").await;
    let version = create(&store, &alice).await;
    put(&store, &alice, version, vec![key(&room_id("r"), "s", data(true, 0, 0))]).await;
    let before = store.backup(&alice, None).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.backup(&alice, None).await.unwrap(), before);
    let state = put(&store, &alice, version, vec![key(&room_id("r"), "s2", data(true, 0, 0))]).await;
    assert_eq!(state.count, 2);
    assert!(state.etag > before.unwrap().etag);
}
