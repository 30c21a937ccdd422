//! Puts a server together from its parts.

#[cfg(feature = "rocksdb")]
use std::path::{Path, PathBuf};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use olmstead_domain::rooms::signing::ServerKey;
use olmstead_http::{HttpConfig, Network};
use olmstead_service::{
    Context, Environment, RegistrationMode, Secret, ServiceConfig, SystemEnvironment, caches::Caches,
    census::Statistics, keys::ClaimBudget, notifier::Notifier, to_device::MessageBudget,
};
use olmstead_storage::SharedStorage;
use olmstead_telemetry::Telemetry;
use ruma::{OwnedServerName, RoomVersionId};

use crate::{Config, Server, ServerError, config, connections::Bounds, open_files, run::Ending};

/// Where the store comes from.
enum Store {
    #[cfg(feature = "rocksdb")]
    RocksDb(PathBuf, Box<olmstead_rocksdb::Options>),
    #[cfg(feature = "postgres")]
    Postgres(config::Secret, olmstead_postgres::Options),
    Given(SharedStorage),
}

impl Store {
    fn from_config(config: &config::Storage) -> Result<Self, ServerError> {
        match config.engine {
            #[cfg(feature = "rocksdb")]
            config::EngineName::RocksDb => {
                let options = olmstead_rocksdb::Options { create: config.create, ..Default::default() };
                Ok(Self::RocksDb(config.path.clone(), Box::new(options)))
            }
            #[cfg(not(feature = "rocksdb"))]
            config::EngineName::RocksDb => Err(absent("rocksdb")),
            #[cfg(feature = "postgres")]
            config::EngineName::Postgres => {
                let url = config.url.clone();
                let url = url.ok_or_else(|| ServerError::Config("storage.url is not set".to_owned()))?;
                let options = olmstead_postgres::Options {
                    max_connections: config.max_connections,
                    create: config.create,
                    statement_timeout: Duration::from_secs(config.statement_timeout_seconds.into()),
                    ..olmstead_postgres::Options::default()
                };
                Ok(Self::Postgres(url, options))
            }
            #[cfg(not(feature = "postgres"))]
            config::EngineName::Postgres => Err(absent("postgres")),
        }
    }
}

/// The error for an engine that was left out of this build.
#[cfg(not(all(feature = "rocksdb", feature = "postgres")))]
fn absent(engine: &str) -> ServerError {
    ServerError::Config(format!(
        "this build does not have the engine {engine}; it was built without the feature of that name"
    ))
}

/// What a server is made of. Begin with [`Server::builder`] or [`ServerBuilder::from_config`].
pub struct ServerBuilder {
    server_name: String,
    store: Option<Store>,
    registration: RegistrationMode,
    shared_secret: Option<Secret>,
    access_token_lifetime: Duration,
    public_base_url: Option<String>,
    default_room_version: String,
    limits_enabled: bool,
    one_time_keys: usize,
    devices_per_user: usize,
    limits_info_uri: Option<String>,
    connections: usize,
    connections_per_address: usize,
    trusted_proxies: Vec<Network>,
    drain: Duration,
    sliding_sync: bool,
    takes_orders: bool,
    telemetry: Telemetry,
    environment: Arc<dyn Environment>,
}

impl ServerBuilder {
    pub(crate) fn new(server_name: impl Into<String>) -> Self {
        Self {
            server_name: server_name.into(),
            store: None,
            registration: RegistrationMode::Closed,
            shared_secret: None,
            access_token_lifetime: Duration::from_secs(300),
            public_base_url: None,
            default_room_version: "12".to_owned(),
            limits_enabled: true,
            one_time_keys: config::Limits::default().one_time_keys,
            devices_per_user: config::Limits::default().devices_per_user,
            limits_info_uri: None,
            connections: config::Limits::default().connections,
            connections_per_address: config::Limits::default().connections_per_address,
            trusted_proxies: Vec::new(),
            drain: Duration::ZERO,
            sliding_sync: true,
            takes_orders: false,
            telemetry: Telemetry::none(),
            environment: Arc::new(SystemEnvironment),
        }
    }

