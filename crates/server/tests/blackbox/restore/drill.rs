//! Real crypto devices live through a restore. `cargo xtask drill restore` runs this; `BLACKBOX_USERS` and
//! `BLACKBOX_ROUNDS` change the size.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    harness::{Client, Server, deadline, keys, setting},
    olm::{CryptoClient, Device},
};

struct Sent {
    phase: &'static str,
    event_id: String,
    by: BTreeSet<Device>,
}

struct Drill {
    server: Server,
    accounts: Vec<Client>,
    devices: Vec<CryptoClient>,
    /// A device that sleeps while all is done that gets lost.
    sleeper: CryptoClient,
    room: String,
    sent: Mutex<Vec<Sent>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_new_is_decrypted_after_a_restore() {
    let Some(server) = Server::process().await else { return };
    let drill = Drill::gather(server).await;
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");

    drill.talk("before", &drill.awake()).await;
    drill.sleeper.sync().await;
    drill.server.backup(&backup).await;

    // What is done now is lost: a device, messages, keys that are handed out.
    let late = CryptoClient::running(&drill.accounts[0].another_device().await).await;
    drill.know_each_other(&drill.with(&late)).await;
    drill.talk("lost", &drill.with(&late)).await;
    let lost = late.device();
    drop(late);

    drill.server.go_back_to(&backup).await;
    // Devices find out by themselves: they upload new keys and forget the device that never was.
    drill.know_each_other(&drill.awake()).await;
    for device in &drill.devices {
        let fresh = async |device: &CryptoClient| {
            let count = keys::count(device.client()).await;
            if count.as_u64().is_some_and(|count| count > 0) { Ok(()) } else { Err(format!("{count} keys")) }
        };
        device.until("uploading new one-time keys", deadline(), fresh).await;
    }
    let room = drill.room.as_str().try_into().unwrap();
    for device in &drill.devices {
        // Keys that were sent to a sleeping device may be lost with the rest: only new sessions reach everybody.
        device.machine().discard_room_key(room).await.unwrap();
    }
    drill.talk("after", &drill.awake()).await;
    // New devices make sessions with the keys that are handed out now.
    let new = CryptoClient::running(&drill.accounts[1].another_device().await).await;
    drill.know_each_other(&drill.with(&new)).await;
    drill.talk("after, with a new device", &drill.with(&new)).await;
    new.send_text(&drill.room, "hello").await;
    drill.sleeper.sync().await;
    drill.sleeper.sync().await;
    assert!(!drill.sleeper.known_devices(&drill.users()).await.contains(&lost), "a device that never was");
    let failed = drill.report(&new).await;
    assert_eq!(failed, 0, "{failed} messages were not decrypted");
}

impl Drill {
    async fn gather(server: Server) -> Self {
        let count = setting("BLACKBOX_USERS", 4).clamp(2, 50);
        let accounts: Vec<Client> = stream::iter(0..count)
            .then(|n| {
                let server = server.clone();
                async move { server.user(&format!("u{n}")).await }
            })
            .collect()
            .await;
        let others: Vec<&Client> = accounts[1..].iter().collect();
        let room = accounts[0].encrypted_room(&others).await;
        let mut devices = Vec::new();
        for account in &accounts {
            devices.push(CryptoClient::running(account).await);
        }
        let sleeper = CryptoClient::new(&accounts[1].another_device().await).await;
        sleeper.sync().await;
        let accounts = accounts.into_iter().map(|account| account.patient()).collect();
        let drill = Self { server, accounts, devices, sleeper, room, sent: Mutex::default() };
        drill.know_each_other(&drill.awake()).await;
        drill
    }

    fn users(&self) -> BTreeSet<String> {
        self.accounts.iter().map(|account| account.user_id().to_owned()).collect()
    }

    fn awake(&self) -> Vec<CryptoClient> {
        self.devices.clone()
    }

    fn with(&self, more: &CryptoClient) -> Vec<CryptoClient> {
        self.devices.iter().chain([more]).cloned().collect()
    }

