//! A look at all users, devices and rooms, some at a time, for the metrics and numbers that no single request can know.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use olmstead_telemetry::Census;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Context, Result, to_device};

/// Users of one page.
const PAGE: usize = 50;
/// Rooms of one page; less is read of each.
const ROOMS: usize = 500;
/// How often a page is looked at: ten thousand users take about a quarter of an hour, and the store notices nothing.
const PACE: Duration = Duration::from_secs(4);
/// Waiting messages are counted up to this.
const MOST: usize = 1_000;
/// The algorithm whose keys count.
const ALGORITHM: &str = "signed_curve25519";

/// What one look at everything counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Accounts, the deactivated aside.
    pub users: u64,
    /// Accounts that were deactivated.
    pub deactivated_users: u64,
    /// Rooms.
    pub rooms: u64,
    /// Devices, dehydrated ones too.
    pub devices: u64,
    /// Those of them with identity keys.
    pub devices_with_keys: u64,
    /// Those with identity keys and without a one-time key.
    pub empty_pools: u64,
    /// Those with identity keys whose fallback key was given out.
    pub used_fallbacks: u64,
    /// To-device messages that wait, those of a device counted up to 1,000.
    pub waiting_messages: u64,
    /// Messages that wait for the one device with keys for which the most do.
    pub longest_inbox: u64,
    /// How long the message waits that waits longest, milliseconds.
    pub oldest_message_ms: u64,
}

/// What this node knows of how much there is. Each node looks for itself.
#[derive(Debug)]
pub struct Statistics {
    started: Instant,
    wanted: AtomicBool,
    last: Mutex<Option<(u64, Figures)>>,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { started: Instant::now(), wanted: AtomicBool::new(false), last: Mutex::default() }
    }
}

impl Statistics {
    /// Says that somebody will ask: else a node that measures nothing looks at nothing.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// For how long this node has run, milliseconds.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When the last look ended, milliseconds since the Unix epoch, and what it counted.
    #[must_use]
    pub fn last(&self) -> Option<(u64, Figures)> {
        *self.last.lock()
    }
}

/// Where a look at everything is: first come the users, then the rooms.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    after: Option<OwnedUserId>,
    /// The users are through; rooms after this one follow.
    rooms: Option<Option<OwnedRoomId>>,
    so_far: Census,
    figures: Figures,
}

impl Taking {
    /// Looks at the next page; after the last users the census of devices is told, after the last rooms it begins anew.
    ///
    /// # Errors
    /// Those of the store; the page is looked at again then.
    pub(crate) async fn step(&mut self, cx: &Context) -> Result<()> {
        let health = cx.telemetry.health();
        let horizon = cx.storage.horizon().await?;
        health.saw_stream(horizon.epoch.0, cx.storage.horizon_lag().await?);
        if self.rooms.is_none() {
            self.look_at_users(cx).await?;
        }
        if let Some(after) = &self.rooms {
            let rooms = cx.storage.rooms_after(after.as_deref(), ROOMS).await?;
            self.figures.rooms += rooms.len() as u64;
            if rooms.len() < ROOMS {
                *cx.statistics.last.lock() = Some((cx.now(), std::mem::take(&mut self.figures)));
                self.rooms = None;
            } else {
                self.rooms = Some(rooms.last().map(|(room_id, _)| room_id.clone()));
            }
        }
        Ok(())
    }

    async fn look_at_users(&mut self, cx: &Context) -> Result<()> {
        let health = cx.telemetry.health();
        let accounts = cx.storage.accounts_after(self.after.as_deref(), PAGE).await?;
        let (mut census, mut figures, now) = (self.so_far, self.figures, cx.now());
        figures.deactivated_users += accounts.iter().filter(|account| account.deactivated).count() as u64;
        for account in accounts.iter().filter(|account| !account.deactivated) {
            figures.users += 1;
            for device in cx.storage.device_health(&account.user_id, MOST).await? {
                figures.devices += 1;
                figures.waiting_messages += device.waiting;
                if device.identity_keys.is_none() {
                    continue;
                }
                let keys = device.counts.one_time_keys.get(ALGORITHM).copied().unwrap_or(0);
                census.devices += 1;
                census.empty_pools += u64::from(keys == 0);
                census.used_fallbacks += u64::from(device.fallback_keys.get(ALGORITHM) == Some(&true));
                census.longest_inbox = census.longest_inbox.max(device.waiting);
                let sent = device.oldest.as_ref().and_then(|(_, event)| to_device::sent_at(event));
                census.oldest_message = census.oldest_message.max(sent.map_or(0, |at| now.saturating_sub(at)));
                health.saw_device(keys, device.waiting);
            }
        }
        figures.devices_with_keys = census.devices;
        figures.empty_pools = census.empty_pools;
        figures.used_fallbacks = census.used_fallbacks;
        figures.longest_inbox = census.longest_inbox;
        figures.oldest_message_ms = census.oldest_message;
        (self.so_far, self.figures) = (census, figures);
        self.after = accounts.last().map(|account| account.user_id.clone());
        if accounts.len() < PAGE {
            health.saw_all(std::mem::take(&mut self.so_far));
            self.after = None;
            self.rooms = Some(None);
        }
        Ok(())
    }
}

/// Looks at page after page for good. Nothing as long as nothing is measured and nobody will ask.
pub(crate) async fn run(cx: &Context) {
    let mut taking = Taking::default();
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !cx.telemetry.is_on() && !cx.statistics.wanted.load(Ordering::Relaxed) {
            continue;
        }
        if let Err(error) = taking.step(cx).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the devices could not be looked at");
        }
    }
}
