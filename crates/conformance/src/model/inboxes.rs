//! The model of inboxes: to each device a list.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    devices::{DeviceRef, DeviceSelection},
    to_device::{OutgoingMessage, Recipient},
};
use ruma::OwnedUserId;

use super::{StoreModel, same};
use crate::{
    Store,
    random::Random,
    support::{body, event, transaction},
};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const IDS: [&str; 3] = ["A", "B", "C"];

type Slot = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Login(Slot),
    Delete(Slot),
    /// Sender, transaction, and to whom: a user, and a device or all.
    Send(Slot, Option<(usize, usize)>, Vec<(usize, Option<usize>)>),
    /// Reads from where the device stands, in pages.
    Read(Slot, usize),
    /// Acknowledges so many of the messages.
    Acknowledge(Slot, usize),
}

struct Device {
    id: DeviceRef,
    /// Where delivery goes on.
    from: Cursor,
    waiting: Vec<u64>,
}

pub(crate) struct Model {
    users: Vec<OwnedUserId>,
    devices: BTreeMap<Slot, Device>,
    transactions: BTreeSet<(u64, usize, usize)>,
    sent: u64,
}

fn slot(random: &mut Random) -> Slot {
    (random.below(USERS.len()), random.below(IDS.len()))
}

impl StoreModel for Model {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        match random.below(16) {
            0..=2 => Command::Login(slot(random)),
            3 if random.once_in(2) => Command::Delete(slot(random)),
            3 => Command::Login(slot(random)),
            4..=9 => {
                let sender = slot(random);
                let transaction = (!random.once_in(4)).then(|| (random.below(2), random.below(12)));
                let messages = (0..1 + random.below(5)).map(|_| {
                    let (user, device) = slot(random);
                    (user, (!random.once_in(3)).then_some(device))
                });
                Command::Send(sender, transaction, messages.collect())
            }
            10..=13 => Command::Read(slot(random), 1 + random.below(7)),
            _ => Command::Acknowledge(slot(random), random.below(6)),
        }
    }

    async fn begin(store: &Store) -> Self {
        let mut users = Vec::new();
        for name in USERS {
            users.push(store.user(name).await);
        }
        Self { users, devices: BTreeMap::new(), transactions: BTreeSet::new(), sent: 0 }
    }

    async fn step(&mut self, store: &Store, command: &Command) -> Result<(), String> {
        match command {
            Command::Login(slot) => {
                let id = store.log_in(&self.users[slot.0], IDS[slot.1]).await;
                let new = Device { id: id.clone(), from: Cursor::START, waiting: Vec::new() };
                same("the device", &id, &self.devices.entry(*slot).or_insert(new).id)
            }
            Command::Delete(slot) => {
                let selection = DeviceSelection::These(vec![IDS[slot.1].into()]);
                let deleted = store.delete_devices(&self.users[slot.0], selection).await.unwrap();
                same("deleted", deleted.len(), usize::from(self.devices.remove(slot).is_some()))
            }
            Command::Send(sender, transaction, messages) => self.send(store, *sender, *transaction, messages).await,
            Command::Read(slot, limit) => {
                let Some(device) = self.devices.get(slot) else { return Ok(()) };
                same(
                    "the inbox",
                    read(store, device, *limit).await?.into_iter().map(|(_, n)| n).collect(),
                    device.waiting.clone(),
                )
            }
            Command::Acknowledge(slot, count) => {
                let Some(device) = self.devices.get_mut(slot) else { return Ok(()) };
                let messages = read(store, device, 100).await?;
                let count = (*count).min(messages.len());
                if let Some((last, _)) = messages[..count].last() {
                    device.from = last.next();
                    store.acknowledge(&device.id, device.from).await.unwrap();
                    device.waiting.drain(..count);
                }
                Ok(())
            }
        }
    }
}

/// All that waits for a device, read in pages.
async fn read(store: &Store, device: &Device, limit: usize) -> Result<Vec<(Cursor, u64)>, String> {
    let to = store.position().await;
    let (mut from, mut messages) = (device.from, Vec::new());
    loop {
        let page = store.inbox(&device.id, from, to, limit).await.unwrap();
        same("a full page", page.messages.len() == limit || !page.more, true)?;
        let Some((last, _)) = page.messages.last() else { return Ok(messages) };
        from = last.next();
        messages.extend(page.messages.iter().map(|(cursor, event)| (*cursor, body(event).as_u64().unwrap())));
        if !page.more {
            return Ok(messages);
        }
    }
}

impl Model {
    async fn send(
        &mut self,
        store: &Store,
        sender: Slot,
        id: Option<(usize, usize)>,
        messages: &[(usize, Option<usize>)],
    ) -> Result<(), String> {
        let Some(sender) = self.devices.get(&sender).map(|device| device.id.clone()) else { return Ok(()) };
        let key = id.map(|(scope, id)| transaction(&sender, &format!("scope{scope}"), &id.to_string()));
        let new = id.is_none_or(|(scope, id)| self.transactions.insert((sender.generation, scope, id)));
        let mut outgoing = Vec::new();
        for (user, device) in messages {
            self.sent += 1;
            let user_id = self.users[*user].clone();
            let recipient = match device {
                Some(device) => Recipient::Device(user_id, IDS[*device].into()),
                None => Recipient::AllDevices(user_id),
            };
            outgoing.push(OutgoingMessage { recipient, event: event(self.sent) });
            if !new {
                continue;
            }
            for ((owner, id), inbox) in &mut self.devices {
                if owner == user && device.is_none_or(|device| device == *id) {
                    inbox.waiting.push(self.sent);
                }
            }
        }
        same("a new transaction", store.send_to_device(key, outgoing).await.unwrap(), new)
    }
}
