//! Changes of device lists.

use olmstead_benches::run::{Measured, prepare};
use serde_json::json;

use super::CLIENTS;
use crate::{
    client::{Client, next_batch, segment},
    crew::Crew,
    keys::Device,
};

/// One of 200 members of a room has a new device, and the syncs of all the others tell it.
pub(super) async fn two_hundred(crew: &mut Crew) -> Measured {
    const MEMBERS: usize = 200;
    let rounds = crew.amount(10, 4);
    let members = crew.users(MEMBERS).await;
    crew.room(&members).await;
    let mut places = prepare(members.iter(), |member| member.place(None)).await;
    let mut all = Measured::default();
    for round in 0..rounds {
        let changed = members[0].login(&format!("{}L{round}", crew.name())).await;
        // The login itself is not part of it.
        let body = json!({"device_keys": Device::new(&changed).signed()});
        let (told, _) = crew.meter.measure(1, [()], |()| changed.post("/keys/upload", &body)).await;
        let each: Vec<(usize, &Client, String)> =
            members.iter().zip(&places).enumerate().map(|(n, (member, place))| (n, member, place.clone())).collect();
        let (taken, answers) = crew
            .meter
            .measure(CLIENTS, each, |(n, member, place)| async move { (n, member.sync(Some(&place)).await) })
            .await;
        for (n, sync) in answers {
            let changed = sync["device_lists"]["changed"].as_array();
            if changed.is_none_or(|users| !users.iter().any(|user| *user == members[0].user_id.as_str())) {
                crew.violations().add(format!("device lists: member {n} was not told of change {round}"));
            }
            places[n] = next_batch(&sync);
        }
        all.join(told.and(taken));
    }
    all.sorted()
}

/// What ten others changed in the meantime.
pub(super) async fn changes(crew: &mut Crew) -> Measured {
    let users = crew.users(30).await;
    crew.room(&users).await;
    let from = prepare(users[..CLIENTS].iter(), |user| user.place(None)).await;
    prepare(users[20..].iter(), |user| {
        let id = format!("{}K", crew.name());
        async move {
            let device = user.login(&id).await;
            device.post("/keys/upload", &json!({"device_keys": Device::new(&device).signed()})).await;
        }
    })
    .await;
    let to = prepare(users[..CLIENTS].iter().zip(&from), |(user, from)| user.place(Some(from))).await;
    let paths: Vec<String> = from
        .iter()
        .zip(&to)
        .map(|(from, to)| format!("/keys/changes?from={}&to={}", segment(from), segment(to)))
        .collect();
    let one = |n: usize| users[n % CLIENTS].get(&paths[n % CLIENTS]);
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..crew.amount(2_000, 500), one).await;
    let fewer =
        answers.iter().filter(|answer| answer["changed"].as_array().is_none_or(|users| users.len() < 10)).count();
    if fewer > 0 {
        crew.violations().add(format!("keys/changes: {fewer} answers name too few"));
    }
    measured
}
