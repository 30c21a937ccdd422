//! One token for everything: nothing is missed and nothing comes twice.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{list, next_batch};
use crate::harness::{
    Client, Server, at, deadline, device_lists_changed, joined_room, keys::DeviceKeys, timeline, to_device, within,
};

/// What a client knows from the answers it got.
#[derive(Default)]
struct Heard {
    events: Vec<u64>,
    messages: Vec<u64>,
    data: Vec<u64>,
    data_of_room: Vec<u64>,
    devices: u64,
}

impl Heard {
    fn hear(&mut self, answer: &Value, room: &str, other: &Client) {
        let number = |event: &Value| event["content"]["number"].as_u64();
        let part = joined_room(answer, room);
        assert_ne!(part["timeline"]["limited"], true, "no gap: {part}");
        self.events.extend(timeline(answer, room).iter().filter_map(number));
        self.messages.extend(to_device(answer).iter().filter_map(number));
        self.data.extend(list(&answer["account_data"]["events"]).iter().filter_map(number));
        self.data_of_room.extend(list(&part["account_data"]["events"]).iter().filter_map(number));
        self.devices += u64::from(device_lists_changed(answer).iter().any(|user| user == other.user_id()));
    }
}

/// SYNC-4, DL-9, TD-8: while all kinds of news are written at the same time, a client that goes from token to token hears
/// each event, message, account data and device list once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_from_token_to_token_misses_and_repeats_nothing() {
    const COUNT: u64 = 40;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let filter = json!({"room": {"timeline": {"limit": 100}}});
    let mut sync = alice.syncing().filter(&filter);
    sync.now().await;
    let (alice, bob, room) = (&alice, &bob, &*room);
    let numbers = || (0..COUNT).map(|number| (number, json!({"number": number})));
    let events = async {
        for (_, content) in numbers() {
            bob.send(room, "io.example", content).await;
        }
    };
    let messages = async {
        for (_, content) in numbers() {
            bob.send_to_device("io.example", json!({alice.user_id(): {"*": content}})).await;
        }
    };
    let data = async {
        for (number, content) in numbers() {
            let path = at!("/user/{}/account_data/io.example", alice.user_id()) + &number.to_string();
            alice.put(path, content).await.ok();
        }
    };
    let data_of_room = async {
        for (number, content) in numbers() {
            let path = at!("/user/{}/rooms/{}/account_data/io.example", alice.user_id(), room);
            alice.put(format!("{path}{number}"), content).await.ok();
        }
    };
    let keys = async {
        for _ in 0..COUNT {
            bob.post("/keys/upload", json!({"device_keys": DeviceKeys::new(bob).signed()})).await.ok();
        }
    };
    let mut heard = Heard::default();
    let read = async {
        loop {
            let full = |heard: &Vec<u64>| heard.len() as u64 >= COUNT;
            let all = [&heard.events, &heard.messages, &heard.data, &heard.data_of_room].into_iter().all(full);
            if all && heard.devices > 0 {
                return;
            }
            heard.hear(&sync.step(Duration::from_secs(2)).await, room, bob);
        }
    };
    let everything = async { tokio::join!(events, messages, data, data_of_room, keys, read) };
    within("all news", deadline() * 3, everything).await;
    heard.hear(&sync.now().await, room, bob);
    let expected: Vec<_> = (0..COUNT).collect();
    assert_eq!(heard.events, expected);
    assert_eq!(heard.messages, expected);
    assert_eq!(heard.data, expected);
    assert_eq!(heard.data_of_room, expected);
    let quiet = sync.now().await;
    let known = heard.devices;
    heard.hear(&quiet, room, bob);
    assert_eq!(
        (heard.devices, heard.events.len() as u64, heard.messages.len() as u64),
        (known, COUNT, COUNT),
        "{quiet}"
    );
}

/// SYNC-5: the same token gives all it gave before, and what is new; also after the answer was acknowledged by another
/// request, for what is not delivered once only.
#[tokio::test]
async fn the_same_token_gives_the_same_or_more() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let start = next_batch(&alice.sync(None).await);
    let facts = |answer: &Value| -> BTreeSet<String> {
        let mut facts = BTreeSet::new();
        for kind in ["changed", "left"] {
            let users = list(&answer["device_lists"][kind]);
            facts.extend(users.iter().map(|user| format!("{kind} {user}")));
        }
        facts.extend(to_device(answer).iter().map(|event| format!("message {event}")));
        facts.extend(list(&answer["account_data"]["events"]).iter().map(|event| format!("data {event}")));
        facts.insert(format!("counts {}", answer["device_one_time_keys_count"]));
        facts.insert(format!("fallback {}", answer["device_unused_fallback_key_types"]));
        facts
    };
    let mut before = BTreeSet::new();
    for step in 0..5 {
        match step {
            0 => {
                bob.post("/keys/upload", json!({"device_keys": DeviceKeys::new(&bob).signed()})).await.ok();
            }
            1 => bob.send_to_device("io.example", json!({alice.user_id(): {"*": {"number": 1}}})).await,
            2 => carol.leave(&room).await,
            3 => {
                alice.put(at!("/user/{}/account_data/io.example", alice.user_id()), json!({"a": 1})).await.ok();
            }
            _ => bob.send_to_device("io.example", json!({alice.user_id(): {"*": {"number": 2}}})).await,
        }
        for _ in 0..2 {
            let now = facts(&alice.sync(Some(&start)).await);
            assert!(now.is_superset(&before), "{before:?} was told, now {now:?}");
            before = now;
        }
    }
    let once = alice.sync(Some(&start)).await;
    alice.sync(Some(&next_batch(&once))).await;
    let still: BTreeSet<_> = before.into_iter().filter(|fact| !fact.starts_with("message")).collect();
    assert!(facts(&alice.sync(Some(&start)).await).is_superset(&still), "only messages are delivered once");
}

/// SYNC-4: what is no token is refused, and not taken for the beginning.
#[tokio::test]
async fn what_is_no_token_is_refused() {
    let alice = Server::shared().await.user("alice").await;
    let token = next_batch(&alice.sync(None).await);
    for bad in ["nonsense", "s1", "s1_2", "s1_2_3_4", "t1.2", "\u{0}", &format!("{token}x"), &format!("{token}_")] {
        alice.get("/sync").query("since", bad).await.error(400, "M_INVALID_PARAM");
    }
}
