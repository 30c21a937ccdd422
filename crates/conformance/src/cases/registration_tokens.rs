//! Registration tokens.

use olmstead_storage::{
    devices::TokenHash,
    registration_tokens::{Invited, RegistrationToken},
};

use crate::{
    Store,
    support::{account, parallel, session, token as fresh_hash, user_id},
};

/// A token that works until `expires_at`, if that is given.
fn token(text: &str, uses_allowed: Option<u64>, expires_at: Option<u64>) -> RegistrationToken {
    RegistrationToken { token: text.to_owned(), uses_allowed, uses_completed: 0, expires_at, created_at: 7 }
}

async fn kept(store: &Store, uses_allowed: Option<u64>, expires_at: Option<u64>) -> TokenHash {
    let hash = fresh_hash();
    assert!(store.add_registration_token(&hash, token("text", uses_allowed, expires_at)).await.unwrap());
    hash
}

async fn uses(store: &Store, hash: &TokenHash) -> u64 {
    store.registration_token(hash).await.unwrap().unwrap().uses_completed
}

async fn register(store: &Store, name: &str, hash: &TokenHash, now: u64) -> Invited {
    store.create_invited_account(account(&user_id(name)), Some(session("FIRST")), hash, now).await.unwrap()
}

/// A token comes back as it was made; another under its hash does not take its place.
pub async fn a_token_is_kept_once(store: Store) {
    let (hash, other) = (fresh_hash(), fresh_hash());
    assert_eq!(store.registration_token(&hash).await.unwrap(), None);
    let first =
        RegistrationToken { uses_completed: 2, ..token("a \0 \u{1F511}", Some(3), Some(u64::from(u32::MAX) * 9)) };
    assert!(store.add_registration_token(&hash, first.clone()).await.unwrap());
    assert!(!store.add_registration_token(&hash, token("b", None, None)).await.unwrap());
    assert!(store.add_registration_token(&other, token("c", None, None)).await.unwrap());
    assert_eq!(store.registration_token(&hash).await.unwrap(), Some(first));
    assert_eq!(store.registration_token(&other).await.unwrap(), Some(token("c", None, None)));
}

/// Every token is on one page, in the order of hashes.
pub async fn tokens_come_in_pages(store: Store) {
    assert!(store.registration_tokens_after(None, 10).await.unwrap().is_empty());
    let mut hashes: Vec<TokenHash> =
        [[0; 32], [0xff; 32], [1; 32]].into_iter().chain((0..4).map(|_| fresh_hash())).collect();
    for (number, hash) in hashes.iter().enumerate() {
        assert!(
            store.add_registration_token(hash, token(&format!("{hash:?}"), Some(number as u64), None)).await.unwrap()
        );
    }
    hashes.sort_unstable();
    for limit in [1, 2, 6, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.registration_tokens_after(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            found.extend(page.into_iter().map(|token| token.token));
            if found.len() >= hashes.len() || found.is_empty() {
                break;
            }
            after = hashes.get(found.len() - 1).copied();
        }
        assert_eq!(found, hashes.iter().map(|hash| format!("{hash:?}")).collect::<Vec<_>>(), "in pages of {limit}");
    }
    assert!(store.registration_tokens_after(hashes.last(), 10).await.unwrap().is_empty());
}

/// The account is there with its session, and the use is counted.
pub async fn a_use_is_counted_with_its_account(store: Store) {
    let hash = kept(&store, None, None).await;
    for (number, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        assert_eq!(uses(&store, &hash).await, number as u64);
        assert_eq!(register(&store, name, &hash, 1).await, Invited::Created);
        assert_eq!(store.account(&user_id(name)).await.unwrap(), Some(account(&user_id(name))));
        assert_eq!(store.devices(&user_id(name)).await.unwrap().len(), 1);
    }
    assert_eq!(store.search_users("bob", 9).await.unwrap(), [user_id("bob")]);
    let other = store.create_invited_account(account(&user_id("dave")), None, &hash, 1).await.unwrap();
    assert_eq!((other, uses(&store, &hash).await), (Invited::Created, 4));
    assert!(store.devices(&user_id("dave")).await.unwrap().is_empty());
}

