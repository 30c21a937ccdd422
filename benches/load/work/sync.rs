//! Syncs.

use olmstead_benches::run::{Measured, prepare};

use super::CLIENTS;
use crate::crew::Crew;

/// Nothing has happened.
pub(super) async fn empty(crew: &mut Crew) -> Measured {
    let users = crew.users(CLIENTS).await;
    for _ in 0..20 {
        crew.room(&users).await;
    }
    let places = prepare(users.iter(), |user| user.place(None)).await;
    let one = async |n: usize| users[n % CLIENTS].sync(Some(&places[n % CLIENTS])).await;
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..crew.amount(2_000, 500), one).await;
    let news = answers.iter().filter(|sync| sync["rooms"]["join"].as_object().is_some_and(|rooms| !rooms.is_empty()));
    let news = news.count();
    if news > 0 {
        crew.violations().add(format!("empty sync: {news} answers have rooms in them"));
    }
    measured
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
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..crew.amount(24, 16), |_| members[0].sync(None)).await;
    for sync in answers {
        let rooms = sync["rooms"]["join"].as_object().map_or(0, serde_json::Map::len);
        if rooms != ROOMS {
            crew.violations().add(format!("full sync: {rooms} of {ROOMS} rooms"));
        }
    }
    measured
}
