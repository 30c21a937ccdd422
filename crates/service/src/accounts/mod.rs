//! Accounts and sessions: registering, logging in and out, tokens, passwords, the end of an account.

pub mod admin_register;
pub mod deactivate;
mod end_memberships;
pub(crate) mod failures;
pub mod login;
pub mod login_token;
pub mod logout;
pub mod moderation;
pub mod openid;
pub mod password;
pub(crate) mod passwords;
pub(crate) mod provision;
pub mod refresh;
pub mod register;
pub(crate) mod registration_tokens;
pub mod tokens;
pub mod usernames;

use ruma::{OwnedDeviceId, OwnedUserId};

use self::tokens::IssuedTokens;

/// A session that a registration or a login began.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// Who.
    pub user_id: OwnedUserId,
    /// The device that is logged in now.
    pub device_id: OwnedDeviceId,
    /// Its tokens.
    pub tokens: IssuedTokens,
}

/// How a device wants to be logged in.
#[derive(Debug, Clone, Default)]
pub struct DeviceWishes {
    /// The device id; the server makes one when it is absent (DEV-12).
    pub device_id: Option<String>,
    /// Name for the device if it is new (DEV-15).
    pub initial_display_name: Option<String>,
    /// Whether the client takes refresh tokens (AUTH-3).
    pub refresh_token: bool,
}
