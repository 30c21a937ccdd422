//! To-device messages.

use olmstead_benches::run::{Measured, prepare};
use serde_json::{Map, json};

use super::CLIENTS;
use crate::{
    client::{Client, next_batch},
    crew::Crew,
};

/// One message to each of 100 devices, and the syncs that take and acknowledge them.
pub(super) async fn hundred_devices(crew: &mut Crew) -> Measured {
    const DEVICES: usize = 100;
    let rounds = crew.amount(20, 8);
    let devices = crew.users(DEVICES).await;
    let sender = crew.new_users(1).await.remove(0);
    let mut places = prepare(devices.iter(), |device| device.place(None)).await;
    let mut all = Measured::default();
    for round in 0..rounds {
        let messages: Map<String, _> = devices
            .iter()
            .map(|device| {
                (device.user_id.clone(), json!({&device.device_id: {"round": round, "body": "x".repeat(600)}}))
            })
            .collect();
        let body = json!({"messages": messages});
        let path = format!("/sendToDevice/m.room.encrypted/{}-{round}", crew.name());
        let (sent, _) = crew.meter.measure(1, [()], |()| sender.put(&path, &body)).await;
        let each: Vec<(usize, &Client, String)> =
            devices.iter().zip(&places).enumerate().map(|(n, (device, place))| (n, device, place.clone())).collect();
        let violations = crew.violations();
        let (taken, answers) = crew
            .meter
            .measure(CLIENTS, each, |(n, device, place)| {
                let violations = violations.clone();
                async move {
                    let sync = device.sync(Some(&place)).await;
                    let events = sync["to_device"]["events"].as_array().map_or(&[][..], Vec::as_slice);
                    let rounds: Vec<_> = events.iter().map(|event| event["content"]["round"].as_u64()).collect();
                    if rounds != [u64::try_from(round).ok()] {
                        violations.add(format!("to-device: in round {round} a device got {rounds:?}"));
                    }
                    (n, next_batch(&sync))
                }
            })
            .await;
        for (n, place) in answers {
            places[n] = place;
        }
        all.join(sent.and(taken));
    }
    all.sorted()
}
