//! Many users with several devices in one encrypted room, while devices, users and the server itself, or its nodes, come
//! and go.
//!
//! Every round has a restless phase, in which people talk while some devices log out, others log in, and the next people
//! are invited and join; and a quiet one, that begins when everybody knows exactly the devices that are there, and in
//! which everybody talks again. What is asked for:
//! - a device that everybody knew before a message was sent, and that is still there, decrypts it; and so does every
//!   device that the sender knew when it shared the key (DL-*, OTK-1, FBK-3, TD-4);
//! - every device gets every event once, every message is in the room once, under the event id its sender was given
//!   (TD-8, TD-10);
//! - no to-device message is lost, damaged or comes twice: none fails to decrypt;
//! - devices that have gone are forgotten by everybody, and who left is sent nothing more.
//!
//! `BLACKBOX_USERS`, `BLACKBOX_DEVICES` (of each), `BLACKBOX_ROUNDS` and `BLACKBOX_KILLS` (in each round) change the size.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    harness::{Client, Server, deadline, setting},
    olm::{CryptoClient, Device},
};

/// How many people do something at the same time.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_decrypts_every_message_once_while_devices_come_and_go() {
    let server = Server::start().await;
    Crowd::gather(server, Scale::chosen(0)).await.live().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_decrypts_every_message_once_though_the_server_is_killed() {
    let Some(server) = Server::process().await else { return };
    Crowd::gather(server, Scale::chosen(setting("BLACKBOX_KILLS", 2))).await.live().await;
}

/// Each node is killed in its turn, and the database crashes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_decrypts_every_message_once_over_three_nodes_that_are_killed() {
    let Some(server) = Server::nodes(3).await else { return };
    Crowd::gather(server.clone(), Scale::chosen(setting("BLACKBOX_KILLS", 3))).await.live().await;
    assert_eq!(server.claimed_twice(), Vec::<String>::new(), "one-time keys that were given out twice");
}

#[derive(Clone, Copy)]
struct Scale {
    users: usize,
    devices: usize,
    rounds: usize,
    /// How often the server, a node of it or its database is killed in each round.
    kills: usize,
}

impl Scale {
    fn chosen(kills: usize) -> Self {
        Self {
            users: setting("BLACKBOX_USERS", 30).max(4),
            devices: setting("BLACKBOX_DEVICES", 2).max(2),
            rounds: setting("BLACKBOX_ROUNDS", 2).max(1),
            kills,
        }
    }

    /// How long all together may take to agree on something.
    fn patience(self) -> Duration {
        deadline() * 6
    }
}

/// One person; the first device stays.
struct Person {
    account: Client,
    devices: Mutex<Vec<CryptoClient>>,
}

impl Person {
    fn device(&self, slot: usize) -> CryptoClient {
        self.devices.lock().unwrap()[slot].clone()
    }

    fn user_id(&self) -> String {
        self.account.user_id().to_owned()
    }
}

/// A message that was sent, and who must have it.
struct Expected {
    event_id: String,
    body: String,
    sender: String,
    by: BTreeSet<Device>,
}

struct Crowd {
    server: Server,
    scale: Scale,
    people: Vec<Arc<Person>>,
    room: String,
    /// So many of the people are in the room: the first ones.
    joined: usize,
    /// Somebody who left; sent nothing more.
    gone: BTreeSet<usize>,
    sent: Mutex<Vec<Expected>>,
    disturbances: AtomicUsize,
    began: Instant,
}

