//! Clients: devices that sync at any node with the token of their last answer, and people who do things.

use std::{collections::BTreeSet, sync::Arc};

use olmstead_domain::{
    json::RawJson,
    position::{Position, SyncToken},
};
use olmstead_service::{
    sync::{self, SetPresence, SyncRequest},
    to_device,
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use crate::{
    chance::{ACTORS, Actor, mix},
    node_store::ALGORITHM,
    nodes::{NODES, Nodes},
    people::{self, DEVICES},
    store::{BEGIN, EPOCH},
};

/// The first actor of the operations; clients and tailers come before.
const OPERATIONS: u64 = 9;
/// How often an operation without an answer is done again, at most.
const TRIES: u64 = 6;
/// How often a client asks at the end until it is told of everything, at most.
const LAST_TRIES: usize = 60;

/// One thing that is done.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Its own.
    pub(crate) number: usize,
    /// Milliseconds from the beginning.
    pub(crate) at: u64,
    pub(crate) what: Act,
}

/// What is done.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A message from a user to a device, or to both devices of its owner.
    Send {
        from: usize,
        to: usize,
        all: bool,
    },
    Entry {
        user: usize,
        kind: u64,
    },
    DeviceList {
        user: usize,
    },
    Upload {
        device: usize,
        keys: u64,
    },
    Claim {
        device: usize,
    },
    /// A node dies, for so many milliseconds.
    Kill {
        node: usize,
        away: u64,
    },
}

/// An answer to a sync.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// When it was asked for and when it came, milliseconds.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    /// Where the request began, and how long it would wait, milliseconds.
    pub(crate) since: Position,
    pub(crate) timeout: u64,
    /// Whether the client went on with its token.
    pub(crate) kept: bool,
    /// Numbers of the operations that sent the messages.
    pub(crate) messages: Vec<usize>,
    /// Kind and version.
    pub(crate) entries: Vec<(u64, usize)>,
    pub(crate) changed: BTreeSet<usize>,
    pub(crate) left: usize,
    pub(crate) count: u64,
    pub(crate) token: SyncToken,
}

fn read((began, ended): (u64, u64), (since, timeout): (Position, u64), body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let entry = |event: &Value| {
        let kind = event["type"].as_str()?.strip_prefix('k')?.parse().ok()?;
        Some((kind, number(&event["content"])))
    };
    Answer {
        began,
        ended,
        since,
        timeout,
        kept: false,
        messages: list(&body["to_device"]["events"]).iter().map(|event| number(&event["content"]["number"])).collect(),
        entries: list(&body["account_data"]["events"]).iter().filter_map(entry).collect(),
        changed: list(&body["device_lists"]["changed"]).iter().map(|id| people::number(id.as_str().unwrap())).collect(),
        left: list(&body["device_lists"]["left"]).len(),
        count: body["device_one_time_keys_count"][ALGORITHM].as_u64().unwrap_or_default(),
        token: body["next_batch"].as_str().unwrap().parse().unwrap(),
    }
}

