//! What a server tells of its health: metrics, spans, and the trace context that goes from request to request.
//!
//! [`Telemetry`] is a value: an embedder makes one from a meter of its own, or takes [`Telemetry::none`]. Nothing here is
//! global. Spans are those of `tracing`, so they go wherever its subscriber sends them.
//!
//! Labels are few and known beforehand: routes, storage commands, outcomes. No label and no span has the id of a user, a
//! device, a room or a key; a user is a salted hash.

mod health;
mod meters;
mod storage;
pub mod trace;

use std::sync::Arc;

use olmstead_storage::SharedStorage;
use opentelemetry::metrics::{Meter, MeterProvider as _, noop::NoopMeterProvider};
use ruma::UserId;
use sha2::{Digest as _, Sha256};

pub use self::{
    health::{Census, Health, UPLOADED_SIGNATURE},
    meters::{Meters, Request},
};

/// The name under which everything here is measured.
pub const SCOPE: &str = "olmstead";

/// How a server is watched. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    meters: Meters,
    health: Health,
    salt: Vec<u8>,
    is_on: bool,
}

impl Telemetry {
    /// Measures with this meter. Users are told apart in spans by a hash with this salt; with the same salt, over nodes and
    /// restarts.
    #[must_use]
    pub fn new(meter: &Meter, salt: &[u8]) -> Self {
        Self::with(meter, salt, true)
    }

    /// Measures nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::with(&NoopMeterProvider::new().meter(SCOPE), &[], false)
    }

    fn with(meter: &Meter, salt: &[u8], is_on: bool) -> Self {
        let (meters, health) = (Meters::new(meter), Health::new(meter));
        Self(Arc::new(Inner { meters, health, salt: salt.to_owned(), is_on }))
    }

    /// Whether anything is measured.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_on
    }

    /// Of requests and storage commands.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// Of encryption.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// The store, watched; as it is when nothing is measured.
    #[must_use]
    pub fn watch(&self, storage: SharedStorage) -> SharedStorage {
        if self.0.is_on { Arc::new(storage::Observed::new(storage, self.clone())) } else { storage }
    }

    /// What stands for a user in spans: it says that two spans are of one user, and not of whom.
    #[must_use]
    pub fn pseudonym(&self, user_id: &UserId) -> String {
        let hash = Sha256::new().chain_update(&self.0.salt).chain_update(user_id.as_bytes()).finalize();
        hash.iter().take(8).fold(String::new(), |mut text, byte| {
            text.push_str(&format!("{byte:02x}"));
            text
        })
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("is_on", &self.0.is_on).finish_non_exhaustive()
    }
}
