//! Sessions: logins, tokens and their refresh.

use olmstead_storage::devices::{DeviceSelection, LoginOutcome, NewSession};

use crate::{
    Store,
    support::{account, keys::identity, parallel, session, to_device, token, user_id},
};

/// A login makes a device with the name asked for, and its token stands for it.
pub async fn a_login_makes_a_device(store: Store) {
    let alice = store.user("alice").await;
    let mut login = session("DEVICE");
    login.access_expires_at = Some(99_000);
    let outcome = store.login(&alice, login.clone()).await.unwrap();
    let LoginOutcome::LoggedIn { device, existing } = outcome else { panic!("{outcome:?}") };
    assert!(!existing);
    assert_eq!((&device.user_id, device.device_id.as_str()), (&alice, "DEVICE"));
    let found = store.session(&login.access).await.unwrap().unwrap();
    assert_eq!(found.device, device);
    assert_eq!(found.access_expires_at, Some(99_000));
    assert!(!found.retires_previous && !found.guest && !found.locked && !found.suspended && !found.admin);
    let stored = store.device(&alice, &device.device_id).await.unwrap().unwrap();
    assert_eq!(stored.id, device);
    assert_eq!(stored.display_name, login.initial_display_name);
    assert_eq!(stored.created_at, login.now);
    assert!(store.session(&login.refresh.unwrap()).await.unwrap().is_none(), "a refresh token is no access token");
}

/// There is no login without an account.
pub async fn nobody_logs_in_to_an_account_that_is_not_there(store: Store) {
    let login = session("DEVICE");
    assert_eq!(store.login(&user_id("nobody"), login.clone()).await.unwrap(), LoginOutcome::NoAccount);
    assert!(store.session(&login.access).await.unwrap().is_none());
}

/// A user has so many devices and no more, also when many log in at once; a known device is not one more, a dehydrated one
/// does not count, and where one was deleted another may be.
pub async fn a_user_has_a_bounded_number_of_devices(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let login = |device: &str| {
        let session = NewSession { most_devices: 3, ..session(device) };
        let (store, alice) = (store.clone(), alice.clone());
        async move { (session.access, store.login(&alice, session).await.unwrap()) }
    };
    let outcomes = parallel(8, |index| login(&format!("D{index}"))).await;
    let (refused, made): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|(_, outcome)| *outcome == LoginOutcome::TooManyDevices);
    assert_eq!((made.len(), refused.len()), (3, 5));
    assert_eq!(store.devices(&alice).await.unwrap().len(), 3);
    for (access, _) in &refused {
        assert!(store.session(access).await.unwrap().is_none());
    }
    let LoginOutcome::LoggedIn { device, .. } = &made[0].1 else { panic!("{made:?}") };
    let again = login(device.device_id.as_str()).await.1;
    assert_eq!(again, LoginOutcome::LoggedIn { device: device.clone(), existing: true });
    assert!(matches!(store.login(&bob, session("D0")).await.unwrap(), LoginOutcome::LoggedIn { .. }));
    store.delete_devices(&alice, DeviceSelection::These(vec![device.device_id.clone()])).await.unwrap();
    assert!(matches!(login("NEW").await.1, LoginOutcome::LoggedIn { existing: false, .. }));
    assert_eq!(login("ANOTHER").await.1, LoginOutcome::TooManyDevices);
}

