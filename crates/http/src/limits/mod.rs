//! Rate limits: who may ask how often (GEN-6).
//!
//! Each node counts for itself, in memory: what is to be spared is the node's own work, and a count that all nodes share
//! would be a write for every attempt it is to stop. So behind a balancer that spreads an address over n nodes, that
//! address gets up to n times as much, and after a start a node has counted nothing. What must hold however many nodes
//! there are, guesses at one account's password, is counted in the store (`olmstead_service::accounts`).
//!
//! An address is that of the client, see [`crate::HttpConfig::trusted_proxies`]: without it all clients behind a balancer
//! would share the limit of its address.

use std::num::NonZeroU32;

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use olmstead_service::ServiceError;

use crate::{App, address, error::ApiError};

/// Attempts to log in, register or refresh that one address may make in a burst.
const AUTH_BURST: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// And how many come back each second.
const AUTH_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Addresses remembered before idle ones are dropped.
const REMEMBERED: usize = 50_000;

/// The limiters of one server.
pub struct Limits {
    enabled: bool,
    auth: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Limits {
    /// Limiters with the built-in quotas; `enabled = false` lifts them all.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        let quota = Quota::per_second(AUTH_PER_SECOND).allow_burst(AUTH_BURST);
        Self { enabled, auth: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts one attempt to authenticate from an address.
    ///
    /// # Errors
    /// [`ServiceError::LimitExceeded`] with the time to wait.
    pub fn authentication(&self, address: &str) -> Result<(), ServiceError> {
        if !self.enabled {
            return Ok(());
        }
        if self.auth.len() > REMEMBERED {
            self.auth.retain_recent();
        }
        self.auth.check_key(&address.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            ServiceError::LimitExceeded { retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1) }
        })
    }
}

/// The layer: endpoints where a password or a token is tried.
pub(crate) async fn by_address(State(app): State<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    const TRIED: [&str; 4] = ["/login", "/register", "/refresh", "/account/password"];
    let path = request.uri().path();
    if request.method() == Method::POST
        && path.starts_with("/_matrix/client/")
        && TRIED.iter().any(|end| path.ends_with(end))
    {
        let address = address::of_request(request.extensions(), request.headers(), &app.trusted_proxies)
            .map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        app.limits.authentication(&address)?;
    }
    Ok(next.run(request).await)
}