    /// Waits until these devices know each other and the one that sleeps, and no others.
    async fn know_each_other(&self, devices: &[CryptoClient]) {
        let all: BTreeSet<Device> = devices.iter().chain([&self.sleeper]).map(CryptoClient::device).collect();
        let users = self.users();
        for device in devices {
            let know = async |device: &CryptoClient| {
                let known = device.known_devices(&users).await;
                if known == all { Ok(()) } else { Err(format!("{known:?} instead of {all:?}")) }
            };
            device.until("knowing the devices that are there", deadline() * 3, know).await;
        }
    }

    /// All of these say something to all, one after another. Two who begin to talk to each other at the same time make two
    /// Olm sessions, and then share their room key a second time, from a later message on; a device that gets both in one
    /// answer may keep the later one. That is between clients, and not what this is about.
    async fn talk(&self, phase: &'static str, devices: &[CryptoClient]) {
        for round in 0..setting("BLACKBOX_ROUNDS", 2) {
            for device in devices {
                let text = format!("{phase} {round} from {}", device.device().1);
                let sent = device.send_text(&self.room, &text).await;
                let sent = Sent { phase, event_id: sent.event_id, by: sent.shared_with };
                self.sent.lock().unwrap().push(sent);
                self.all_decrypted(devices).await;
            }
        }
    }

    /// What a device should have decrypted in a phase, and has.
    fn of(&self, device: &CryptoClient, phase: &str) -> (usize, usize) {
        let have: BTreeSet<_> = device.messages(&self.room).into_iter().map(|message| message.event_id).collect();
        let sent = self.sent.lock().unwrap();
        let wanted = sent.iter().filter(|sent| sent.phase == phase && sent.by.contains(&device.device()));
        let wanted: Vec<_> = wanted.map(|sent| have.contains(&sent.event_id)).collect();
        (wanted.len(), wanted.iter().filter(|have| **have).count())
    }

    fn phases(&self) -> BTreeSet<&'static str> {
        self.sent.lock().unwrap().iter().map(|sent| sent.phase).collect()
    }

    async fn all_decrypted(&self, devices: &[CryptoClient]) {
        for device in devices {
            let have_all = async |device: &CryptoClient| match self.phases().iter().find(|phase| {
                let (wanted, have) = self.of(device, phase);
                have < wanted
            }) {
                None => Ok(()),
                Some(phase) => Err(format!("some of \"{phase}\" are missing")),
            };
            device.until("decrypting all messages", deadline() * 3, have_all).await;
        }
    }

    /// Waits for what is on its way, and prints what each phase had; gives the number of what was not decrypted.
    async fn report(&self, new: &CryptoClient) -> usize {
        self.all_decrypted(&self.devices).await;
        let have_all = async |device: &CryptoClient| {
            let (wanted, have) = self.of(device, "after, with a new device");
            if have == wanted { Ok(()) } else { Err(format!("{have} of {wanted}")) }
        };
        new.until("decrypting all messages", deadline() * 3, have_all).await;
        let mut table = BTreeMap::new();
        for phase in self.phases() {
            let (mut wanted, mut have) = (0, 0);
            let sleeper = (phase != "lost").then_some(&self.sleeper);
            for device in self.devices.iter().chain(sleeper).chain([new]) {
                let (more, decrypted) = self.of(device, phase);
                wanted += more;
                have += decrypted;
            }
            table.insert(phase, (wanted, have));
        }
        println!("{:<28}{:>10}{:>12}{:>9}", "phase", "to decrypt", "decrypted", "failed");
        for phase in ["before", "lost", "after", "after, with a new device"] {
            let (wanted, have) = table[phase];
            println!("{phase:<28}{wanted:>10}{have:>12}{:>9}", wanted - have);
        }
        let again: usize = self.devices.iter().map(|device| device.broken_to_device().len()).sum();
        println!("{again} to-device messages came a second time, which clients drop");
        table.values().map(|(wanted, have)| wanted - have).sum()
    }
}