/// A device syncs until `end` says up to where it has to come. All answers that it got.
pub(crate) async fn sync_on(
    nodes: Arc<Nodes>,
    number: usize,
    seed: u64,
    mut end: watch::Receiver<Option<Position>>,
) -> Result<Vec<Answer>, String> {
    let (clock, device) = (nodes.world.clock, people::device(number));
    let lane = u64::try_from(number).unwrap();
    let actor = Actor::new(clock, lane, mix((seed, "client", number)));
    let mut answers: Vec<Answer> = Vec::new();
    let mut token = SyncToken { epoch: EPOCH, position: Position(BEGIN), generation: device.generation, inbox: None };
    let mut last_tries = 0;
    for asked in 0_u64.. {
        let last = *end.borrow_and_update();
        if last.is_some_and(|last| token.position >= last && token.inbox.is_none()) {
            return Ok(answers);
        }
        last_tries += usize::from(last.is_some());
        if last_tries > LAST_TRIES {
            return Err(format!("device {number} is never told of all up to {last:?}: it is at {token:?}"));
        }
        let timeout_ms = if last.is_some() { 0 } else { [0, 3_000, 30_000][usize::try_from(actor.draw(3)).unwrap()] };
        let request = SyncRequest {
            since: Some(token.to_string()),
            set_presence: SetPresence::Offline,
            timeout_ms,
            ..SyncRequest::default()
        };
        // Some clients lose their connection.
        let patience = if actor.once_in(6) { actor.draw(2_000) } else { 60_000 };
        let node = usize::try_from(actor.draw(u64::try_from(NODES).unwrap())).unwrap();
        let began = clock.now();
        let device = device.clone();
        let asker = Actor::new(clock, lane, mix((seed, "sync", number, asked)));
        let answer = nodes
            .ask(node, asker, patience, |cx, _| async move { sync::sync(&cx, &device, request).await.ok() })
            .await
            .flatten();
        if let Some(body) = answer {
            let mut answer = read((began, clock.now()), (token.position, timeout_ms), &body);
            answer.kept = last.is_some() || !actor.once_in(5);
            if answer.kept {
                token = answer.token;
            }
            answers.push(answer);
        }
        actor.pause(300).await;
    }
    Ok(answers)
}

/// The order in which people do things: one after another.
pub(crate) struct Hands(Vec<Mutex<()>>);

impl Hands {
    pub(crate) fn new() -> Self {
        Self((0..DEVICES).map(|_| Mutex::default()).collect())
    }
}

/// Does one thing, again at another node if there is no answer, and at last gives it up.
pub(crate) async fn operate(nodes: Arc<Nodes>, hands: Arc<Hands>, operation: Operation, seed: u64) {
    let clock = nodes.world.clock;
    let own = OPERATIONS + u64::try_from(operation.number).unwrap() % (ACTORS - OPERATIONS);
    let actor = Actor::new(clock, own, mix((seed, "operation", operation.number)));
    clock.wait(2 * own, operation.at).await;
    if let Act::Kill { node, away } = operation.what {
        nodes.kill(node);
        clock.wait(2 * own, away).await;
        nodes.revive(node);
        return;
    }
    let who = match operation.what {
        Act::Send { from, .. } => from,
        Act::Entry { user, .. } | Act::DeviceList { user } => 2 * user,
        Act::Upload { device, .. } | Act::Claim { device } => device,
        Act::Kill { .. } => 0,
    };
    let _turn = hands.0[who].lock().await;
    for again in 0..TRIES {
        let node = usize::try_from(actor.draw(u64::try_from(NODES).unwrap())).unwrap();
        let patience = if actor.once_in(6) { actor.draw(1_000) } else { 60_000 };
        let worker = Actor::new(clock, own, mix((seed, "try", operation.number, again)));
        let (act, number) = (operation.what.clone(), operation.number);
        let done = nodes
            .ask(node, worker, patience, move |cx, store| async move {
                match act {
                    Act::Send { from, to, all } => {
                        let to = people::device(to);
                        let target = if all { "*" } else { to.device_id.as_str() };
                        let content = json!({"from": from, "number": number});
                        let body = RawJson::from_value(&json!({"messages": {to.user_id.as_str(): {target: content}}}))
                            .unwrap();
                        let body: to_device::Request = body.read().unwrap();
                        let sender = people::device(from);
                        to_device::send(&cx, &sender, "m.test", &format!("t{number}"), &body).await.is_ok()
                    }
                    Act::Entry { user, kind } => store.set_entry(user, kind, number).await.is_ok(),
                    Act::DeviceList { user } => store.change_devices(user).await.is_ok(),
                    Act::Upload { device, keys } => store.change_count(device, Some(keys)).await.is_ok(),
                    Act::Claim { device } => store.change_count(device, None).await.is_ok(),
                    Act::Kill { .. } => true,
                }
            })
            .await;
        if done == Some(true) {
            return;
        }
        actor.pause(200).await;
    }
}
