//! `GET /keys/changes`.

use serde_json::json;

use super::{Lists, Told::*, Watch, act, clear_room, upload_identity, upload_keys};
use crate::harness::{Call, Client, Server, unique};

async fn token(of: &Client) -> String {
    of.sync(None).await["next_batch"].as_str().unwrap().to_owned()
}

fn ask(by: &Client, from: &str, to: &str) -> Call {
    by.get("/keys/changes").query("from", from).query("to", to)
}

async fn changes(by: &Client, from: &str, to: &str) -> Lists {
    Lists::of_changes(ask(by, from, to).await.ok())
}

/// DL-15: both ends are needed.
#[tokio::test]
async fn both_tokens_are_needed() {
    let alice = Server::shared().await.user("alice").await;
    let token = token(&alice).await;
    alice.get("/keys/changes").await.error(400, "M_MISSING_PARAM");
    alice.get("/keys/changes").query("from", &token).await.error(400, "M_MISSING_PARAM");
    alice.get("/keys/changes").query("to", &token).await.error(400, "M_MISSING_PARAM");
    changes(&alice, &token, &token).await.are_empty("nothing lies between a place and itself");
    // By the name of old clients, too.
    let call = alice.get("/_matrix/client/unstable/keys/changes").query("from", &token).query("to", &token);
    Lists::of_changes(call.await.ok()).are_empty("nothing happened");
}

/// DL-16, DL-17: those are named who share a room, encrypted or not, and got or lost devices with keys; nobody else is.
#[tokio::test]
async fn users_of_shared_rooms_with_other_keys_are_named() {
    let server = Server::shared().await;
    let [alice, bob, carol, dave, eve] = server.users(["alice", "bob", "carol", "dave", "eve"]).await;
    let [quiet, late, gone, mallory] = server.users(["quiet", "late", "gone", "mallory"]).await;
    alice.encrypted_room(&[&bob, &quiet]).await;
    let clear = clear_room(&alice, &[&carol, &gone]).await;
    alice.invite(&clear, &eve).await;
    let phone = carol.another_device().await;
    upload_keys(&phone).await;
    let from = token(&alice).await;
    upload_keys(&bob).await;
    phone.logout().await;
    for user in [&dave, &eve, &gone, &mallory, &alice] {
        upload_keys(user).await;
    }
    // Who has no keys yet and only comes, is not named; who changed and came is.
    alice.invite(&clear, &late).await;
    late.join(&clear).await;
    alice.invite(&clear, &dave).await;
    dave.join(&clear).await;
    gone.leave(&clear).await;
    let told = changes(&alice, &from, &token(&alice).await).await;
    told.tell(&bob, Changed, "a new device in an encrypted room");
    told.tell(&carol, Changed, "a device that went, in a room that is not encrypted");
    told.tell(&dave, Changed, "changed, and shares a room now");
    told.tell(&alice, Changed, "own devices");
    told.tell(&quiet, Nothing, "changed nothing");
    told.tell(&late, Nothing, "came, but changed nothing");
    told.tell(&eve, Nothing, "is invited only");
    told.tell(&gone, Nothing, "is gone, and shared no encrypted room");
    told.tell(&mallory, Nothing, "shares no room");
    // New identities count as they do in a sync.
    let from = token(&alice).await;
    upload_identity(&carol).await;
    changes(&alice, &from, &token(&alice).await).await.tell(&carol, Changed, "a new identity");
}

/// DL-18: those with whom no encrypted room is shared any more are named as gone.
#[tokio::test]
async fn users_of_no_shared_encrypted_room_are_gone() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    let room = alice.encrypted_room(&[&bob, &carol, &dave]).await;
    alice.encrypted_room(&[&carol]).await;
    clear_room(&alice, &[&bob, &dave]).await;
    let from = token(&alice).await;
    for user in [&bob, &carol, &dave] {
        act(&alice, "kick", &room, user).await;
    }
    upload_keys(&dave).await;
    let to = token(&alice).await;
    let told = changes(&alice, &from, &to).await;
    told.tell(&bob, Left, "an encrypted room ended").tell(&carol, Nothing, "another room is shared");
    // The clear room is still shared, so this user's keys are worth fetching: not both at once.
    told.tell(&dave, Changed, "keys of a shared room");
    // So for the one who leaves, also when they forget the room.
    let from = token(&carol).await;
    let rooms = carol.get("/joined_rooms").await.ok();
    for room in rooms["joined_rooms"].as_array().unwrap() {
        carol.leave(room.as_str().unwrap()).await;
        super::forget(&carol, room.as_str().unwrap()).await;
    }
    changes(&carol, &from, &token(&carol).await).await.tell(&alice, Left, "left all rooms");
}

/// DL-17, DL-19: what was before `from` or after `to` is not told.
#[tokio::test]
async fn both_ends_count() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    let room = alice.encrypted_room(&[&bob, &carol, &dave]).await;
    let mut tokens = vec![token(&alice).await];
    upload_keys(&bob).await;
    tokens.push(token(&alice).await);
    upload_keys(&carol).await;
    tokens.push(token(&alice).await);
    dave.leave(&room).await;
    tokens.push(token(&alice).await);
    for from in 0..tokens.len() {
        for to in from..tokens.len() {
            let told = changes(&alice, &tokens[from], &tokens[to]).await;
            let within = |step: usize, told| if from <= step && step < to { told } else { Nothing };
            let why = format!("from {from} to {to}");
            told.tell(&bob, within(0, Changed), &why).tell(&carol, within(1, Changed), &why);
            told.tell(&dave, within(2, Left), &why);
        }
    }
    // The tokens of incremental syncs are as good.
    let mut watch = Watch::start(&alice).await;
    let from = watch.token();
    upload_keys(&bob).await;
    watch.next().await;
    changes(&alice, &from, &watch.token()).await.tell(&bob, Changed, "between two syncs");
}

/// DL-20: what is no token of this device's user is refused, not taken for the beginning or the end; and so is a span that
/// runs backward, since an empty answer to it would be taken for "no news".
#[tokio::test]
async fn tokens_of_others_are_refused() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let first = token(&alice).await;
    upload_keys(&bob).await;
    let last = token(&alice).await;
    let of_bob = token(&bob).await;
    let of_room = alice.get("/sync").await.ok()["rooms"]["join"][&room]["timeline"]["prev_batch"].clone();
    let of_room = of_room.as_str().unwrap().to_owned();
    let gone = alice.another_device().await;
    let of_gone = token(&gone).await;
    gone.logout().await;
    let mut bad = vec![of_bob, of_room, of_gone];
    bad.extend(["", "0", "nonsense", "s72594_4483_1934", "s0", "-1", "\u{0}", "s1_2_3_4"].map(str::to_owned));
    bad.extend([format!("{first}0"), format!("{first}_"), format!(" {first}"), first.to_uppercase(), unique()]);
    for bad in bad {
        ask(&alice, &bad, &last).await.error(400, "M_INVALID_PARAM");
        ask(&alice, &first, &bad).await.error(400, "M_INVALID_PARAM");
        ask(&alice, &bad, &bad).await.error(400, "M_INVALID_PARAM");
    }
    ask(&alice, &last, &first).await.error(400, "M_INVALID_PARAM");
    changes(&alice, &first, &last).await.tell(&bob, Changed, "in the right order");
    // Another device of the same user may have stored it.
    let phone = alice.another_device().await;
    changes(&phone, &first, &last).await.tell(&bob, Changed, "a token of another device of the same user");
}
