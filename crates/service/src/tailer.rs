//! Follows the stream of changes and wakes whom they touch (DL-22, TD-15, SYNC-15).
//!
//! One tailer runs in each process, and each follows the whole stream, so a write at one node wakes waiters at all.
//! Nothing that is answered rests on it but how soon: a waiter reads for itself, and a waiter woken in vain waits on. So
//! in doubt it wakes more.
//!
//! Beside it run the sweeps that end what ends by itself. All nodes run them: each end is one command of the store, which
//! one of them gets to write, so it does not matter which nodes live.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use olmstead_domain::position::Position;
use olmstead_storage::{
    changes::{ChangeKey, Changed, Horizon},
    rooms::Membership,
};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior},
};

use crate::{
    Context, Result, census,
    context::CLOCKS_DIFFER_MS,
    rooms::typing::MAX_MS as LONGEST_TYPING_MS,
    sync::{self, presence::GONE_AFTER_MS},
};

/// How often the horizon is read when no hint comes; another node's commits may give none.
const TICK: Duration = Duration::from_millis(250);
/// How often typing that ended and users who stopped syncing are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How often the store is told who goes on syncing here.
pub(crate) const KEEP: Duration = Duration::from_secs(20);
/// Beyond this many users with changed keys or presence in one span, waking all costs less than finding out whom.
const MANY_USERS: usize = 500;

/// Follows the stream until `stopped` says `true` or its sender is gone, then lets all long-polls answer. Start it
/// before the first request is served, one a process.
pub async fn run(cx: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = tail(&cx) => {}
        // Beside it, so that many writes at once do not hold up the wake-ups.
        () = sweep(&cx) => {}
        () = keep(&cx) => {}
        () = census::run(&cx) => {}
    }
    cx.notifier.close();
}

async fn tail(cx: &Context) {
    let mut hint = cx.storage.hint();
    let mut hinted = true;
    let mut tick = interval(TICK);
    let mut seen = None;
    loop {
        tokio::select! {
            // Not at random, so that a simulated run can be had again.
            biased;
            _ = tick.tick() => {}
            // An engine that stopped hinting is followed by the tick alone.
            alive = hint.changed(), if hinted => hinted = alive.is_ok(),
        }
        let (noticed, before) = (std::time::Instant::now(), seen);
        let followed = follow(cx, &mut seen).await;
        if seen != before && !cx.notifier.is_idle() {
            cx.telemetry.health().woken(noticed.elapsed());
        }
        if let Err(error) = followed {
            // The span stays unread and is read again with the next hint or tick.
            tracing::warn!(error = &error as &dyn std::error::Error, "following the changes failed");
        }
    }
}

/// Ends what ends by itself. When the clock was put back, that is all there is: by the clock of before it would go on
/// until that time comes again, and who goes on says so again.
async fn sweep(cx: &Context) {
    let mut tick = interval(SWEEP);
    let mut before = cx.now();
    loop {
        tick.tick().await;
        let now = cx.now();
        let was_put_back = now.saturating_add(CLOCKS_DIFFER_MS) < before;
        if was_put_back {
            tracing::warn!(by_ms = before - now, "the clock was put back: typing and presence of before end");
        }
        let by_then = |longest: u64| if was_put_back { before.saturating_add(longest + CLOCKS_DIFFER_MS) } else { now };
        let ended =
            tokio::try_join!(end_typing(cx, by_then(LONGEST_TYPING_MS)), end_syncing(cx, by_then(GONE_AFTER_MS)));
        match ended {
            Ok(_) => before = now,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "ending typing and presence failed");
            }
        }
    }
}

async fn end_typing(cx: &Context, now: u64) -> Result<()> {
    while cx.storage.end_typing(now).await? > 0 {}
    Ok(())
}

async fn end_syncing(cx: &Context, now: u64) -> Result<()> {
    while cx.storage.end_syncing(now).await? > 0 {}
    Ok(())
}

