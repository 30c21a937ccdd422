//! Tokens: made of 32 random bytes, given to the client once, kept as a hash.

use olmstead_domain::identifiers;
use olmstead_storage::devices::{NewSession, TokenHash};
use ruma::OwnedDeviceId;
use sha2::{Digest as _, Sha256};

use super::DeviceWishes;
use crate::{Context, Refusal, Result, ServiceError};

/// The prefixes tell scanners for leaked secrets and humans what they have in front of them.
const ACCESS_PREFIX: &str = "olt_";
const REFRESH_PREFIX: &str = "olr_";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// The most characters a public device name may have.
pub const MAX_DEVICE_NAME: usize = 256;

/// Tokens as the client gets them.
#[derive(Debug, Clone)]
pub struct IssuedTokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token, for clients that take one.
    pub refresh_token: Option<String>,
    /// How long the access token works, milliseconds; `None` is for ever.
    pub expires_in_ms: Option<u64>,
}

/// What is stored of a token: its SHA-256.
#[must_use]
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// A fresh token with a prefix.
pub(crate) fn fresh(cx: &Context, prefix: &str) -> String {
    format!("{prefix}{}", cx.random_text(TOKEN_BYTES))
}

/// Fresh tokens; with `refresh`, an access token that ends and a refresh token to follow it.
pub(crate) fn issue(cx: &Context, refresh: bool) -> IssuedTokens {
    IssuedTokens {
        access_token: fresh(cx, ACCESS_PREFIX),
        refresh_token: refresh.then(|| fresh(cx, REFRESH_PREFIX)),
        expires_in_ms: refresh.then_some(cx.config.access_token_lifetime_ms),
    }
}

/// Fresh tokens and the session to store for them.
///
/// # Errors
/// A device id or name over its limit (DEV-21).
pub(crate) fn begin(cx: &Context, wishes: &DeviceWishes) -> Result<(IssuedTokens, NewSession)> {
    let device_id = match &wishes.device_id {
        Some(wanted) => {
            identifiers::check_device_id(wanted).map_err(|error| ServiceError::domain(error.kind(), error))?;
            OwnedDeviceId::from(wanted.as_str())
        }
        None => new_device_id(cx),
    };
    check_device_name(wishes.initial_display_name.as_deref())?;
    let tokens = issue(cx, wishes.refresh_token);
    let now = cx.now();
    let session = NewSession {
        device_id,
        initial_display_name: wishes.initial_display_name.clone(),
        access: hash(&tokens.access_token),
        access_expires_at: tokens.expires_in_ms.map(|lifetime| now.saturating_add(lifetime)),
        refresh: tokens.refresh_token.as_deref().map(hash),
        now,
        most_devices: cx.config.devices_per_user,
    };
    Ok((tokens, session))
}

/// Checks a public device name.
///
/// # Errors
/// [`Refusal::InvalidParam`] if it is over [`MAX_DEVICE_NAME`] characters.
pub(crate) fn check_device_name(name: Option<&str>) -> Result<()> {
    if name.is_some_and(|name| name.chars().count() > MAX_DEVICE_NAME) {
        let message = format!("A device name has at most {MAX_DEVICE_NAME} characters.");
        return Err(ServiceError::refused(Refusal::InvalidParam, message));
    }
    Ok(())
}

/// An id for a device that did not bring one: 50 random bits in capital letters and digits.
pub(crate) fn new_device_id(cx: &Context) -> OwnedDeviceId {
    random_name(cx, 10, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").into()
}

/// Random characters of an alphabet of 32.
pub(crate) fn random_name(cx: &Context, length: usize, alphabet: &[u8; 32]) -> String {
    let mut bytes = vec![0; length];
    cx.environment.random(&mut bytes);
    bytes.iter().map(|byte| char::from(alphabet[usize::from(byte % 32)])).collect()
}
