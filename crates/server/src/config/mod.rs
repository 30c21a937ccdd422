//! The configuration of the binary: a TOML file, then environment variables over it.

mod limits;
// With the default engine, whose name is in the page.
#[cfg(all(test, feature = "rocksdb"))]
mod reference;
mod storage;
mod watching;

use std::path::Path;

use figment::{
    Figment,
    providers::{Env, Format as _, Serialized, Toml},
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::ServerError;

pub use self::{
    limits::Limits,
    storage::{EngineName, Storage},
    watching::{Admin, Telemetry},
};
pub use olmstead_service::Secret;

/// Everything that can be set. Each key is also an environment variable: `OLMSTEAD_` and the key in capitals, with two
/// underscores for a step into a section (`OLMSTEAD_STORAGE__PATH`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name in the ids of users and rooms, such as `example.org`. A store belongs to one name: it can never be changed.
    pub server_name: String,
    /// Addresses to listen on. Plain HTTP: TLS is the business of a proxy in front.
    #[serde(deserialize_with = "one_or_many")]
    pub listen: Vec<String>,
    /// Where clients reach the server, such as `https://matrix.example.org`. They are told of it after a login, and by
    /// `/.well-known/matrix/client`, which is not there without it.
    pub public_base_url: Option<String>,
    /// Proxies and load balancers whose `X-Forwarded-For` names the client: addresses, or ranges such as `10.0.0.0/8`. Without
    /// it all clients behind a proxy share the limits of one address.
    #[serde(deserialize_with = "one_or_many")]
    pub trusted_proxies: Vec<String>,
    /// How long to serve on after SIGTERM while `GET /health` says 503 already, in seconds: as long as the load balancer
    /// takes to notice.
    pub drain_seconds: u64,
    /// Where data is kept: in a directory of its own, or in a database that several nodes share.
    pub storage: Storage,
    /// Who may register.
    pub registration: Registration,
    /// How long access tokens work.
    pub tokens: Tokens,
    /// What new rooms are like.
    pub rooms: Rooms,
    /// What one user, device or address may take.
    pub limits: Limits,
    /// What is logged, to standard error.
    pub log: Log,
    /// The address for operators.
    pub admin: Admin,
    /// Metrics and traces, which go to a collector.
    pub telemetry: Telemetry,
    /// What is not in the specification yet.
    pub unstable: Unstable,
}

/// Who may register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// How one registers. Who has the shared secret can in any mode.
    pub mode: RegistrationMode,
    /// A token of the mode `token` that works without end. `olmstead registration-token` makes others.
    pub token: Option<Secret>,
    /// Turns on registration by shared secret at `/_synapse/admin/v1/register`, for scripts that make accounts.
    pub shared_secret: Option<Secret>,
}

/// How one registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Anyone may.
    Open,
    /// Whoever knows a token may.
    Token,
    /// Nobody, but for the shared secret.
    #[default]
    Closed,
}

/// Access tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// How long one works for clients that take refresh tokens, in seconds, at least 1. For all others it works until they log
    /// out.
    pub access_lifetime_seconds: u32,
}

/// Rooms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rooms {
    /// The version of new rooms that name none.
    #[serde(deserialize_with = "text_or_number")]
    pub default_version: String,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// What to log: a level, also for single parts, such as `info` or `olmstead_service=debug,info`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// What is not in the specification yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unstable {
    /// Sliding sync (MSC4186), without which Element X does not work.
    pub sliding_sync: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_name: String::new(),
            listen: vec!["127.0.0.1:8008".to_owned()],
            public_base_url: None,
            trusted_proxies: Vec::new(),
            drain_seconds: 0,
            storage: Storage::default(),
            registration: Registration::default(),
            tokens: Tokens::default(),
            rooms: Rooms::default(),
            limits: Limits::default(),
            log: Log::default(),
            admin: Admin::default(),
            telemetry: Telemetry::default(),
            unstable: Unstable::default(),
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self { access_lifetime_seconds: 300 }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self { default_version: "12".to_owned() }
    }
}

