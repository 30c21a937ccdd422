//! Events in encrypted rooms.

use olmstead_benches::run::Measured;

use super::CLIENTS;
use crate::crew::Crew;

async fn speak(crew: &mut Crew, members: usize, count: usize) -> Measured {
    let members = crew.users(members).await;
    let room = crew.room(&members).await;
    let one = |n: usize| crew.speak(&members[n % CLIENTS], &room, n);
    crew.meter.measure(CLIENTS, 0..count, one).await.0
}

pub(super) async fn small_room(crew: &mut Crew) -> Measured {
    let count = crew.amount(400, 120);
    speak(crew, 10, count).await
}

pub(super) async fn large_room(crew: &mut Crew) -> Measured {
    speak(crew, 1_000, 100).await
}