/// A login to a known device ends its tokens and ignores the new name; keys and inbox stay (DEV-15, AUTH-2).
pub async fn a_login_to_a_known_device_keeps_it_and_ends_its_tokens(store: Store) {
    let alice = store.user("alice").await;
    let first = session("DEVICE");
    let outcome = store.login(&alice, first.clone()).await.unwrap();
    let LoginOutcome::LoggedIn { device, .. } = outcome else { panic!("{outcome:?}") };
    store.upload_identity(&device, "1").await;
    store.upload_one_time(&device, 0..5).await;
    store.upload_fallback(&device, 1).await;
    store.send_to_device(None, vec![to_device(&device, "waits")]).await.unwrap();
    let from = store.position().await;

    let mut second = session("DEVICE");
    second.initial_display_name = Some("ignored".to_owned());
    let outcome = store.login(&alice, second.clone()).await.unwrap();
    assert_eq!(outcome, LoginOutcome::LoggedIn { device: device.clone(), existing: true });
    assert!(store.session(&first.access).await.unwrap().is_none());
    let refreshed = store.refresh_session(&first.refresh.unwrap(), token(), token(), None).await.unwrap();
    assert_eq!(refreshed, None, "the old refresh token is dead");
    assert_eq!(store.session(&second.access).await.unwrap().unwrap().device, device);
    let stored = store.device(&alice, &device.device_id).await.unwrap().unwrap();
    assert_eq!(stored.display_name, first.initial_display_name);
    assert_eq!(store.count(&device).await, 5);
    assert!(store.identity_of(&device).await.is_some());
    assert_eq!(store.waiting(&device).await, ["waits"]);
    assert!(store.lists_changed_since(from).await.is_empty(), "a new login is no device-list change");
}

/// Two users may have the same device id without any mixing (DEV-20).
pub async fn device_ids_are_unique_for_one_user_only(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let (a, b) = (store.log_in(&alice, "SAME").await, store.log_in(&bob, "SAME").await);
    assert_ne!(a.generation, b.generation);
    store.upload_one_time(&a, 0..3).await;
    store.send_to_device(None, vec![to_device(&a, "for alice")]).await.unwrap();
    assert_eq!(store.count(&b).await, 0);
    assert_eq!(store.claim_name(&b).await, None);
    assert!(store.waiting(&b).await.is_empty());
    assert_eq!(store.delete_devices(&bob, DeviceSelection::All).await.unwrap(), ["SAME"]);
    assert_eq!(store.count(&a).await, 3);
    assert_eq!(store.waiting(&a).await, ["for alice"]);
}

/// No device gets the id of one of the user's cross-signing keys (DEV-13, XS-17); another user's key is no matter.
pub async fn a_device_id_may_not_be_a_cross_signing_key(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let keys = identity(&alice, 1);
    store.put_identity(&alice, &keys).await;
    for public in &keys.public {
        let login = session(public);
        assert_eq!(store.login(&alice, login.clone()).await.unwrap(), LoginOutcome::IdIsCrossSigningKey);
        assert!(store.session(&login.access).await.unwrap().is_none());
        store.log_in(&bob, public).await;
    }
    // Nor one that was replaced (XS-17).
    store.put_identity(&alice, &identity(&alice, 2)).await;
    for public in &keys.public {
        assert_eq!(store.login(&alice, session(public)).await.unwrap(), LoginOutcome::IdIsCrossSigningKey);
    }
    assert!(store.devices(&alice).await.unwrap().is_empty());
}

/// Parallel logins to one id make one device, and the last one's tokens alone live (DEV-15).
pub async fn parallel_logins_make_one_device_with_one_token(store: Store) {
    let alice = store.user("alice").await;
    let logins: Vec<_> = (0..16).map(|_| session("DEVICE")).collect();
    let outcomes = parallel(16, |index| {
        let (store, alice, login) = (store.clone(), alice.clone(), logins[index].clone());
        async move { store.login(&alice, login).await.unwrap() }
    })
    .await;
    let fresh = |outcome: &&LoginOutcome| matches!(outcome, LoginOutcome::LoggedIn { existing: false, .. });
    assert_eq!(outcomes.iter().filter(fresh).count(), 1);
    assert_eq!(store.devices(&alice).await.unwrap().len(), 1);
    let mut living = 0;
    for login in &logins {
        living += usize::from(store.session(&login.access).await.unwrap().is_some());
    }
    assert_eq!(living, 1);
}