/// Keeps those present who go on syncing here.
async fn keep(cx: &Context) {
    let mut tick = interval(KEEP);
    loop {
        tick.tick().await;
        if let Err(error) = sync::keep_presence(cx).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "keeping presence failed");
        }
    }
}

fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Reads what is new below the horizon and wakes for it.
async fn follow(cx: &Context, seen: &mut Option<Horizon>) -> Result<()> {
    let now = cx.storage.horizon().await?;
    let Some(from) = seen.filter(|seen| seen.epoch == now.epoch).map(|seen| seen.position) else {
        if seen.is_some() {
            cx.caches.forget_all();
        }
        // Somebody may have read and gone to wait before this first look.
        *seen = Some(now);
        cx.notifier.wake_all();
        return Ok(());
    };
    let horizon = now.position;
    if horizon <= from {
        return Ok(());
    }
    match cx.storage.changed(from, horizon).await? {
        Changed::Everything => {
            cx.caches.forget_derived(horizon);
            cx.notifier.wake_all();
        }
        Changed::Keys(keys) => {
            let touched = Touched::sort(cx, keys);
            if !cx.notifier.is_idle() {
                touched.wake(cx).await?;
            }
        }
    }
    *seen = Some(now);
    Ok(())
}

/// What a span touched, each once; in an order that is the same each time, for the simulation's sake.
#[derive(Debug, Default)]
struct Touched {
    users: BTreeSet<OwnedUserId>,
    rooms: BTreeSet<OwnedRoomId>,
    /// Users with news for those who share a room.
    shown: BTreeSet<OwnedUserId>,
}

impl Touched {
    /// Drops what caches know of the changes, wakes single devices, and collects the rest.
    fn sort(cx: &Context, keys: Vec<ChangeKey>) -> Self {
        let mut touched = Self::default();
        for key in keys {
            match key {
                ChangeKey::User(user_id) => {
                    touched.users.insert(user_id);
                }
                ChangeKey::Device(user_id, device_id) => cx.notifier.wake_device(&user_id, &device_id),
                ChangeKey::DeviceList(user_id) => {
                    touched.users.insert(user_id.clone());
                    touched.shown.insert(user_id);
                }
                ChangeKey::Presence(user_id) => {
                    sync::presence_changed(cx, &user_id);
                    touched.users.insert(user_id.clone());
                    touched.shown.insert(user_id);
                }
                ChangeKey::Room(room_id) => {
                    touched.rooms.insert(room_id);
                }
                ChangeKey::Membership(room_id, user_id) => {
                    cx.caches.members.invalidate(&room_id);
                    touched.users.insert(user_id);
                    touched.rooms.insert(room_id);
                }
            }
        }
        touched
    }

    async fn wake(mut self, cx: &Context) -> Result<()> {
        if self.shown.len() > MANY_USERS {
            cx.notifier.wake_all();
            return Ok(());
        }
        cx.notifier.wake_users(&self.users);
        for user_id in &self.shown {
            self.rooms.extend(rooms_of(cx, user_id).await?);
        }
        for room_id in &self.rooms {
            let members = match cx.caches.members.get(room_id) {
                Some(members) => members,
                None => {
                    let members: Arc<[OwnedUserId]> = cx.storage.joined_members(room_id).await?.into();
                    cx.caches.members.insert(room_id.clone(), Arc::clone(&members));
                    members
                }
            };
            cx.notifier.wake_users(members.iter());
        }
        Ok(())
    }
}

/// Rooms whose members may see a user's keys and presence. Members of a room see the keys of those they invited too.
async fn rooms_of(cx: &Context, user_id: &UserId) -> Result<impl Iterator<Item = OwnedRoomId>> {
    let rooms = cx.storage.memberships(user_id, Position::END, Position::END).await?;
    Ok(rooms
        .into_iter()
        .filter(|room| matches!(room.membership, Membership::Join | Membership::Invite))
        .map(|room| room.room_id))
}