    /// As a configuration says. Listening and logging are the binary's.
    ///
    /// # Errors
    /// [`ServerError::Config`] for a setting that does not fit.
    pub fn from_config(config: &Config) -> Result<Self, ServerError> {
        let mut builder = Self::new(&config.server_name);
        builder.registration = match config.registration.mode {
            config::RegistrationMode::Open => RegistrationMode::Open,
            config::RegistrationMode::Closed => RegistrationMode::Closed,
            config::RegistrationMode::Token => RegistrationMode::Token(config.registration.token.clone()),
        };
        builder.shared_secret = config.registration.shared_secret.clone();
        builder.access_token_lifetime = Duration::from_secs(config.tokens.access_lifetime_seconds.into());
        builder.public_base_url = config.public_base_url.clone();
        builder.default_room_version = config.rooms.default_version.clone();
        builder.limits_enabled = config.limits.enabled;
        builder.one_time_keys = config.limits.one_time_keys;
        builder.devices_per_user = config.limits.devices_per_user;
        builder.limits_info_uri = config.limits.info_uri.clone();
        builder.connections = config.limits.connections;
        builder.connections_per_address = config.limits.connections_per_address;
        builder.drain = Duration::from_secs(config.drain_seconds);
        builder.sliding_sync = config.unstable.sliding_sync;
        builder.takes_orders = true;
        for text in &config.trusted_proxies {
            builder = builder.trusted_proxy(text)?;
        }
        builder.store = Some(Store::from_config(&config.storage)?);
        Ok(builder)
    }

    /// Keeps data with RocksDB in this directory.
    #[cfg(feature = "rocksdb")]
    #[must_use]
    pub fn rocksdb(mut self, path: impl AsRef<Path>) -> Self {
        self.store = Some(Store::RocksDb(path.as_ref().to_owned(), Box::default()));
        self
    }

