//! What every use case works with.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use olmstead_domain::rooms::signing::ServerKey;
use olmstead_storage::SharedStorage;
use olmstead_telemetry::Telemetry;
use ruma::{OwnedServerName, OwnedUserId, RoomVersionId};

use crate::{
    caches::Caches, census::Statistics, keys::ClaimBudget, notifier::Notifier, secret::Secret, to_device::MessageBudget,
};

/// Time and randomness, so that tests decide them.
pub trait Environment: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> u64;

    /// Fills a buffer with bytes nobody can guess.
    fn random(&self, buffer: &mut [u8]);
}

/// The real clock and the operating system's randomness.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn now(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn random(&self, buffer: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), buffer);
    }
}

/// How far the clocks of nodes may be apart before it is taken for a clock that was put back, milliseconds.
pub(crate) const CLOCKS_DIFFER_MS: u64 = 60_000;

/// Who may register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Anyone (`m.login.dummy`).
    Open,
    /// Whoever knows a token (`m.login.registration_token`): this one, if there is one, or one of the store.
    Token(Option<Secret>),
    /// Nobody over the client API.
    Closed,
}

/// Settings of the use cases. Nodes of one store have the same.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// The name in user ids.
    pub server_name: OwnedServerName,
    /// Where clients reach the server, for `.well-known`; without a final slash.
    pub public_base_url: Option<String>,
    /// Who may register.
    pub registration: RegistrationMode,
    /// Turns on `/_synapse/admin/v1/register` with this HMAC secret.
    pub registration_shared_secret: Option<Secret>,
    /// Version of rooms made without naming one.
    pub default_room_version: RoomVersionId,
    /// One-time keys kept per device and algorithm (OTK-16).
    pub one_time_key_limit: usize,
    /// Devices that a user may have.
    pub devices_per_user: usize,
    /// Where one reads about limits of an account; `None` is the server's own site.
    pub limits_info_uri: Option<String>,
    /// Ids of claimed one-time keys remembered per device and algorithm (OTK-3).
    pub claimed_key_memory: usize,
    /// How long an access token lives when the client takes refresh tokens, milliseconds.
    pub access_token_lifetime_ms: u64,
    /// The largest upload, bytes.
    pub max_upload_size: u64,
    /// Whether wrong passwords are counted and too many refused; off for tests.
    pub limit_wrong_passwords: bool,
    /// Whether sliding sync is offered.
    pub sliding_sync: bool,
}

impl ServiceConfig {
    /// Sensible settings for a server of this name.
    #[must_use]
    pub fn new(server_name: OwnedServerName) -> Self {
        Self {
            server_name,
            public_base_url: None,
            registration: RegistrationMode::Closed,
            registration_shared_secret: None,
            default_room_version: RoomVersionId::V12,
            one_time_key_limit: 5_000,
            devices_per_user: 1_000,
            limits_info_uri: None,
            claimed_key_memory: 10_000,
            access_token_lifetime_ms: 5 * 60 * 1_000,
            max_upload_size: 50 * 1024 * 1024,
            limit_wrong_passwords: true,
            sliding_sync: true,
        }
    }

    /// Where one reads about limits of an account (GEN-22).
    #[must_use]
    pub fn limits_info_uri(&self) -> String {
        self.limits_info_uri.clone().unwrap_or_else(|| format!("https://{}/", self.server_name))
    }
}

/// What every use case works with; one per node, shared by all its requests. Other nodes have their own over the same
/// store, so nothing here but the store may be needed by a later request.
pub struct Context {
    /// The store.
    pub storage: SharedStorage,
    /// Settings.
    pub config: ServiceConfig,
    /// The key that signs events.
    pub server_key: ServerKey,
    /// Time and randomness.
    pub environment: Arc<dyn Environment>,
    /// Wakes long-polls.
    pub notifier: Notifier,
    /// Caches of immutable or versioned things.
    pub caches: Caches,
    /// Bounds how many passwords are hashed at once: each takes tens of megabytes for a moment.
    pub hashing: tokio::sync::Semaphore,
    /// How many keys of a device one user may claim.
    pub claim_budget: ClaimBudget,
    /// How much one user may send to a device.
    pub message_budget: MessageBudget,
    /// See [`Context::leave`].
    pub leaving: AtomicBool,
    /// How the server is watched; the store is watched already.
    pub telemetry: Telemetry,
    /// What is known of how much there is of everything.
    pub statistics: Statistics,
}

impl Context {
    /// Says that this node is about to stop, so that load balancers send nothing more here. It goes on serving.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether this node is about to stop.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.environment.now()
    }

    /// Whether a time that was set to be at most `longest` milliseconds ahead is over. So is one that is further ahead than
    /// that: the clock was put back since, and what was to last minutes must not last until the clock is there again.
    #[must_use]
    pub fn is_over(&self, end: u64, longest: u64) -> bool {
        let now = self.now();
        end <= now || end > now.saturating_add(longest).saturating_add(CLOCKS_DIFFER_MS)
    }

    /// An unguessable text of `bytes` random bytes in URL-safe base64.
    #[must_use]
    pub fn random_text(&self, bytes: usize) -> String {
        use base64::Engine as _;
        let mut buffer = vec![0; bytes];
        self.environment.random(&mut buffer);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(buffer)
    }

    /// Whether the user belongs to this server.
    #[must_use]
    pub fn is_local(&self, user_id: &OwnedUserId) -> bool {
        user_id.server_name() == self.config.server_name
    }
}