/// The refresh token works until a new token is used, so that a lost answer can be asked for again (AUTH-4, AUTH-5).
pub async fn a_lost_refresh_is_asked_for_again(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let device = store.session(&login.access).await.unwrap().unwrap().device;
    let old = login.refresh.unwrap();
    let (lost, used) = (token(), token());
    assert_eq!(store.refresh_session(&old, lost, token(), Some(5_000)).await.unwrap(), Some(device.clone()));
    assert_eq!(store.refresh_session(&old, used, token(), Some(6_000)).await.unwrap(), Some(device.clone()));
    let found = store.session(&used).await.unwrap().unwrap();
    assert_eq!(found.device, device);
    assert_eq!(found.access_expires_at, Some(6_000));
    assert!(found.retires_previous);
    store.retire_previous_tokens(&used).await.unwrap();
    assert_eq!(store.refresh_session(&old, token(), token(), None).await.unwrap(), None);
    let found = store.session(&used).await.unwrap().unwrap();
    assert!(!found.retires_previous);
}

/// The first use of the new access token ends the tokens before it (AUTH-5).
pub async fn using_the_new_access_token_ends_the_old_ones(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let (old, access, refresh) = (login.refresh.unwrap(), token(), token());
    store.refresh_session(&old, access, refresh, None).await.unwrap().unwrap();
    store.retire_previous_tokens(&access).await.unwrap();
    assert!(store.session(&login.access).await.unwrap().is_none());
    assert_eq!(store.refresh_session(&old, token(), token(), None).await.unwrap(), None);
    assert!(!store.session(&access).await.unwrap().unwrap().retires_previous);
    assert!(store.refresh_session(&refresh, token(), token(), None).await.unwrap().is_some());
}

/// So does the first use of the new refresh token (AUTH-5, AUTH-6).
pub async fn using_the_new_refresh_token_ends_the_old_one(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let (old, refresh) = (login.refresh.unwrap(), token());
    store.refresh_session(&old, token(), refresh, None).await.unwrap().unwrap();
    assert!(store.refresh_session(&refresh, token(), token(), None).await.unwrap().is_some());
    assert_eq!(store.refresh_session(&old, token(), token(), None).await.unwrap(), None);
}

/// A chain of refreshes stays with its device, and leaves one token alive (AUTH-7).
pub async fn tokens_are_refreshed_in_a_chain(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let (mut refresh, mut spent) = (login.refresh.unwrap(), vec![login.access]);
    let mut access = login.access;
    for _ in 0..5 {
        let (new_access, new_refresh) = (token(), token());
        let answer = store.refresh_session(&refresh, new_access, new_refresh, None).await.unwrap();
        assert_eq!(answer.as_ref(), Some(&device));
        store.retire_previous_tokens(&new_access).await.unwrap();
        (access, refresh) = (new_access, new_refresh);
        spent.push(access);
    }
    spent.pop();
    for old in spent {
        assert!(store.session(&old).await.unwrap().is_none());
    }
    assert!(store.session(&access).await.unwrap().is_some());
    assert_eq!(store.delete_devices(&alice, DeviceSelection::All).await.unwrap().len(), 1);
    assert!(store.session(&access).await.unwrap().is_none());
    assert_eq!(store.refresh_session(&refresh, token(), token(), None).await.unwrap(), None);
}

/// Unknown tokens stand for nobody (AUTH-6).
pub async fn unknown_tokens_are_nobody(store: Store) {
    let (alice, _) = store.user_with_device("alice").await;
    assert!(store.session(&token()).await.unwrap().is_none());
    let new = token();
    assert_eq!(store.refresh_session(&token(), new, token(), None).await.unwrap(), None);
    assert!(store.session(&new).await.unwrap().is_none());
    assert_eq!(store.devices(&alice).await.unwrap().len(), 1);
}