impl Default for Unstable {
    fn default() -> Self {
        Self { sliding_sync: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

/// The prefix of environment variables.
const PREFIX: &str = "OLMSTEAD_";
/// First words of the keys; other variables that begin like ours (an orchestrator sets `OLMSTEAD_PORT` for a service of
/// that name) are none of our business.
const KEYS: [&str; 14] = [
    "server_name",
    "listen",
    "public_base_url",
    "trusted_proxies",
    "drain_seconds",
    "storage",
    "registration",
    "tokens",
    "rooms",
    "limits",
    "log",
    "admin",
    "telemetry",
    "unstable",
];

impl Config {
    /// Reads the file, if one is named, and the environment over it.
    ///
    /// # Errors
    /// [`ServerError::Config`] with a sentence that names the key, and for the file the line.
    pub fn load(file: Option<&Path>) -> Result<Self, ServerError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ServerError::Config(format!("cannot read {}: {error}", path.display())))?;
            // Parsed on its own first: this parser tells the line of an unknown key or a wrong value.
            toml::from_str::<Self>(&text).map_err(|error| in_file(path, &text, &error))?;
            figment = figment.merge(Toml::string(&text));
        }
        let environment = Env::prefixed(PREFIX).split("__").filter(|key| {
            let key = key.as_str().to_ascii_lowercase();
            let first = key.split('.').next().unwrap_or_default();
            KEYS.contains(&first)
        });
        let config: Self = figment
            .merge(environment)
            .extract()
            .map_err(|error| ServerError::Config(format!("the configuration is not right: {error}")))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ServerError> {
        if self.server_name.is_empty() {
            return Err(ServerError::Config(
                "server_name is not set: give it in the configuration file or as OLMSTEAD_SERVER_NAME".to_owned(),
            ));
        }
        if self.listen.is_empty() {
            return Err(ServerError::Config("listen names no address".to_owned()));
        }
        self.storage.check()?;
        self.limits.check()?;
        self.admin.check()?;
        self.telemetry.check()?;
        if self.tokens.access_lifetime_seconds == 0 {
            return Err(ServerError::Config("tokens.access_lifetime_seconds is 0".to_owned()));
        }
        let fixed = self.registration.token.as_ref().is_some_and(|token| !token.reveal().is_empty());
        if self.registration.mode == RegistrationMode::Token && !fixed && self.admin.listen.is_empty() {
            return Err(ServerError::Config(
                "registration.mode is \"token\", but registration.token is not set, and without admin.listen nobody can \
                 make other tokens"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// What is wrong in the file, and on which line; without the line itself, which may hold a secret.
fn in_file(path: &Path, text: &str, error: &toml::de::Error) -> ServerError {
    let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    ServerError::Config(format!("{}{line}: {}", path.display(), error.message()))
}

/// A list, or one text with commas, as it comes from an environment variable.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<String>),
        One(String),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(list) => list,
        OneOrMany::One(text) => {
            text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
    })
}

/// A room version from an environment variable looks like a number.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(u64),
    }
    Ok(match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What a file with this text says.
    pub(super) fn from_file(text: &str) -> Result<Config, ServerError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("olmstead.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path))
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = from_file("server_name = \"a\"\n[storage]\nengin = \"rocksdb\"\n").unwrap_err().to_string();
        assert!(error.contains("engin") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn a_file_sets_what_it_names_and_leaves_the_rest() {
        let config =
            from_file("server_name = \"a.example\"\nlisten = [\"0.0.0.0:1\"]\n[rooms]\ndefault_version = \"11\"\n");
        let config = config.unwrap();
        assert_eq!((config.server_name.as_str(), config.rooms.default_version.as_str()), ("a.example", "11"));
        assert!(config.limits.enabled && config.unstable.sliding_sync);
        let off = from_file("server_name = \"a\"\n[unstable]\nsliding_sync = false\n").unwrap();
        assert!(!off.unstable.sliding_sync);
    }

    #[test]
    fn tokens_have_a_lifetime() {
        let lifetime =
            |seconds: u32| from_file(&format!("server_name = \"a\"\n[tokens]\naccess_lifetime_seconds = {seconds}\n"));
        assert_eq!(lifetime(60).unwrap().tokens.access_lifetime_seconds, 60);
        assert!(lifetime(0).unwrap_err().to_string().contains("tokens.access_lifetime_seconds"));
    }

    #[test]
    fn a_token_mode_without_a_token_is_refused() {
        let error = from_file("server_name = \"a\"\n[registration]\nmode = \"token\"\n").unwrap_err().to_string();
        assert!(error.contains("registration.token"), "{error}");
    }

    #[test]
    fn a_password_is_not_shown() {
        let text = "server_name = \"a\"\n[storage]\nengine = \"postgres\"\nurl = \"postgres://u:hunter2@h/db\"\n";
        let config = from_file(text).unwrap();
        assert_eq!(config.storage.url.as_ref().map(Secret::reveal), Some("postgres://u:hunter2@h/db"));
        assert!(!format!("{config:?}").contains("hunter2"));
        // A slip in the very line.
        let error = from_file(&text.replace("/db\"", "/db")).unwrap_err().to_string();
        assert!(error.contains("line 4") && !error.contains("hunter2"), "{error}");
        let text = "server_name = \"a\"\n[registration]\ntoken = \"hunter2\"\nshared_secret = \"hunter3\"\n";
        assert!(!format!("{:?}", from_file(text).unwrap()).contains("hunter"));
    }

    #[test]
    fn a_server_without_a_name_is_refused() {
        assert!(from_file("").unwrap_err().to_string().contains("server_name"));
    }
}