/// A token that is not there, spent or at its end does nothing.
pub async fn a_token_that_is_over_makes_no_account(store: Store) {
    let (once, short, never) = (kept(&store, Some(1), None).await, kept(&store, None, Some(100)).await, fresh_hash());
    let none = kept(&store, Some(0), None).await;
    assert_eq!(register(&store, "first", &once, 1).await, Invited::Created);
    assert_eq!(register(&store, "early", &short, 99).await, Invited::Created);
    for (hash, now) in [(&once, 1), (&short, 100), (&short, 5_000), (&never, 1), (&none, 1)] {
        assert_eq!(register(&store, "alice", hash, now).await, Invited::TokenNotValid);
        assert_eq!(store.account(&user_id("alice")).await.unwrap(), None);
        assert!(store.devices(&user_id("alice")).await.unwrap().is_empty());
    }
    assert_eq!((uses(&store, &once).await, uses(&store, &short).await), (1, 1));
    // It is kept, so that an operator sees what became of it.
    assert_eq!(store.registration_tokens_after(None, 9).await.unwrap().len(), 3);
}

/// The first account stays as it is, and the token can be used for another.
pub async fn a_name_that_is_taken_uses_nothing_up(store: Store) {
    let alice = store.user("alice").await;
    let hash = kept(&store, Some(1), None).await;
    assert_eq!(register(&store, "alice", &hash, 1).await, Invited::NameTaken);
    assert_eq!(uses(&store, &hash).await, 0);
    assert!(store.devices(&alice).await.unwrap().is_empty());
    assert_eq!(register(&store, "bob", &hash, 1).await, Invited::Created);
}

/// Of many who come at once with one token, as many get an account as it allows; on all nodes together.
pub async fn of_parallel_registrations_as_many_win_as_are_allowed(store: Store) {
    let hash = kept(&store, Some(3), None).await;
    let nodes = [store.clone(), store.node().await];
    let answers = parallel(16, |index| {
        let store = nodes[index % 2].clone();
        async move { register(&store, &format!("user{index}"), &hash, 1).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Invited::Created).count(), 3);
    assert!(answers.iter().all(|answer| *answer != Invited::NameTaken));
    assert_eq!(uses(&store, &hash).await, 3);
    for (index, answer) in answers.into_iter().enumerate() {
        let account = store.account(&user_id(&format!("user{index}"))).await.unwrap();
        assert_eq!(account.is_some(), answer == Invited::Created);
    }
}

/// After its deletion a token lets nobody in.
pub async fn a_deleted_token_makes_no_account(store: Store) {
    let (hash, other) = (kept(&store, None, None).await, kept(&store, None, None).await);
    assert!(store.delete_registration_token(&hash).await.unwrap());
    assert!(!store.delete_registration_token(&hash).await.unwrap());
    assert_eq!(store.registration_token(&hash).await.unwrap(), None);
    assert_eq!(register(&store, "alice", &hash, 1).await, Invited::TokenNotValid);
    assert_eq!(register(&store, "alice", &other, 1).await, Invited::Created);
    // The same text may be a token anew.
    assert!(store.add_registration_token(&hash, token("text", Some(1), None)).await.unwrap());
    assert_eq!(uses(&store, &hash).await, 0);
}

/// Tokens and their uses outlive the process.
pub async fn registration_tokens_survive_a_restart(store: Store) {
    let (hash, gone) = (kept(&store, Some(2), Some(9_000)).await, kept(&store, None, None).await);
    register(&store, "alice", &hash, 1).await;
    store.delete_registration_token(&gone).await.unwrap();
    let store = store.reopen().await;
    let expected = RegistrationToken { uses_completed: 1, ..token("text", Some(2), Some(9_000)) };
    assert_eq!(store.registration_tokens_after(None, 9).await.unwrap(), [expected]);
    assert_eq!(register(&store, "bob", &hash, 1).await, Invited::Created);
    assert_eq!(register(&store, "carol", &hash, 1).await, Invited::TokenNotValid);
}
