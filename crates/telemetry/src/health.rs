//! The health of encryption, counted where it changes: nothing here reads the store.

use std::time::Duration;

use olmstead_storage::{
    backups::PutBackupOutcome,
    keys::{ClaimWant, ClaimedKey, UploadOutcome},
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter},
};

/// How many keys a pool may have: from none to more than any client keeps.
const KEYS: [f64; 8] = [0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0];
/// How many messages may wait.
const MESSAGES: [f64; 8] = [0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];
/// How long it may take to wake somebody.
const SECONDS: [f64; 8] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0];

/// What a claim can come to.
const CLAIMS: [&str; 3] = ["one_time", "fallback", "none"];
/// What a write to a backup can come to.
const BACKED_UP: [&str; 3] = ["stored", "not_current", "not_found"];
/// What signatures are on.
const SIGNATURES: [&str; 1] = [UPLOADED_SIGNATURE];
/// A signature in `keys/signatures/upload`.
pub const UPLOADED_SIGNATURE: &str = "uploaded_signature";

/// Instruments of encryption.
#[derive(Debug)]
pub struct Health {
    uploaded: Counter<u64>,
    duplicates: Counter<u64>,
    claims: Counter<u64>,
    device_lists: Counter<u64>,
    signatures: Counter<u64>,
    identity: Counter<u64>,
    backed_up: Counter<u64>,
    sent: Counter<u64>,
    read: Counter<u64>,
    wakeups: Histogram<f64>,
    pools: Histogram<u64>,
    inboxes: Histogram<u64>,
    empty_pools: Gauge<u64>,
    used_fallbacks: Gauge<u64>,
    devices: Gauge<u64>,
    longest: Gauge<u64>,
    oldest: Gauge<f64>,
    lag: Gauge<u64>,
    epoch: Gauge<u64>,
}

/// What one look at all devices found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Devices with identity keys.
    pub devices: u64,
    /// Those of them without a one-time key.
    pub empty_pools: u64,
    /// Those of them whose fallback key was given out.
    pub used_fallbacks: u64,
    /// Messages that wait for the one for which the most do.
    pub longest_inbox: u64,
    /// How long the message waits that waits longest, milliseconds.
    pub oldest_message: u64,
}

