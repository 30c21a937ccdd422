//! The configuration of the binary: a TOML file, then environment variables over it.

use std::path::{Path, PathBuf};

use figment::{
    Figment,
    providers::{Env, Format as _, Serialized, Toml},
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::ServerError;

/// Everything that can be set. Each key is also an environment variable: `OLMSTEAD_` and the key in capitals, with two
/// underscores for a step into a section (`OLMSTEAD_STORAGE__PATH`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name in user ids; can never be changed for a store. Has no default.
    pub server_name: String,
    /// Addresses to listen on.
    #[serde(deserialize_with = "one_or_many")]
    pub listen: Vec<String>,
    /// Where clients reach the server; told to them in `.well-known` and after login.
    pub public_base_url: Option<String>,
    /// Proxies and load balancers whose `X-Forwarded-For` names the client: addresses, or ranges such as `10.0.0.0/8`.
    #[serde(deserialize_with = "one_or_many")]
    pub trusted_proxies: Vec<String>,
    /// How long to serve on after SIGTERM while `GET /health` says 503 already, seconds: as long as the load balancer
    /// takes to notice.
    pub drain_seconds: u64,
    /// Where data is kept.
    pub storage: Storage,
    /// Who may register.
    pub registration: Registration,
    /// Rooms.
    pub rooms: Rooms,
    /// Limits.
    pub limits: Limits,
    /// The log.
    pub log: Log,
}

/// Where data is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The engine.
    pub engine: EngineName,
    /// The directory of an embedded engine.
    pub path: PathBuf,
}

/// A storage engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Embedded RocksDB.
    RocksDb,
}

/// Who may register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// Open, by token, or closed.
    pub mode: RegistrationMode,
    /// The token of the mode `token`.
    pub token: Option<String>,
    /// Turns on registration by shared secret at `/_synapse/admin/v1/register`.
    pub shared_secret: Option<String>,
}

/// How one registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Anyone may.
    Open,
    /// Whoever knows the token.
    Token,
    /// Nobody, but for the shared secret.
    #[default]
    Closed,
}

/// Rooms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rooms {
    /// The version of new rooms that name none.
    #[serde(deserialize_with = "text_or_number")]
    pub default_version: String,
}

/// Limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `false` lifts all rate limits, for tests.
    pub enabled: bool,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A `tracing` filter, such as `info` or `olmstead_service=debug,info`.
    pub filter: String,
    /// Text for people, JSON for collectors.
    pub format: LogFormat,
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
            rooms: Rooms::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { engine: EngineName::RocksDb, path: PathBuf::from("olmstead-data") }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self { default_version: "12".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { enabled: true }
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
const KEYS: [&str; 10] = [
    "server_name",
    "listen",
    "public_base_url",
    "trusted_proxies",
    "drain_seconds",
    "storage",
    "registration",
    "rooms",
    "limits",
    "log",
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
            toml::from_str::<Self>(&text)
                .map_err(|error| ServerError::Config(format!("{}: {error}", path.display())))?;
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
        if self.registration.mode == RegistrationMode::Token
            && self.registration.token.as_deref().unwrap_or("").is_empty()
        {
            return Err(ServerError::Config(
                "registration.mode is \"token\", but registration.token is not set".to_owned(),
            ));
        }
        Ok(())
    }
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

    fn from_file(text: &str) -> Result<Config, ServerError> {
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
        assert!(config.limits.enabled);
    }

    #[test]
    fn a_token_mode_without_a_token_is_refused() {
        let error = from_file("server_name = \"a\"\n[registration]\nmode = \"token\"\n").unwrap_err().to_string();
        assert!(error.contains("registration.token"), "{error}");
    }

    #[test]
    fn a_server_without_a_name_is_refused() {
        assert!(from_file("").unwrap_err().to_string().contains("server_name"));
    }
}