impl Crowd {
    /// Registers everybody, and lets the first four fifths into a new encrypted room.
    async fn gather(server: Server, scale: Scale) -> Self {
        let began = Instant::now();
        let people: Vec<_> = stream::iter(0..scale.users)
            .map(|n| {
                let server = server.clone();
                async move {
                    let account = server.user(&format!("u{n}")).await;
                    let mut devices = vec![CryptoClient::running(&account).await];
                    for _ in 1..scale.devices {
                        devices.push(CryptoClient::running(&account.another_device().await).await);
                    }
                    let account = account.patient();
                    Arc::new(Person { account, devices: Mutex::new(devices) })
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let joined = scale.users * 4 / 5;
        let encryption = json!({"type": "m.room.encryption", "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
        let invited: Vec<_> = people[1..joined].iter().map(|person| person.user_id()).collect();
        let body = json!({"preset": "private_chat", "invite": invited, "initial_state": [encryption]});
        let room = people[0].account.create_room(body).await;
        stream::iter(&people[1..joined]).for_each_concurrent(AT_ONCE, |person| person.account.join(&room)).await;
        let (gone, sent, disturbances) = (BTreeSet::new(), Mutex::default(), AtomicUsize::new(0));
        let crowd = Self { server, scale, people, room, joined, gone, sent, disturbances, began };
        crowd.say("all are there");
        crowd
    }

    async fn live(mut self) {
        self.everybody_knows_everybody().await;
        for round in 0..self.scale.rounds {
            self.restless(round).await;
            self.joined = self.scale.users;
            self.everybody_knows_everybody().await;
            self.quiet(round).await;
        }
        self.somebody_leaves().await;
        self.check();
        self.say("done");
    }

    /// The numbers of those in the room.
    fn present(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.joined).filter(|n| !self.gone.contains(n))
    }

    fn devices(&self) -> Vec<CryptoClient> {
        self.present().flat_map(|n| self.people[n].devices.lock().unwrap().clone()).collect()
    }

    /// Waits until every device knows all devices of all members, and no others.
    async fn everybody_knows_everybody(&self) {
        let devices = self.devices();
        let all: BTreeSet<Device> = devices.iter().map(CryptoClient::device).collect();
        let users: BTreeSet<String> = self.present().map(|n| self.people[n].user_id()).collect();
        let time = self.scale.patience();
        stream::iter(&devices)
            .for_each_concurrent(AT_ONCE, |device| async {
                let know_all = async |device: &CryptoClient| {
                    let members = device.members(&self.room);
                    let joined = members.into_iter().filter(|(_, membership)| membership == "join");
                    same("member", joined.map(|(user, _)| user).collect(), &users)?;
                    same("device", device.known_devices(&users).await, &all)
                };
                device.until("knowing exactly the devices that are there", time, know_all).await;
            })
            .await;
        self.say("everybody knows everybody");
    }

    /// People talk on their first device, while other devices, people and the server come and go.
    async fn restless(&self, round: usize) {
        let present: Vec<usize> = self.present().collect();
        let before: BTreeSet<Device> = self.devices().iter().map(CryptoClient::device).collect();
        let changing: Vec<usize> = present.iter().copied().filter(|n| n % 4 == round % 4).collect();
        let going: BTreeSet<Device> =
            changing.iter().map(|&n| self.people[n].device(self.scale.devices - 1).device()).collect();
        let stable: BTreeSet<Device> = before.difference(&going).cloned().collect();
        let coming: Vec<usize> = if round == 0 { (self.joined..self.scale.users).collect() } else { Vec::new() };
        let spoken = AtomicUsize::new(0);
        let progress = Notify::new();

        let talk = stream::iter(&present).for_each_concurrent(AT_ONCE, |&n| {
            let (stable, spoken, progress) = (&stable, &spoken, &progress);
            async move {
                self.speak(n, 0, &format!("restless {round}"), stable).await;
                spoken.fetch_add(1, Ordering::SeqCst);
                progress.notify_waiters();
            }
        });
        let change = stream::iter(&changing).for_each_concurrent(2, |&n| async move {
            let person = &self.people[n];
            let slot = self.scale.devices - 1;
            person.device(slot).logout().await;
            let device = CryptoClient::running(&person.account.another_device().await).await;
            person.devices.lock().unwrap()[slot] = device;
        });
        let come = stream::iter(&coming).for_each_concurrent(2, |&n| async move {
            let body = json!({"user_id": self.people[n].user_id()});
            let path = crate::harness::at!("/rooms/{}/invite", self.room);
            let answer = self.people[0].account.post(path, body).await;
            // Asked twice, if the answer was lost: invited already, or already joined.
            assert!(answer.status == 200 || answer.errcode() == "M_FORBIDDEN", "{answer}");
            self.people[n].account.join(&self.room).await;
        });
        let die = async {
            for kill in 0..self.scale.kills {
                let enough = present.len() * (kill + 1) / (self.scale.kills + 1);
                loop {
                    let more = progress.notified();
                    if spoken.load(Ordering::SeqCst) >= enough {
                        break;
                    }
                    more.await;
                }
                let turn = self.disturbances.fetch_add(1, Ordering::SeqCst);
                let what = self.server.disturb(turn).await;
                self.say(&what);
            }
        };
        tokio::join!(talk, change, come, die);
        self.say("a restless phase is over");
        self.all_decrypted().await;
    }

    /// Everybody talks on the newest device, and everybody there must have it.
    async fn quiet(&self, round: usize) {
        let all: BTreeSet<Device> = self.devices().iter().map(CryptoClient::device).collect();
        let present: Vec<usize> = self.present().collect();
        stream::iter(present)
            .for_each_concurrent(AT_ONCE, |n| {
                let all = &all;
                async move { self.speak(n, self.scale.devices - 1, &format!("quiet {round}"), all).await }
            })
            .await;
        self.say("a quiet phase is over");
        self.all_decrypted().await;
    }

    async fn somebody_leaves(&mut self) {
        let leaver = self.joined - 1;
        self.people[leaver].account.leave(&self.room).await;
        self.gone.insert(leaver);
        self.everybody_knows_everybody().await;
        let first = self.sent.lock().unwrap().len();
        self.quiet(self.scale.rounds).await;
        let sent = self.sent.lock().unwrap();
        for device in self.people[leaver].devices.lock().unwrap().iter() {
            let seen = device.deliveries(&self.room);
            for message in &sent[first..] {
                assert!(!seen.contains_key(&message.event_id), "{} got \"{}\" after leaving", leaver, message.body);
                let (user, _) = device.device();
                assert!(!message.by.iter().any(|(other, _)| *other == user), "who left was given a key");
            }
        }
    }

    /// Somebody says something that at least `at_least` must decrypt.
    async fn speak(&self, n: usize, slot: usize, what: &str, at_least: &BTreeSet<Device>) {
        let device = self.people[n].device(slot);
        let body = format!("{what} from u{n}");
        // Who joins while this is sent may be given the key, but not the message.
        let joined: BTreeSet<String> = self.present().map(|n| self.people[n].user_id()).collect();
        let sent = device.send_text(&self.room, &body).await;
        let missing: Vec<_> = at_least.difference(&sent.shared_with).collect();
        assert!(missing.is_empty(), "{:?} did not know {missing:?}", device.device());
        let by = sent.shared_with.into_iter().filter(|(user, _)| joined.contains(user)).collect();
        let sender = device.device().0;
        self.sent.lock().unwrap().push(Expected { event_id: sent.event_id, body, sender, by });
    }

    /// Waits until every device has decrypted what it must.
    async fn all_decrypted(&self) {
        let mut expected: BTreeMap<Device, BTreeSet<String>> = BTreeMap::new();
        for message in self.sent.lock().unwrap().iter() {
            for device in &message.by {
                expected.entry(device.clone()).or_default().insert(message.event_id.clone());
            }
        }
        for device in self.devices() {
            let wanted = expected.remove(&device.device()).unwrap_or_default();
            let have_all = async |device: &CryptoClient| {
                let have: BTreeSet<_> =
                    device.messages(&self.room).into_iter().map(|message| message.event_id).collect();
                let missing = wanted.difference(&have).count();
                if missing == 0 { Ok(()) } else { Err(format!("{missing} are missing")) }
            };
            let what = format!("decrypting {} messages", wanted.len());
            device.until(&what, self.scale.patience(), have_all).await;
        }
        self.say("everybody has decrypted everything");
    }

    /// Nothing came twice, and nothing came that was not sent.
    fn check(&self) {
        let sent = self.sent.lock().unwrap();
        let by_id: BTreeMap<_, _> = sent.iter().map(|message| (message.event_id.as_str(), message)).collect();
        assert_eq!(by_id.len(), sent.len(), "every message has an event id of its own");
        let mut decrypted = 0;
        for device in self.devices() {
            let name = device.device();
            let broken = device.broken_to_device();
            assert!(broken.is_empty(), "{name:?} could not decrypt {} to-device events: {broken:?}", broken.len());
            for (event, times) in device.deliveries(&self.room) {
                assert_eq!(times, 1, "{name:?} got {event} {times} times");
            }
            let mut seen = BTreeSet::new();
            for message in device.messages(&self.room) {
                let original = by_id.get(message.event_id.as_str());
                let original = original.unwrap_or_else(|| panic!("nobody was told of sending {message:?}"));
                assert_eq!((&message.body, &message.sender), (&original.body, &original.sender));
                assert!(seen.insert(message.body.clone()), "{name:?} decrypted \"{}\" twice", message.body);
                decrypted += 1;
            }
        }
        let (messages, devices, repeats) = (sent.len(), self.devices().len(), self.server.repeats());
        println!("{messages} messages, {devices} devices, {decrypted} decryptions, {repeats} requests sent again");
        assert!(self.scale.kills == 0 || repeats > 0, "killing the server was not noticed");
    }

    fn say(&self, what: &str) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f32());
    }
}

/// Says how a set is not what it should be.
fn same<T: Ord + std::fmt::Debug>(what: &str, have: BTreeSet<T>, want: &BTreeSet<T>) -> Result<(), String> {
    if have == *want {
        return Ok(());
    }
    let (missing, extra): (Vec<_>, Vec<_>) = (want.difference(&have).collect(), have.difference(want).collect());
    Err(format!("each {what} of {missing:?} is missing, each of {extra:?} should not be there"))
}
