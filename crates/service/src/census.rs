//! A look at all users, devices and rooms, some at a time, for the metrics and numbers that no single request can know.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use olmstead_telemetry::Census;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Context, Result, admin::e2ee::MOST_WAITING, keys::SIGNED_CURVE25519, to_device};

/// Users of one page.
const PAGE: usize = 50;
/// Rooms of one page; less is read of each.
const ROOMS: usize = 500;
/// How often a page is looked at: ten thousand users take about a quarter of an hour, and the store notices nothing.
const PACE: Duration = Duration::from_secs(4);

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

impl Figures {
    /// What of it is told as metrics.
    const fn census(&self) -> Census {
        Census {
            devices: self.devices_with_keys,
            empty_pools: self.empty_pools,
            used_fallbacks: self.used_fallbacks,
            longest_inbox: self.longest_inbox,
            oldest_message: self.oldest_message_ms,
        }
    }
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
        let (mut figures, now) = (self.figures, cx.now());
        figures.deactivated_users += accounts.iter().filter(|account| account.deactivated).count() as u64;
        for account in accounts.iter().filter(|account| !account.deactivated) {
            figures.users += 1;
            for device in cx.storage.device_health(&account.user_id, MOST_WAITING).await? {
                figures.devices += 1;
                figures.waiting_messages += device.waiting;
                if device.identity_keys.is_none() {
                    continue;
                }
                let keys = device.counts.one_time_keys.get(SIGNED_CURVE25519).copied().unwrap_or(0);
                figures.devices_with_keys += 1;
                figures.empty_pools += u64::from(keys == 0);
                figures.used_fallbacks += u64::from(device.fallback_keys.get(SIGNED_CURVE25519) == Some(&true));
                figures.longest_inbox = figures.longest_inbox.max(device.waiting);
                let sent = device.oldest.as_ref().and_then(|(_, event)| to_device::sent_at(event));
                figures.oldest_message_ms = figures.oldest_message_ms.max(sent.map_or(0, |at| now.saturating_sub(at)));
                health.saw_device(keys, device.waiting);
            }
        }
        self.figures = figures;
        self.after = accounts.last().map(|account| account.user_id.clone());
        if accounts.len() < PAGE {
            health.saw_all(figures.census());
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
