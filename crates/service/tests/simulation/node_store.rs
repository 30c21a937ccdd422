//! The store as one node has it: what syncing and sending ask of it. The rest is in `absent`.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
};

use async_trait::async_trait;
use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
};
use olmstead_storage::{
    Changes, Result, SyncReads, ToDevice,
    account_data::AccountDataEntry,
    changes::{ChangeKey, Changed, Horizon},
    devices::DeviceRef,
    keys::KeyCounts,
    rooms::{Membership, RoomMembership},
    sync::{SyncFacts, SyncQuery},
    to_device::{InboxPage, OutgoingMessage, Recipient, TransactionKey},
};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    chance::{ACTOR, pause},
    people::{self, DEVICES},
    store::{Lie, Rows, What, World, Written},
};

/// The algorithm of all one-time keys.
pub(crate) const ALGORITHM: &str = "signed_curve25519";
/// One look at the changes in so many is told that anything may have changed.
const FORGOTTEN: u64 = 15;

/// The shared store, from one life of a node.
pub(crate) struct NodeStore {
    pub(crate) world: Arc<World>,
    pub(crate) lives: Arc<AtomicBool>,
    pub(crate) hint: watch::Receiver<Position>,
}

impl NodeStore {
    async fn command<R: Send + 'static>(
        &self,
        lock: String,
        write: impl FnOnce(&mut Rows, Position) -> Written<R> + Send + 'static,
    ) -> Result<R> {
        self.world.command(Arc::clone(&self.lives), lock, write).await
    }

    /// Sets account data of a user to a version of it.
    pub(crate) async fn set_entry(&self, user: usize, kind: u64, version: usize) -> Result<()> {
        self.command(format!("entry {user} {kind}"), move |rows, position| {
            let content = RawJson::from_value(&version).unwrap();
            let key = (people::user(user).to_string(), format!("k{kind}"));
            rows.account_data.insert(key, (position, content));
            Written {
                answer: (),
                keys: vec![ChangeKey::User(people::user(user))],
                changes: vec![What::Entry { user, kind, version }],
            }
        })
        .await
    }

    /// Changes the device list of a user.
    pub(crate) async fn change_devices(&self, user: usize) -> Result<()> {
        self.command(format!("list {user}"), move |rows, position| {
            rows.device_lists.insert((position, people::user(user).to_string()), ());
            Written {
                answer: (),
                keys: vec![ChangeKey::DeviceList(people::user(user))],
                changes: vec![What::DeviceList { user }],
            }
        })
        .await
    }

    /// Adds one-time keys to a device, or takes one.
    pub(crate) async fn change_count(&self, device: usize, added: Option<u64>) -> Result<()> {
        self.command(format!("pool {device}"), move |rows, position| {
            let of = people::device(device);
            let entry = rows.counts.entry(people::name(&of)).or_default();
            let count = added.map_or(entry.0.saturating_sub(1), |added| entry.0 + added);
            *entry = (count, position);
            Written {
                answer: (),
                keys: vec![ChangeKey::Device(of.user_id, of.device_id)],
                changes: vec![What::Count { device, count }],
            }
        })
        .await
    }
}

#[async_trait]
impl Changes for NodeStore {
    async fn horizon(&self) -> Result<Horizon> {
        self.world.read(|_, horizon| horizon).await
    }

    async fn changed(&self, from: Position, to: Position) -> Result<Changed> {
        if self.world.lie == Lie::NothingChanged {
            return Ok(Changed::Keys(Vec::new()));
        }
        if ACTOR.with(|actor| actor.once_in(FORGOTTEN)) {
            return Ok(Changed::Everything);
        }
        self.world
            .read(|rows, _| Changed::Keys(rows.changes.range(from..to).flat_map(|(_, keys)| keys.clone()).collect()))
            .await
    }

    fn hint(&self) -> watch::Receiver<Position> {
        self.hint.clone()
    }
}

#[async_trait]
impl SyncReads for NodeStore {
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
        let query = query.clone();
        self.world.read(move |rows, horizon| Some(facts(rows, horizon, &query))).await
    }
}

