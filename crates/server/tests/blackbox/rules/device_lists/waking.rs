//! Syncs that wait are woken by changes of device lists.

use serde_json::json;

use super::{Lists, Told, Told::*, Watch, act, encrypt, upload_identity, upload_keys};
use crate::harness::{Server, deadline, within};

/// A device waits, longer than the test does, until the change is told.
pub(super) async fn woken(
    watch: &mut Watch,
    change: impl Future<Output = ()>,
    check: impl Fn(&Lists) -> bool,
    why: &str,
) {
    let waiting = async {
        loop {
            let lists = Lists::of(watch.syncing.step(deadline() * 2).await);
            if check(&lists) {
                return;
            }
        }
    };
    let both = async { tokio::join!(waiting, change) };
    within(why, deadline(), both).await;
}

/// DL-22: everything that is told in device lists wakes who must see it, also a client that wants nothing of any room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_wakes_those_who_are_told() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let (phone, tablet) = (alice.another_device().await, bob.another_device().await);
    // Nothing else than device lists can end these waits.
    let filter = json!({"room": {"rooms": []}, "presence": {"types": []}});
    let mut at_bob = Watch::with_filter(&bob, &filter).await;
    let mut at_phone = Watch::with_filter(&phone, &filter).await;
    let about = |user: &crate::harness::Client, told: Told| {
        let user = user.clone();
        move |lists: &Lists| lists.about(&user) == told
    };
    woken(&mut at_bob, async { drop(upload_keys(&alice).await) }, about(&alice, Changed), "new keys").await;
    woken(&mut at_bob, async { drop(upload_identity(&alice).await) }, about(&alice, Changed), "an identity").await;
    woken(&mut at_bob, alice.invite(&room, &carol), about(&carol, Changed), "an invitation").await;
    woken(&mut at_bob, async { drop(upload_keys(&carol).await) }, about(&carol, Changed), "keys of an invited user")
        .await;
    at_bob.next().await.are_empty("all was told");
    woken(&mut at_bob, carol.join(&room), about(&carol, Changed), "a join").await;
    woken(&mut at_bob, carol.leave(&room), about(&carol, Left), "a leave").await;
    let remove = async {
        upload_keys(&tablet).await;
        tablet.logout().await;
    };
    woken(&mut at_bob, remove, about(&bob, Changed), "own devices").await;
    woken(&mut at_bob, act(&alice, "kick", &room, &bob), about(&alice, Left), "being removed").await;

    at_phone.next().await;
    let own = upload_identity(&alice).await;
    let other = upload_identity(&bob).await;
    at_phone.next().await;
    let verify = async {
        let key = other.master.public_key().to_base64();
        let body = json!({bob.user_id(): {key: own.sign_user(&other.master_key())}});
        alice.post("/keys/signatures/upload", body).await.ok();
    };
    woken(&mut at_phone, verify, about(&bob, Changed), "a user who was verified").await;

    let clear = super::clear_room(&bob, &[&alice]).await;
    at_phone.next().await.are_empty("a clear room");
    woken(&mut at_phone, encrypt(&bob, &clear), about(&bob, Changed), "encryption").await;
}