    /// Keeps data in the PostgreSQL database at this URL, which several servers of the same name may share.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(mut self, url: impl Into<String>) -> Self {
        self.store = Some(Store::Postgres(url.into().into(), olmstead_postgres::Options::default()));
        self
    }

    /// Keeps data in a store that the caller opened, and closes when no server uses it any more: several servers on one
    /// store are the nodes of one homeserver.
    #[must_use]
    pub fn storage(mut self, storage: SharedStorage) -> Self {
        self.store = Some(Store::Given(storage));
        self
    }

    /// Lets anyone register.
    #[must_use]
    pub fn open_registration(mut self) -> Self {
        self.registration = RegistrationMode::Open;
        self
    }

    /// Lets register who knows this token.
    #[must_use]
    pub fn registration_token(mut self, token: impl Into<String>) -> Self {
        self.registration = RegistrationMode::Token(Some(Secret::from(token.into())));
        self
    }

    /// How long access tokens of clients work that take refresh tokens; five minutes by default.
    #[must_use]
    pub fn access_token_lifetime(mut self, time: Duration) -> Self {
        self.access_token_lifetime = time;
        self
    }

    /// Turns on registration by shared secret.
    #[must_use]
    pub fn registration_shared_secret(mut self, secret: impl Into<String>) -> Self {
        self.shared_secret = Some(Secret::from(secret.into()));
        self
    }

    /// Where clients reach the server.
    #[must_use]
    pub fn public_base_url(mut self, url: impl Into<String>) -> Self {
        self.public_base_url = Some(url.into());
        self
    }

    /// Lifts all rate limits, for tests.
    #[must_use]
    pub fn without_limits(mut self) -> Self {
        self.limits_enabled = false;
        self
    }

    /// How many one-time keys are kept for a device, of each algorithm; the oldest beyond are dropped. 5,000 by default.
    /// Clients keep up to a hundred there, and upload for ever where there is no room for them.
    #[must_use]
    pub fn one_time_keys(mut self, most: usize) -> Self {
        self.one_time_keys = most;
        self
    }

    /// How many devices a user may have, 1,000 by default. Counts without limits, too.
    #[must_use]
    pub fn devices_per_user(mut self, most: usize) -> Self {
        self.devices_per_user = most;
        self
    }

    /// How many connections [`Server::serve`] takes at once, in all and from one address that is not a trusted proxy. Without
    /// limits there is no bound.
    #[must_use]
    pub fn connections(mut self, most: usize, per_address: usize) -> Self {
        (self.connections, self.connections_per_address) = (most, per_address);
        self
    }

    /// Believes the `X-Forwarded-For` of a proxy or load balancer: an address, or a range such as `10.0.0.0/8`. Rate limits
    /// are then of the clients behind it.
    ///
    /// # Errors
    /// [`ServerError::Config`] for another text.
    pub fn trusted_proxy(mut self, proxy: &str) -> Result<Self, ServerError> {
        let network =
            proxy.parse().map_err(|error| ServerError::Config(format!("trusted_proxies has \"{proxy}\": {error}")))?;
        self.trusted_proxies.push(network);
        Ok(self)
    }

    /// How long [`Server::serve`] goes on serving after it was asked to stop, while `GET /health` says 503 already, so that
    /// a load balancer takes the node out before it is gone. Nothing by default.
    #[must_use]
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// Does not offer sliding sync, which is not in the specification yet.
    #[must_use]
    pub fn without_sliding_sync(mut self) -> Self {
        self.sliding_sync = false;
        self
    }

    /// Measures with this; nothing is measured by default.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = telemetry;
        self
    }

    /// Time and randomness of the caller's choice, for tests.
    #[must_use]
    pub fn environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = environment;
        self
    }

    /// Opens the store and starts the server's background work.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn build(self) -> Result<Server, ServerError> {
        let server_name = OwnedServerName::try_from(self.server_name.as_str()).map_err(|error| {
            ServerError::Config(format!("\"{}\" cannot be a server name: {error}", self.server_name))
        })?;
        let files = open_files::shares()?;
        let default_room_version = room_version(&self.default_room_version)?;
        let (storage, is_own, control): (_, _, Option<std::path::PathBuf>) = match self.store {
            #[cfg(feature = "rocksdb")]
            Some(Store::RocksDb(path, options)) => {
                let options = olmstead_rocksdb::Options { max_open_files: files.tables, ..*options };
                (crate::engine::rocksdb(&path, options).await?, true, Some(path))
            }
            #[cfg(feature = "postgres")]
            Some(Store::Postgres(url, options)) => (crate::engine::postgres(&url, options).await?, true, None),
            Some(Store::Given(storage)) => (storage, false, None),
            None => return Err(ServerError::Config("no storage engine was chosen".to_owned())),
        };
        let control = control.filter(|_| self.takes_orders);
        let stored = storage.server_name(server_name.as_str()).await?;
        if stored != server_name.as_str() {
            return Err(ServerError::OtherServerName { stored, configured: self.server_name });
        }
        let storage = self.telemetry.watch(storage);
        let server_key = signing_key(&storage, &server_name, self.environment.as_ref()).await?;
        let mut config = ServiceConfig::new(server_name);
        config.registration = self.registration;
        config.registration_shared_secret = self.shared_secret;
        config.one_time_key_limit = self.one_time_keys;
        config.access_token_lifetime_ms = u64::try_from(self.access_token_lifetime.as_millis()).unwrap_or(u64::MAX);
        config.devices_per_user = self.devices_per_user;
        config.limits_info_uri = self.limits_info_uri;
        config.limit_wrong_passwords = self.limits_enabled;
        config.public_base_url = self.public_base_url.map(|url| url.trim_end_matches('/').to_owned());
        config.default_room_version = default_room_version;
        config.sliding_sync = self.sliding_sync;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cx = Arc::new(Context {
            storage,
            config,
            server_key,
            environment: self.environment,
            notifier: Notifier::default(),
            caches: Caches::default(),
            claim_budget: ClaimBudget::new(self.limits_enabled),
            message_budget: MessageBudget::new(self.limits_enabled),
            hashing: tokio::sync::Semaphore::new(cores),
            leaving: AtomicBool::new(false),
            telemetry: self.telemetry,
            statistics: Statistics::default(),
        });
        if self.limits_enabled && files.connections < self.connections {
            tracing::warn!(
                connections = files.connections,
                configured = self.connections,
                "the system's limit of open files allows fewer connections than limits.connections"
            );
        }
        let bounds = Bounds {
            total: if self.limits_enabled { self.connections } else { usize::MAX }.min(files.connections),
            per_address: if self.limits_enabled { self.connections_per_address } else { usize::MAX },
            trusted: self.trusted_proxies.clone(),
            ..Bounds::default()
        };
        let http = HttpConfig { limits_enabled: self.limits_enabled, trusted_proxies: self.trusted_proxies };
        let ending = Ending { drain: self.drain, closes_store: is_own };
        Ok(Server::start(cx, http, ending, bounds, control.as_deref()))
    }
}

/// A room version new rooms can be made with.
fn room_version(text: &str) -> Result<RoomVersionId, ServerError> {
    match text {
        "10" => Ok(RoomVersionId::V10),
        "11" => Ok(RoomVersionId::V11),
        "12" => Ok(RoomVersionId::V12),
        other => Err(ServerError::Config(format!("rooms.default_version is \"{other}\": 10, 11 and 12 are supported"))),
    }
}

/// The store's signing key; a fresh one for a fresh store.
async fn signing_key(
    storage: &SharedStorage,
    server_name: &OwnedServerName,
    environment: &dyn Environment,
) -> Result<ServerKey, ServerError> {
    let mut seed = [0; 32];
    environment.random(&mut seed);
    let mut suffix = [0; 4];
    environment.random(&mut suffix);
    let version = format!("a{:08x}", u32::from_be_bytes(suffix));
    let (seed, version) = storage.signing_key((seed, version)).await?;
    ServerKey::from_seed(server_name.clone(), &seed, &version)
        .map_err(|error| ServerError::Open(format!("the stored signing key is not usable: {error}")))
}
