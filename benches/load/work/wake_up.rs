//! How long a message takes to a client that waits for it.

use std::time::{Duration, Instant};

use olmstead_benches::run::Measured;
use serde_json::json;

use crate::{client::Client, crew::Crew};

const WARM_UP: usize = 20;
/// For the recipient's request to begin to wait.
const BEGINNING: Duration = Duration::from_millis(15);

/// To-device messages, one after another: from the beginning of the `PUT` to the end of the recipient's long poll.
async fn measure(crew: &Crew, sender: &Client, receiver: &Client) -> Measured {
    let rounds = crew.amount(500, 200);
    let mut since = receiver.place(None).await;
    let mut times = Vec::with_capacity(rounds);
    let (mut began, mut before) = (Instant::now(), crew.meter.read());
    for round in 0..WARM_UP + rounds {
        if round == WARM_UP {
            (began, before) = (Instant::now(), crew.meter.read());
        }
        let poll = async {
            let answer = receiver.long_poll(&since, 30).await;
            (answer, Instant::now())
        };
        let send = async {
            tokio::time::sleep(BEGINNING).await;
            let began = Instant::now();
            let body = json!({"messages": {&receiver.user_id: {&receiver.device_id: {"round": round}}}});
            sender.put(&format!("/sendToDevice/m.room.encrypted/wake-{}-{round}", crew.name()), &body).await;
            began
        };
        let ((answer, woken), sent) = tokio::join!(poll, send);
        let events = answer["to_device"]["events"].as_array().map_or(&[][..], Vec::as_slice);
        if events.len() != 1 || events[0]["content"]["round"] != round {
            crew.violations().add(format!("wake-up: message {round} came as {} events", events.len()));
        }
        since = crate::client::next_batch(&answer);
        if round >= WARM_UP {
            times.push(woken - sent);
        }
    }
    let wall = began.elapsed();
    let (server, database) = crew.meter.since(&before);
    Measured { operations: rounds, times, wall, server, database, memory: crew.meter.memory() }.sorted()
}

pub(super) async fn one_node(crew: &mut Crew) -> Measured {
    let users = crew.new_users(2).await;
    measure(crew, &users[0], &users[1]).await
}

pub(super) async fn two_nodes(crew: &mut Crew) -> Measured {
    let users = crew.new_users(2).await;
    let second = crew.second_base.clone().unwrap_or_else(|| panic!("there is no second node"));
    measure(crew, &users[0], &users[1].at(&second)).await
}
