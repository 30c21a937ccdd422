//! Who makes a request: a layer that resolves the access token, and extractors that say which callers a handler takes.

use std::{marker::PhantomData, net::IpAddr, ops::Deref};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts, Request, State},
    http::{HeaderMap, Uri, header, request::Parts},
    middleware::Next,
    response::Response,
};
use olmstead_service::{Refusal, ServiceError};
use olmstead_storage::devices::{Session, TokenHash};
use ruma::UserId;
use sha2::{Digest as _, Sha256};

use crate::{App, address, error::ApiError, observe};

/// Which callers a handler takes, beyond regular ones.
pub trait Policy: Send + Sync {
    /// Guests (GEN-17, GEN-18).
    const GUESTS: bool = false;
    /// Suspended accounts (GEN-16).
    const SUSPENDED: bool = false;
    /// Locked accounts (GEN-15).
    const LOCKED: bool = false;
}

/// Regular accounts only.
#[derive(Debug, Clone, Copy)]
pub struct Regular;
impl Policy for Regular {}

/// Guests too.
#[derive(Debug, Clone, Copy)]
pub struct GuestsToo;
impl Policy for GuestsToo {
    const GUESTS: bool = true;
}

/// Suspended accounts too.
#[derive(Debug, Clone, Copy)]
pub struct SuspendedToo;
impl Policy for SuspendedToo {
    const SUSPENDED: bool = true;
}

/// Guests and suspended accounts too.
#[derive(Debug, Clone, Copy)]
pub struct AnyActive;
impl Policy for AnyActive {
    const GUESTS: bool = true;
    const SUSPENDED: bool = true;
}

/// Everyone with a token, locked accounts too: logging out.
#[derive(Debug, Clone, Copy)]
pub struct AnyToken;
impl Policy for AnyToken {
    const GUESTS: bool = true;
    const SUSPENDED: bool = true;
    const LOCKED: bool = true;
}

/// The caller. `Auth` alone takes regular accounts, `Auth<GuestsToo>` and so on more. `Option<Auth<_>>` is for endpoints
/// that work without a token as well.
#[derive(Debug, Clone)]
pub struct Auth<P = Regular> {
    /// The session of the token.
    pub session: Session,
    /// The token's hash.
    pub token: TokenHash,
    policy: PhantomData<P>,
}

impl<P> Deref for Auth<P> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// What the layer found, left in the request's extensions.
#[derive(Debug, Clone)]
enum Resolved {
    Known(Box<Session>, TokenHash),
    Unknown { soft_logout: bool },
}

impl<P: Policy> Auth<P> {
    fn check(parts: &Parts) -> Result<Option<Self>, ApiError> {
        match parts.extensions.get::<Resolved>() {
            None => Ok(None),
            Some(Resolved::Unknown { soft_logout }) => {
                Err(ServiceError::UnknownToken { soft_logout: *soft_logout }.into())
            }
            Some(Resolved::Known(session, token)) => {
                if session.locked && !P::LOCKED {
                    return Err(ServiceError::UserLocked.into());
                }
                if session.suspended && !P::SUSPENDED {
                    return Err(ApiError::refused(Refusal::UserSuspended, "This account is suspended."));
                }
                if session.guest && !P::GUESTS {
                    return Err(ApiError::refused(Refusal::GuestAccessForbidden, "Guests may not do this."));
                }
                Ok(Some(Self { session: (**session).clone(), token: *token, policy: PhantomData }))
            }
        }
    }
}

impl<P: Policy> FromRequestParts<App> for Auth<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::check(parts)?.ok_or_else(|| ServiceError::MissingToken.into())
    }
}

impl<P: Policy> OptionalFromRequestParts<App> for Auth<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Option<Self>, ApiError> {
        Self::check(parts)
    }
}

/// The layer: finds the token, looks it up, and leaves the result for the extractors. It refuses nothing itself, since
/// only the handler's extractor knows whether a token is needed.
pub(crate) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if let Some(token) = access_token(request.headers(), request.uri()) {
        let hash = hash_token(&token);
        let resolved = match app.cx.storage.session(&hash).await? {
            // Who was left behind by a login or refresh of the same device may come back to it.
            None => Resolved::Unknown { soft_logout: app.cx.storage.was_replaced(&hash).await? },
            Some(session)
                if session
                    .access_expires_at
                    .is_some_and(|end| app.cx.is_over(end, app.cx.config.access_token_lifetime_ms)) =>
            {
                Resolved::Unknown { soft_logout: true }
            }
            Some(session) => {
                if session.retires_previous {
                    app.cx.storage.retire_previous_tokens(&hash).await?;
                }
                let ip = address::of_request(request.extensions(), request.headers(), &app.trusted_proxies);
                note_seen(&app, &session, ip).await?;
                observe::by_user(&app, &session.device.user_id);
                Resolved::Known(Box::new(session), hash)
            }
        };
        request.extensions_mut().insert(resolved);
    }
    Ok(next.run(request).await)
}

/// Who makes the request, if the layer found out.
pub(crate) fn user(request: &Request) -> Option<&UserId> {
    match request.extensions().get::<Resolved>()? {
        Resolved::Known(session, _) => Some(&session.device.user_id),
        Resolved::Unknown { .. } => None,
    }
}

/// A device's last activity is kept to this grain, so that most requests write nothing. Milliseconds.
const SEEN_GRAIN_MS: u64 = 5 * 60 * 1000;

async fn note_seen(app: &App, session: &Session, ip: Option<IpAddr>) -> Result<(), ApiError> {
    let now = app.cx.now();
    // In both directions: the clock may have been put back.
    if session.last_seen_at.is_none_or(|seen| seen.abs_diff(now) >= SEEN_GRAIN_MS) {
        app.cx.storage.device_seen(&session.device, now, ip.map(|ip| ip.to_string())).await?;
    }
    Ok(())
}

/// What is stored of a token.
#[must_use]
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// The `Authorization` header, if it is text.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

/// The token of a value of that header.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token from the header, else from the query (GEN-4).
pub(crate) fn access_token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(value) = authorization(headers) {
        return bearer(value).map(str::to_owned);
    }
    let query = uri.query()?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "access_token")
        .map(|(_, token)| token.into_owned())
}
