//! The section `limits`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::ServerError;

/// Limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `false` lifts all rate limits and bounds of connections, for tests only.
    pub enabled: bool,
    /// One-time keys that are kept for a device, of each algorithm, from 100 to 1,000,000; the oldest beyond are dropped.
    pub one_time_keys: usize,
    /// Devices of a user, from 5 to 100,000; there are no more until some are logged out.
    pub devices_per_user: usize,
    /// Where a user is told to read about a limit that was reached: a page of the operator's. Where it is not set, that is
    /// `https://SERVER_NAME/`.
    pub info_uri: Option<String>,
    /// Connections at once, from 10 to 10,000,000; others wait. The process raises its limit of open files as far as it may,
    /// and warns when that does not suffice.
    pub connections: usize,
    /// Connections at once from one address that is not in `trusted_proxies`, from 10 to 10,000,000; others are closed.
    pub connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            one_time_keys: 5_000,
            devices_per_user: 1_000,
            info_uri: None,
            connections: 20_000,
            connections_per_address: 2_000,
        }
    }
}

/// A client keeps up to a hundred keys here: with room for fewer it would upload for ever. More than a million would only
/// fill the store.
const ONE_TIME_KEYS: RangeInclusive<usize> = 100..=1_000_000;
/// With fewer than these few, somebody with a phone, a computer and a browser is locked out; with more, each message to all
/// devices of a user is a flood.
const DEVICES: RangeInclusive<usize> = 5..=100_000;
/// A client has several: a long poll, and what it asks meanwhile. No machine has more than the last.
const CONNECTIONS: RangeInclusive<usize> = 10..=10_000_000;

impl Limits {
    pub(super) fn check(&self) -> Result<(), ServerError> {
        for (key, value, allowed) in [
            ("one_time_keys", self.one_time_keys, ONE_TIME_KEYS),
            ("devices_per_user", self.devices_per_user, DEVICES),
            ("connections", self.connections, CONNECTIONS),
            ("connections_per_address", self.connections_per_address, CONNECTIONS),
        ] {
            if !allowed.contains(&value) {
                let (least, most) = (allowed.start(), allowed.end());
                return Err(ServerError::Config(format!("limits.{key} is {value}, not between {least} and {most}")));
            }
        }
        if self
            .info_uri
            .as_ref()
            .is_some_and(|uri| !["http://", "https://"].iter().any(|scheme| uri.starts_with(scheme)))
        {
            return Err(ServerError::Config("limits.info_uri does not begin with https://".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Config, tests::from_file};

    fn limits(text: &str) -> Result<Config, ServerError> {
        from_file(&format!("server_name = \"a\"\n[limits]\n{text}"))
    }

    #[test]
    fn a_pool_of_one_time_keys_has_room_for_those_of_a_client() {
        assert_eq!(limits("").unwrap().limits.one_time_keys, 5_000);
        assert_eq!(limits("one_time_keys = 100").unwrap().limits.one_time_keys, 100);
        for text in ["one_time_keys = 0", "one_time_keys = 99", "one_time_keys = 1000001"] {
            assert!(limits(text).unwrap_err().to_string().contains("limits.one_time_keys"), "{text}");
        }
    }

    #[test]
    fn limits_under_which_nobody_gets_in_are_refused() {
        for key in ["connections", "connections_per_address", "devices_per_user"] {
            assert!(limits(&format!("{key} = 100")).is_ok(), "{key}");
            for value in ["0", "1", "100000000"] {
                let error = limits(&format!("{key} = {value}")).unwrap_err().to_string();
                assert!(error.contains(&format!("limits.{key} is {value}")), "{error}");
            }
        }
    }

    #[test]
    fn what_is_told_of_limits_is_a_page() {
        assert!(limits("info_uri = \"https://example.org/limits\"").is_ok());
        assert!(limits("info_uri = \"/limits\"").unwrap_err().to_string().contains("limits.info_uri"));
    }
}
