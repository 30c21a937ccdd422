//! What an operator sees and mends of encryption.

pub mod doctor;
pub mod inspect;
pub mod repair;

use std::time::Duration;

use ruma::{OwnedUserId, UserId};

use crate::{Context, Result, ServiceError};

/// Waiting messages of a device are counted up to this.
pub(crate) const MOST_WAITING: usize = 1_000;
/// What waits for longer than this was not fetched by a client that works.
const UNFETCHED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A user id, or the name of a user of this server, with or without an `@`.
///
/// # Errors
/// [`crate::Refusal::InvalidParam`] for what can be neither.
pub fn user_id(cx: &Context, text: &str) -> Result<OwnedUserId> {
    let full = match text.strip_prefix('@') {
        Some(rest) if rest.contains(':') => text.to_owned(),
        rest => format!("@{}:{}", rest.unwrap_or(text), cx.config.server_name),
    };
    UserId::parse(&full).map_err(|error| ServiceError::invalid_param(format!("{text} is no user id: {error}.")))
}
