//! Short-lived values.

use crate::{Store, support::parallel};

/// A value is there until its end; a new one takes its place.
pub async fn a_value_ends(store: Store) {
    assert_eq!(store.short_lived("uia", "k", 0).await.unwrap(), None);
    store.put_short_lived("uia", "k", b"one".to_vec(), 1_000).await.unwrap();
    assert_eq!(store.short_lived("uia", "k", 999).await.unwrap(), Some(b"one".to_vec()));
    assert_eq!(store.short_lived("uia", "k", 1_001).await.unwrap(), None);
    store.put_short_lived("uia", "k", b"two".to_vec(), 3_000).await.unwrap();
    assert_eq!(store.short_lived("uia", "k", 2_000).await.unwrap(), Some(b"two".to_vec()));
}

/// Kinds and keys are apart, also where one runs into the other.
pub async fn kinds_and_keys_do_not_mix(store: Store) {
    for (kind, key) in [("a", "bc"), ("ab", "c"), ("abc", ""), ("a", "b")] {
        store.put_short_lived(kind, key, format!("{kind} {key}").into_bytes(), 1_000).await.unwrap();
    }
    for (kind, key) in [("a", "bc"), ("ab", "c"), ("abc", ""), ("a", "b")] {
        assert_eq!(store.short_lived(kind, key, 1).await.unwrap(), Some(format!("{kind} {key}").into_bytes()));
    }
    assert!(store.take_short_lived("a", "b", 1).await.unwrap().is_some());
    assert!(store.short_lived("a", "bc", 1).await.unwrap().is_some());
}

/// A conditional replacement happens if the value is as expected.
pub async fn a_value_is_replaced_if_it_is_as_expected(store: Store) {
    let replace = |expected: &'static [u8], new: &'static [u8]| {
        store.replace_short_lived("uia", "k", expected, new.to_vec(), 5_000)
    };
    assert!(!replace(b"", b"one").await.unwrap());
    assert_eq!(store.short_lived("uia", "k", 1).await.unwrap(), None);
    store.put_short_lived("uia", "k", b"one".to_vec(), 1_000).await.unwrap();
    assert!(!replace(b"other", b"two").await.unwrap());
    assert!(replace(b"one", b"two").await.unwrap());
    assert_eq!(store.short_lived("uia", "k", 4_000).await.unwrap(), Some(b"two".to_vec()), "the end is new too");
}

/// A value is taken once, and not after its end (AUTH-16).
pub async fn a_value_is_taken_once(store: Store) {
    store.put_short_lived("login", "k", b"v".to_vec(), 1_000).await.unwrap();
    assert_eq!(store.take_short_lived("login", "k", 500).await.unwrap(), Some(b"v".to_vec()));
    assert_eq!(store.take_short_lived("login", "k", 500).await.unwrap(), None);
    assert_eq!(store.short_lived("login", "k", 500).await.unwrap(), None);
    store.put_short_lived("login", "k", b"late".to_vec(), 1_000).await.unwrap();
    assert_eq!(store.take_short_lived("login", "k", 1_001).await.unwrap(), None);
}

/// Of parallel takers one gets the value (AUTH-16).
pub async fn of_parallel_takers_one_gets_it(store: Store) {
    for round in 0..10_u8 {
        store.put_short_lived("login", "k", vec![round], 1_000).await.unwrap();
        let answers = parallel(32, |_| {
            let store = store.clone();
            async move { store.take_short_lived("login", "k", 1).await.unwrap() }
        })
        .await;
        assert_eq!(answers.into_iter().flatten().collect::<Vec<_>>(), [vec![round]]);
    }
}

/// Of parallel replacements of one value one wins.
pub async fn of_parallel_replacements_one_wins(store: Store) {
    store.put_short_lived("uia", "k", b"start".to_vec(), 1_000).await.unwrap();
    let answers =
        parallel(16, |task| {
            let store = store.clone();
            async move {
                store.replace_short_lived("uia", "k", b"start", format!("{task}").into_bytes(), 1_000).await.unwrap()
            }
        })
        .await;
    let won: Vec<usize> = answers.iter().enumerate().filter(|(_, won)| **won).map(|(task, _)| task).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.short_lived("uia", "k", 1).await.unwrap(), Some(format!("{}", won[0]).into_bytes()));
}

/// Forgetting takes what ended, a bounded number at a time, and nothing that lives.
pub async fn what_ended_is_forgotten(store: Store) {
    for number in 0..50 {
        store.put_short_lived("uia", &format!("dead{number}"), Vec::new(), 100 + number).await.unwrap();
    }
    store.put_short_lived("uia", "renewed", Vec::new(), 100).await.unwrap();
    store.put_short_lived("uia", "renewed", Vec::new(), 9_000).await.unwrap();
    store.put_short_lived("uia", "alive", Vec::new(), 9_000).await.unwrap();
    let mut forgotten = 0;
    loop {
        let count = store.expire_short_lived(5_000).await.unwrap();
        if count == 0 {
            break;
        }
        forgotten += count;
    }
    assert_eq!(forgotten, 50);
    for number in 0..50 {
        assert_eq!(store.short_lived("uia", &format!("dead{number}"), 0).await.unwrap(), None);
    }
    assert!(store.short_lived("uia", "alive", 5_000).await.unwrap().is_some());
    assert!(store.short_lived("uia", "renewed", 5_000).await.unwrap().is_some());
}

/// Values are there after a restart; a taken one is not.
pub async fn values_survive_a_restart(store: Store) {
    store.put_short_lived("uia", "kept", b"v".to_vec(), 1_000).await.unwrap();
    store.put_short_lived("uia", "taken", b"v".to_vec(), 1_000).await.unwrap();
    store.take_short_lived("uia", "taken", 1).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.short_lived("uia", "kept", 1).await.unwrap(), Some(b"v".to_vec()));
    assert_eq!(store.short_lived("uia", "taken", 1).await.unwrap(), None);
}