/// Tokens that a refresh or a login replaced are told from unknown ones as long as their device is there (AUTH-1).
pub async fn replaced_tokens_are_known_while_their_device_lives(store: Store) {
    let alice = store.user("alice").await;
    let (first, second) = (session("DEVICE"), session("DEVICE"));
    store.login(&alice, first.clone()).await.unwrap();
    let (access, refresh) = (token(), token());
    store.refresh_session(&first.refresh.unwrap(), access, refresh, None).await.unwrap().unwrap();
    for living in [first.access, first.refresh.unwrap(), access, refresh, token()] {
        assert!(!store.was_replaced(&living).await.unwrap(), "it works yet, or never was");
    }
    store.retire_previous_tokens(&access).await.unwrap();
    store.login(&alice, second.clone()).await.unwrap();
    let replaced = [first.access, first.refresh.unwrap(), access, refresh];
    let store = store.reopen().await;
    for old in replaced {
        assert!(store.was_replaced(&old).await.unwrap());
        assert!(store.session(&old).await.unwrap().is_none(), "and works no more");
        assert_eq!(store.refresh_session(&old, token(), token(), None).await.unwrap(), None);
    }
    assert!(!store.was_replaced(&second.access).await.unwrap());
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    store.log_in(&alice, "DEVICE").await;
    for old in replaced.into_iter().chain([second.access, second.refresh.unwrap()]) {
        assert!(!store.was_replaced(&old).await.unwrap(), "the device it was of is gone");
    }
}

/// Of many tokens that were replaced the last are known.
pub async fn the_memory_of_replaced_tokens_is_bounded(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let (mut refresh, mut accesses) = (login.refresh.unwrap(), vec![login.access]);
    for _ in 0..40 {
        let (new_access, new_refresh) = (token(), token());
        store.refresh_session(&refresh, new_access, new_refresh, None).await.unwrap().unwrap();
        store.retire_previous_tokens(&new_access).await.unwrap();
        refresh = new_refresh;
        accesses.push(new_access);
    }
    accesses.pop();
    let mut known = Vec::new();
    for access in &accesses {
        known.push(store.was_replaced(access).await.unwrap());
    }
    assert!(!known[0], "the oldest is forgotten");
    assert!(known[known.len() - 4..].iter().all(|known| *known), "{known:?}");
}

/// An expired token is known as such: the store has no clock, and the client is told to come back (AUTH-1).
pub async fn an_expired_token_is_still_known(store: Store) {
    let alice = store.user("alice").await;
    let mut login = session("DEVICE");
    login.access_expires_at = Some(1);
    store.login(&alice, login.clone()).await.unwrap();
    assert_eq!(store.session(&login.access).await.unwrap().unwrap().access_expires_at, Some(1));
}

/// A token that replaced none, or is unknown, retires nothing.
pub async fn retiring_nothing_changes_nothing(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    store.retire_previous_tokens(&login.access).await.unwrap();
    store.retire_previous_tokens(&token()).await.unwrap();
    assert!(store.session(&login.access).await.unwrap().is_some());
    assert!(store.refresh_session(&login.refresh.unwrap(), token(), token(), None).await.unwrap().is_some());
}

/// Tokens work after a restart.
pub async fn sessions_survive_a_restart(store: Store) {
    let alice = user_id("alice");
    let (first, second) = (session("FIRST"), session("SECOND"));
    assert!(store.create_account(account(&alice), Some(first.clone())).await.unwrap());
    store.login(&alice, second.clone()).await.unwrap();
    let (access, refresh) = (token(), token());
    store.refresh_session(&second.refresh.unwrap(), access, refresh, Some(7)).await.unwrap().unwrap();
    let before = [store.session(&first.access).await.unwrap(), store.session(&access).await.unwrap()];
    let store = store.reopen().await;
    assert_eq!([store.session(&first.access).await.unwrap(), store.session(&access).await.unwrap()], before);
    store.retire_previous_tokens(&access).await.unwrap();
    assert!(store.session(&second.access).await.unwrap().is_none());
    assert!(store.refresh_session(&refresh, token(), token(), None).await.unwrap().is_some());
}
