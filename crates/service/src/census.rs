//! A look at all devices, a few users at a time, for the metrics that no single request can know.

use std::time::Duration;

use olmstead_telemetry::Census;
use ruma::OwnedUserId;

use crate::{Context, Result, to_device};

/// Users of one page.
const PAGE: usize = 50;
/// How often a page is looked at: ten thousand users take about a quarter of an hour, and the store notices nothing.
const PACE: Duration = Duration::from_secs(4);
/// Waiting messages are counted up to this.
const MOST: usize = 1_000;
/// The algorithm whose keys count.
const ALGORITHM: &str = "signed_curve25519";

/// Where a look at all devices is.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    after: Option<OwnedUserId>,
    so_far: Census,
}

impl Taking {
    /// Looks at the next page; at the last one the census is told and begins anew.
    ///
    /// # Errors
    /// Those of the store; the page is looked at again then.
    pub(crate) async fn step(&mut self, cx: &Context) -> Result<()> {
        let health = cx.telemetry.health();
        let horizon = cx.storage.horizon().await?;
        health.saw_stream(horizon.epoch.0, cx.storage.horizon_lag().await?);
        let accounts = cx.storage.accounts_after(self.after.as_deref(), PAGE).await?;
        let (mut census, now) = (self.so_far, cx.now());
        for account in accounts.iter().filter(|account| !account.deactivated) {
            for device in cx.storage.device_health(&account.user_id, MOST).await? {
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
        self.so_far = census;
        self.after = accounts.last().map(|account| account.user_id.clone());
        if accounts.len() < PAGE {
            health.saw_all(std::mem::take(&mut self.so_far));
            self.after = None;
        }
        Ok(())
    }
}

/// Looks at page after page for good. Nothing if nothing is measured.
pub(crate) async fn run(cx: &Context) {
    if !cx.telemetry.is_on() {
        return std::future::pending().await;
    }
    let mut taking = Taking::default();
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = taking.step(cx).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the devices could not be looked at");
        }
    }
}
