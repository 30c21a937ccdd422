//! `POST /login`: with a password, or with a token from `/login/get_token`.

use olmstead_storage::devices::LoginOutcome;
use ruma::{OwnedUserId, UserId};

use super::{DeviceWishes, NewLogin, failures, login_token, passwords, tokens, usernames};
use crate::{Context, Refusal, Result, ServiceError, keys};

/// How somebody proves who they are.
#[derive(Debug, Clone)]
pub enum Proof {
    /// `m.login.password`: a full user id or a localpart, and the password.
    Password {
        /// The name as typed.
        user: String,
        /// The password.
        password: String,
    },
    /// `m.login.token` (AUTH-16).
    Token(String),
}

/// Logs a device in.
///
/// # Errors
/// [`Refusal::Forbidden`] for a wrong name, password or token, and for a device id that is a cross-signing key
/// (DEV-13); [`Refusal::UserDeactivated`]; [`ServiceError::UserLocked`] (GEN-15); [`ServiceError::LimitExceeded`] after
/// too many wrong passwords; [`ServiceError::UserLimitExceeded`] for a new device of a user who has too many (GEN-22).
pub async fn login(cx: &Context, proof: Proof, wishes: &DeviceWishes) -> Result<NewLogin> {
    let (issued, session) = tokens::begin(cx, wishes)?;
    let device_id = session.device_id.clone();
    let (user_id, token) = match proof {
        Proof::Password { user, password } => (by_password(cx, &user, password).await?, None),
        Proof::Token(token) => (login_token::owner(cx, &token).await?, Some(token)),
    };
    check_standing(cx, &user_id).await?;
    if let Some(token) = token {
        // Whatever else would refuse the login is looked for first: the token is good for one.
        if keys::of_user(cx, &user_id).await?.collide_with_device(&device_id) {
            return Err(is_cross_signing_key());
        }
        let devices = cx.storage.devices(&user_id).await?;
        if devices.len() >= cx.config.devices_per_user && devices.iter().all(|device| device.id.device_id != device_id)
        {
            return Err(too_many_devices(cx));
        }
        login_token::redeem(cx, &token).await?;
    }
    match cx.storage.login(&user_id, session).await? {
        LoginOutcome::LoggedIn { .. } => Ok(NewLogin { user_id, device_id, tokens: issued }),
        LoginOutcome::IdIsCrossSigningKey => Err(is_cross_signing_key()),
        LoginOutcome::TooManyDevices => Err(too_many_devices(cx)),
        LoginOutcome::NoAccount => Err(wrong()),
    }
}

fn too_many_devices(cx: &Context) -> ServiceError {
    let most = cx.config.devices_per_user;
    let message = format!("This account has {most} devices, which is all it may have. Log some of them out first.");
    ServiceError::UserLimitExceeded { message, info_uri: cx.config.limits_info_uri() }
}

async fn by_password(cx: &Context, name: &str, password: String) -> Result<OwnedUserId> {
    let named = usernames::login_name(cx, name);
    let account = match &named {
        Some(user_id) => {
            failures::check(cx, user_id).await?;
            cx.storage.account(user_id).await?
        }
        None => None,
    };
    let hash = account.as_ref().and_then(|account| account.password_hash.clone());
    let right = passwords::verify(cx, password, hash).await?;
    if let Some(user_id) = named.filter(|_| !right) {
        // Also for who is not there: the limit tells nobody which names exist.
        failures::count(cx, &user_id).await?;
    }
    match account {
        Some(account) if account.deactivated => {
            Err(ServiceError::refused(Refusal::UserDeactivated, "This account was deactivated."))
        }
        Some(account) if right => Ok(account.user_id),
        _ => Err(wrong()),
    }
}

async fn check_standing(cx: &Context, user_id: &UserId) -> Result<()> {
    match cx.storage.account(user_id).await? {
        Some(account) if account.locked => Err(ServiceError::UserLocked),
        Some(account) if account.deactivated => {
            Err(ServiceError::refused(Refusal::UserDeactivated, "This account was deactivated."))
        }
        Some(_) => Ok(()),
        None => Err(wrong()),
    }
}

fn is_cross_signing_key() -> ServiceError {
    ServiceError::forbidden("This device ID is a cross-signing key of the user.")
}

fn wrong() -> ServiceError {
    ServiceError::forbidden("The user name or the password is wrong.")
}
