//! Syncs.

use olmstead_benches::run::{Measured, prepare};

use serde_json::json;

use super::CLIENTS;
use crate::{
    client::{next_batch, segment},
    crew::Crew,
};

/// Nothing has happened that concerns the user. Each sync is one that was not answered before, as in use: others did
/// something since the token was given, and servers that keep answers for a client that asks again have none.
pub(super) async fn empty(crew: &mut Crew) -> Measured {
    const USERS: usize = 40;
    let users = crew.users(USERS).await;
    for _ in 0..20 {
        crew.room(&users).await;
    }
    let outsider = crew.new_users(1).await.remove(0);
    let mut places = prepare(users.iter(), |user| user.place(None)).await;
    // What the joins left to tell.
    places = prepare(users.iter().zip(&places), |(user, place)| user.place(Some(place))).await;
    let mut all = Measured::default();
    for round in 0..crew.amount(2_000, 480) / USERS {
        let path = format!("/user/{}/account_data/org.example.round", segment(&outsider.user_id));
        outsider.put(&path, &json!({"round": round})).await;
        let one = async |n: usize| (n, users[n].sync(Some(&places[n])).await);
        let (measured, answers) = crew.meter.measure(CLIENTS, 0..USERS, one).await;
        for (n, sync) in answers {
            if sync["rooms"]["join"].as_object().is_some_and(|rooms| !rooms.is_empty()) {
                crew.violations().add(format!("empty sync: the answer to user {n} in round {round} has rooms in it"));
            }
            places[n] = next_batch(&sync);
        }
        all.join(measured);
    }
    all.sorted()
}

/// From the beginning.
pub(super) async fn full(crew: &mut Crew) -> Measured {
    const ROOMS: usize = 100;
    let mut members = crew.users(9).await;
    members.insert(0, crew.new_users(1).await.remove(0));
    for _ in 0..ROOMS {
        let room = crew.room(&members).await;
        for n in 0..10 {
            crew.speak(&members[n % members.len()], &room, n).await;
        }
    }
    // As above: no two ask for the same. Such a sync does not wait.
    let one = async |n: usize| members[0].get(&format!("/sync?timeout={}", n + 1)).await;
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..crew.amount(24, 16), one).await;
    for sync in answers {
        let rooms = sync["rooms"]["join"].as_object().map_or(0, serde_json::Map::len);
        if rooms != ROOMS {
            crew.violations().add(format!("full sync: {rooms} of {ROOMS} rooms"));
        }
    }
    measured
}
