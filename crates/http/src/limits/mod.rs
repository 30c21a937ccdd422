//! Limits: who may ask how often (GEN-6), how much at once, and how large.
//!
//! Quotas are generous: no client in use comes near them, also none that starts anew with many rooms. They are there so
//! that one user or address cannot take what all others need.
//!
//! Each node counts for itself, in memory: what is to be spared is the node's own work, and a count that all nodes share
//! would be a write for every attempt it is to stop. So behind a balancer that spreads an address over n nodes, that
//! address gets up to n times as much, and after a start a node has counted nothing. What must hold however many nodes
//! there are, guesses at one account's password, is counted in the store (`olmstead_service::accounts`).
//!
//! An address is that of the client, see [`crate::HttpConfig::trusted_proxies`]: without it all clients behind a balancer
//! would share the limit of its address.

mod answers;
mod bodies;
mod class;
mod open;
mod parsing;

use std::{error::Error, num::NonZeroU32};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use governor::Quota;
use olmstead_service::{Refusal, ServiceError, quotas::Quotas};
use ruma::{OwnedUserId, UserId};

use self::{
    bodies::{Bodies, Cut},
    class::Class,
    open::OpenRequests,
    parsing::Parsing,
};
use crate::{
    App, address, auth,
    error::ApiError,
    extract::{BACKUP_BODY_LIMIT, BODY_LIMIT},
};

/// So many in a burst, and so many back each second.
const fn allowed(burst: u32, per_second: u32) -> Quota {
    let burst = NonZeroU32::MIN.saturating_add(burst - 1);
    Quota::per_second(NonZeroU32::MIN.saturating_add(per_second - 1)).allow_burst(burst)
}

/// Attempts to log in, register or refresh, by address.
const AUTHENTICATION: Quota = allowed(120, 10);
/// Requests without a token that is good, by address.
const NOBODY: Quota = allowed(2_000, 100);
/// By user, each class.
const WHOLE: Quota = allowed(200, 2);
const UPLOAD: Quota = allowed(200, 10);
const WRITE: Quota = allowed(2_000, 100);
const READ: Quota = allowed(5_000, 300);
/// How long who has too many requests open is to wait, milliseconds.
const AGAIN_MS: u64 = 1_000;

/// The limits of one server.
pub struct Limits {
    enabled: bool,
    authentication: Quotas<String>,
    nobody: Quotas<String>,
    whole: Quotas<OwnedUserId>,
    upload: Quotas<OwnedUserId>,
    write: Quotas<OwnedUserId>,
    read: Quotas<OwnedUserId>,
    open: OpenRequests,
    bodies: Bodies,
    parsing: Parsing,
}

impl Limits {
    /// The built-in limits; `enabled = false` lifts them all.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            authentication: Quotas::new(AUTHENTICATION),
            nobody: Quotas::new(NOBODY),
            whole: Quotas::new(WHOLE),
            upload: Quotas::new(UPLOAD),
            write: Quotas::new(WRITE),
            read: Quotas::new(READ),
            open: OpenRequests::default(),
            bodies: Bodies::default(),
            parsing: Parsing::default(),
        }
    }

    /// Counts one attempt to authenticate from an address.
    ///
    /// # Errors
    /// [`ServiceError::LimitExceeded`] with the time to wait.
    pub fn authentication(&self, address: &str) -> Result<(), ServiceError> {
        if self.enabled { Ok(self.authentication.check(&address.to_owned())?) } else { Ok(()) }
    }

    /// Does work that grows with a body of so many bytes: large ones in their turn and on threads of their own.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if the work broke.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.parsing.run(bytes, work).await
    }

    fn user(&self, user_id: &UserId, class: Class) -> Result<(), ServiceError> {
        let quotas = match class {
            Class::Whole => &self.whole,
            Class::Upload => &self.upload,
            Class::Write => &self.write,
            Class::Read => &self.read,
        };
        Ok(quotas.check(&user_id.to_owned())?)
    }
}

fn address(app: &App, request: &Request) -> String {
    address::of_request(request.extensions(), request.headers(), &app.trusted_proxies)
        .map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}

/// The layer: endpoints where a password or a token is tried.
pub(crate) async fn by_address(State(app): State<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    const TRIED: [&str; 4] = ["/login", "/register", "/refresh", "/account/password"];
    let path = request.uri().path();
    if request.method() == Method::POST
        && path.starts_with("/_matrix/client/")
        && TRIED.iter().any(|end| path.ends_with(end))
    {
        app.limits.authentication(&address(&app, &request))?;
    }
    Ok(next.run(request).await)
}

/// The layer after authentication: how often a user may ask, how much at once, and what bodies and answers may take. Who is
/// nobody is counted by address.
pub(crate) async fn by_user(State(app): State<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    let limits = &app.limits;
    if !limits.enabled || request.uri().path() == "/health" {
        return Ok(next.run(request).await);
    }
    let again = || ServiceError::LimitExceeded { retry_after_ms: AGAIN_MS };
    let Some(user_id) = auth::user(&request) else {
        limits.nobody.check(&address(&app, &request)).map_err(ServiceError::from)?;
        let (request, _room) = limits.bodies.bound(request);
        return Ok(next.run(request).await);
    };
    let class = Class::of(request.method(), request.uri());
    limits.user(user_id, class)?;
    let open = limits.open.begin(user_id, class::is_long_poll(request.uri())).ok_or_else(again)?;
    let _whole = if class == Class::Whole { open.whole().await } else { None };
    let (request, _room) = limits.bodies.bound(request);
    let response = next.run(request).await;
    Ok(answers::hold(response, open).ok_or_else(again)?)
}

/// The largest body, bytes, that the route of a request takes.
pub(crate) fn largest_body(app: &App, request: &Request) -> usize {
    match Class::of(request.method(), request.uri()) {
        Class::Upload => usize::try_from(app.cx.config.max_upload_size).unwrap_or(usize::MAX),
        _ if class::is_backup(request.uri()) => BACKUP_BODY_LIMIT,
        _ => BODY_LIMIT,
    }
}

/// What is told of a body that these limits cut off; `None` if something else broke it.
pub(crate) fn body_error(error: &(dyn Error + 'static)) -> Option<ApiError> {
    let Some(cut) = error.downcast_ref::<Cut>() else { return body_error(error.source()?) };
    match cut {
        Cut::Slow => Some(ApiError::refused(Refusal::TooSlow, "The body came too slowly.")),
        Cut::Full => Some(ApiError::refused(Refusal::NoRoom, "The server receives too much at the moment; try again.")),
        Cut::Broken(_) => None,
    }
}