fn facts(rows: &Rows, horizon: Horizon, query: &SyncQuery) -> SyncFacts {
    let (user, name) = (&query.device.user_id, people::name(&query.device));
    let since = query.since.unwrap_or(Position::START);
    let (count, counted) = rows.counts.get(&name).copied().unwrap_or_default();
    let is_new = |position: &Position| *position >= since && *position < horizon.position;
    let account_data = rows
        .account_data
        .iter()
        .filter(|((owner, _), (position, _))| owner == user.as_str() && is_new(position))
        .map(|((_, kind), (position, content))| AccountDataEntry {
            room_id: None,
            kind: kind.clone(),
            content: content.clone(),
            position: *position,
        })
        .collect();
    let changed: BTreeSet<OwnedUserId> = rows
        .device_lists
        .keys()
        .filter(|(position, _)| is_new(position))
        .map(|(_, user)| user.as_str().try_into().unwrap())
        .collect();
    SyncFacts {
        locked: false,
        horizon,
        memberships: memberships(user),
        inbox: page(rows, &name, query.inbox_from, horizon.position, query.inbox_limit),
        key_counts: KeyCounts {
            one_time_keys: [(ALGORITHM.to_owned(), count)].into(),
            unused_fallback_keys: Vec::new(),
        },
        key_counts_changed: counted,
        account_data,
        settings_changed: Position::START,
        device_lists: changed.into_iter().collect(),
        own_device_lists: Vec::new(),
        presence: Vec::new(),
    }
}

/// All but the last user are in one encrypted room, from before the run.
pub(crate) fn memberships(user: &UserId) -> Vec<RoomMembership> {
    if people::sharing().iter().all(|member| member != user) {
        return Vec::new();
    }
    vec![RoomMembership {
        room_id: people::room(),
        membership: Membership::Join,
        event_id: "$join".try_into().unwrap(),
        sender: user.to_owned(),
        cursor: Cursor::at(Position(1)),
        previous: None,
        last_event: Position(1),
        last_membership: Position(1),
        last_ephemeral: Position::START,
        encrypted_at: Some(Cursor::at(Position(1))),
    }]
}

fn page(rows: &Rows, name: &str, from: Cursor, to: Position, limit: usize) -> InboxPage {
    let waiting = rows.inboxes.get(name).into_iter().flat_map(|inbox| inbox.range(from..Cursor::at(to)));
    let mut messages: Vec<(Cursor, RawJson)> =
        waiting.take(limit + 1).map(|(cursor, event)| (*cursor, event.clone())).collect();
    let more = messages.len() > limit;
    messages.truncate(limit);
    InboxPage { messages, more }
}

#[async_trait]
impl ToDevice for NodeStore {
    async fn send_to_device(
        &self,
        transaction: Option<TransactionKey>,
        messages: Vec<OutgoingMessage>,
    ) -> Result<bool> {
        let transaction = transaction.unwrap();
        self.command(format!("{transaction:?}"), move |rows, position| {
            if !rows.transactions.insert(transaction.clone()) {
                return Written { answer: false, keys: Vec::new(), changes: Vec::new() };
            }
            let (mut keys, mut changes) = (Vec::new(), Vec::new());
            for (ordinal, message) in (0..).zip(messages) {
                for to in 0..DEVICES {
                    let device = people::device(to);
                    if !is_for(&message.recipient, &device) {
                        continue;
                    }
                    // A device gets one message of a request, or one for all.
                    let cursor = Cursor::new(position, ordinal);
                    rows.inboxes.entry(people::name(&device)).or_default().insert(cursor, message.event.clone());
                    keys.push(ChangeKey::Device(device.user_id, device.device_id));
                    let event: Value = message.event.read().unwrap();
                    let number = |name: &str| usize::try_from(event["content"][name].as_u64().unwrap()).unwrap();
                    changes.push(What::Message { to, from: number("from"), number: number("number") });
                }
            }
            Written { answer: true, keys, changes }
        })
        .await
    }

    async fn inbox(&self, device: &DeviceRef, from: Cursor, to: Position, limit: usize) -> Result<InboxPage> {
        let name = people::name(device);
        self.world.read(move |rows, _| page(rows, &name, from, to, limit)).await
    }

    async fn acknowledge(&self, device: &DeviceRef, cursor: Cursor) -> Result<()> {
        let (name, all) = (people::name(device), self.world.lie == Lie::AcknowledgesAll);
        self.world
            .note(|rows| {
                let inbox = rows.inboxes.entry(name).or_default();
                *inbox = if all { Default::default() } else { inbox.split_off(&cursor) };
            })
            .await?;
        // An acknowledgement takes a while, and the sync goes on after it.
        pause(60).await;
        Ok(())
    }
}

fn is_for(recipient: &Recipient, device: &DeviceRef) -> bool {
    let is = |user_id: &OwnedUserId, device_id: Option<&OwnedDeviceId>| {
        *user_id == device.user_id && device_id.is_none_or(|id| *id == device.device_id)
    };
    match recipient {
        Recipient::AllDevices(user_id) => is(user_id, None),
        Recipient::Device(user_id, device_id) => is(user_id, Some(device_id)),
    }
}