impl Health {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter = |name, about| meter.u64_counter(name).with_description(about).build();
        let gauge = |name, about| meter.u64_gauge(name).with_description(about).build();
        let histogram = |name, about, boundaries: &[f64]| {
            meter.u64_histogram(name).with_description(about).with_boundaries(boundaries.to_vec()).build()
        };
        let this = Self {
            uploaded: counter("olmstead.one_time_keys.uploaded", "One-time keys that were uploaded, new or again"),
            duplicates: counter(
                "olmstead.one_time_keys.duplicates",
                "Uploads that were refused because another key has that id: the client lost its state",
            ),
            claims: counter("olmstead.one_time_keys.claims", "Keys that were asked for, by what was given"),
            device_lists: counter("olmstead.device_lists.changes", "Changes of device lists and cross-signing keys"),
            signatures: counter("olmstead.signatures.refused", "Signatures that do not verify, by what they are on"),
            identity: counter("olmstead.identity_keys.changed", "Uploads with other identity keys than the device had"),
            backed_up: counter("olmstead.backups.keys", "Keys written to backups, by outcome"),
            sent: counter("olmstead.to_device.sent", "To-device messages that were accepted"),
            read: counter("olmstead.to_device.delivered", "To-device messages in answers to syncs, again or not"),
            wakeups: meter
                .f64_histogram("olmstead.wakeups.latency")
                .with_unit("s")
                .with_description("From the news of a change until all whom it touches are woken")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            pools: histogram("olmstead.one_time_keys.pool", "One-time keys of a device, when it was looked at", &KEYS),
            inboxes: histogram(
                "olmstead.to_device.inbox",
                "Messages that wait, when a device was looked at",
                &MESSAGES,
            ),
            empty_pools: gauge("olmstead.devices.empty_pool", "Devices with keys, but no one-time key"),
            used_fallbacks: gauge("olmstead.devices.used_fallback", "Devices whose fallback key was given out"),
            devices: gauge("olmstead.devices", "Devices with identity keys"),
            longest: gauge(
                "olmstead.to_device.longest_inbox",
                "Messages that wait for the device for which the most do",
            ),
            oldest: meter
                .f64_gauge("olmstead.to_device.oldest")
                .with_unit("s")
                .with_description("How long the message waits that waits longest")
                .build(),
            lag: gauge("olmstead.horizon.lag", "Positions that were given to writes and are not final"),
            epoch: gauge("olmstead.store.epoch", "The life of the store; a restore begins another"),
        };
        this.begin_at_zero();
        this
    }

    /// What never happened is 0 and not absent: an alert can tell the first time from no server.
    fn begin_at_zero(&self) {
        for counter in [&self.uploaded, &self.duplicates, &self.device_lists, &self.identity, &self.sent, &self.read] {
            counter.add(0, &[]);
        }
        for outcome in CLAIMS {
            self.claims.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        for outcome in BACKED_UP {
            self.backed_up.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        for on in SIGNATURES {
            self.signatures.add(0, &[KeyValue::new("on", on)]);
        }
    }

    /// An upload of this many one-time keys went like this.
    pub(crate) fn uploaded(&self, keys: usize, outcome: &UploadOutcome) {
        match outcome {
            UploadOutcome::Stored { counts, device_list_changed, identity_changed } => {
                self.uploaded.add(keys as u64, &[]);
                if *device_list_changed {
                    self.device_lists_changed(1);
                }
                if *identity_changed {
                    self.identity.add(1, &[]);
                }
                if let Some(depth) = counts.one_time_keys.get("signed_curve25519") {
                    self.pools.record(*depth, &[]);
                }
            }
            UploadOutcome::OneTimeKeyExists { .. } => self.duplicates.add(1, &[]),
            UploadOutcome::DeviceGone => {}
        }
    }

    /// These keys were given for these wishes.
    pub(crate) fn claimed(&self, wants: &[ClaimWant], claimed: &[ClaimedKey]) {
        let fallback = claimed.iter().filter(|key| key.fallback).count();
        let counts = [claimed.len() - fallback, fallback, wants.len().saturating_sub(claimed.len())];
        for (outcome, count) in CLAIMS.into_iter().zip(counts) {
            if count > 0 {
                self.claims.add(count as u64, &[KeyValue::new("outcome", outcome)]);
            }
        }
    }

    pub(crate) fn device_lists_changed(&self, count: usize) {
        if count > 0 {
            self.device_lists.add(count as u64, &[]);
        }
    }

    pub(crate) fn backed_up(&self, keys: usize, outcome: &PutBackupOutcome) {
        let [stored, not_current, not_found] = BACKED_UP;
        let outcome = match outcome {
            PutBackupOutcome::Stored(_) => stored,
            PutBackupOutcome::NotCurrent { .. } => not_current,
            PutBackupOutcome::NotFound => not_found,
        };
        self.backed_up.add(keys as u64, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn sent_to_device(&self, count: usize) {
        self.sent.add(count as u64, &[]);
    }

    pub(crate) fn read_inbox(&self, count: usize) {
        if count > 0 {
            self.read.add(count as u64, &[]);
        }
    }

    /// A signature on something of this kind, such as `device_keys`, does not verify.
    pub fn signature_refused(&self, on: &'static str) {
        self.signatures.add(1, &[KeyValue::new("on", on)]);
    }

    /// Those who waited were woken this long after the change was noticed.
    pub fn woken(&self, after: Duration) {
        self.wakeups.record(after.as_secs_f64(), &[]);
    }

    /// A device was looked at: its one-time keys, and its waiting messages.
    pub fn saw_device(&self, one_time_keys: u64, messages: u64) {
        self.pools.record(one_time_keys, &[]);
        self.inboxes.record(messages, &[]);
    }

    /// All devices were looked at.
    pub fn saw_all(&self, census: Census) {
        self.devices.record(census.devices, &[]);
        self.empty_pools.record(census.empty_pools, &[]);
        self.used_fallbacks.record(census.used_fallbacks, &[]);
        self.longest.record(census.longest_inbox, &[]);
        self.oldest.record(census.oldest_message as f64 / 1_000.0, &[]);
    }

    /// How far the stream of changes is.
    pub fn saw_stream(&self, epoch: u64, lag: u64) {
        self.epoch.record(epoch, &[]);
        self.lag.record(lag, &[]);
    }
}
