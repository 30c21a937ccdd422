//! What an operator sees: metrics, traces, and the address for administration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Secret, one_or_many};
use crate::ServerError;

/// Administration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Addresses for administration, which no client should reach: `GET /metrics` and the admin API.
    #[serde(deserialize_with = "one_or_many")]
    pub listen: Vec<String>,
    /// Tokens of operators by their names. An operator needs one for the admin API and the commands that use it, and what
    /// is done with it is recorded under its name. At least 20 letters each. Without any, the API lets nobody
    /// in.
    pub tokens: BTreeMap<String, Secret>,
}

/// Shorter tokens can be guessed.
const SHORTEST_TOKEN: usize = 20;

impl Admin {
    pub(super) fn check(&self) -> Result<(), ServerError> {
        match self.tokens.iter().find(|(_, token)| token.reveal().chars().count() < SHORTEST_TOKEN) {
            Some((name, _)) => Err(ServerError::Config(format!(
                "admin.tokens.{name} is shorter than {SHORTEST_TOKEN} letters: `openssl rand -hex 32` makes a good one"
            ))),
            None => Ok(()),
        }
    }
}

/// Metrics and traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Where metrics and traces are sent to by OTLP over HTTP, such as `http://127.0.0.1:4318`. Without TLS: a collector on
    /// the same machine or network passes them on.
    pub otlp_endpoint: Option<String>,
    /// How many of the traces that begin here are recorded, from 0 to 1. What is in a trace already is recorded if that is.
    pub sampled: f64,
    /// How often metrics are sent, in seconds, at least 1.
    pub interval_seconds: u32,
    /// What users are hashed with in traces; the same on all nodes, if one is to be followed over them. Where it is not set,
    /// it is random at each start.
    pub salt: Option<Secret>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, sampled: 0.05, interval_seconds: 30, salt: None }
    }
}

impl Telemetry {
    pub(super) fn check(&self) -> Result<(), ServerError> {
        let refused = match &self.otlp_endpoint {
            Some(endpoint) if !endpoint.starts_with("http://") => "telemetry.otlp_endpoint does not begin with http://",
            _ if !(0.0..=1.0).contains(&self.sampled) => "telemetry.sampled is not between 0 and 1",
            _ if self.interval_seconds == 0 => "telemetry.interval_seconds is 0",
            _ => return Ok(()),
        };
        Err(ServerError::Config(refused.to_owned()))
    }
}
