//! `POST /register`: new accounts and guests.

use olmstead_domain::json::RawJson;
use olmstead_storage::{
    accounts::Account,
    devices::{NewSession, TokenHash},
    registration_tokens::Invited,
};
use ruma::OwnedUserId;
use serde::Deserialize;

use super::{DeviceWishes, NewLogin, passwords, registration_tokens, tokens, usernames};
use crate::{
    Context, RegistrationMode, Result, ServiceError, push_rules,
    uia::{self, Stage},
};

/// What identifies the endpoint in user-interactive authentication.
const ENDPOINT: &str = "POST /register";
/// Attempts to find a free random name before giving up; one is nearly always enough.
const NAME_ATTEMPTS: usize = 5;

/// The body of the request, without `auth`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Registration {
    /// The wanted localpart; random when absent.
    #[serde(default)]
    pub username: Option<String>,
    /// The password; needed.
    #[serde(default)]
    pub password: Option<String>,
    /// The wanted device id.
    #[serde(default)]
    pub device_id: Option<String>,
    /// Name for the device.
    #[serde(default)]
    pub initial_device_display_name: Option<String>,
    /// Do not log in.
    #[serde(default)]
    pub inhibit_login: Option<bool>,
    /// The client takes refresh tokens.
    #[serde(default)]
    pub refresh_token: Option<bool>,
}

/// A new account.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its id.
    pub user_id: OwnedUserId,
    /// The session, unless login was inhibited.
    pub login: Option<NewLogin>,
}

/// Registers an ordinary account. Everything about the wish is checked before authentication is asked for.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] when registration is closed, `InvalidUsername`, `UserInUse`, `WeakPassword`,
/// `MissingParam` without a password, and the 401 of user-interactive authentication.
pub async fn register(cx: &Context, wish: Registration, body: &RawJson) -> Result<Registered> {
    let flow: &[Stage] = match &cx.config.registration {
        RegistrationMode::Closed => return Err(closed()),
        RegistrationMode::Open => &[Stage::Dummy],
        // Clients know the two together from other servers.
        RegistrationMode::Token(_) => &[Stage::RegistrationToken, Stage::Dummy],
    };
    let wanted = match wish.username.as_deref() {
        Some(username) => Some(usernames::available(cx, username).await?),
        None => None,
    };
    if let Some(password) = wish.password.as_deref() {
        passwords::check_new(password)?;
    }
    let wishes = DeviceWishes {
        device_id: wish.device_id,
        initial_display_name: wish.initial_device_display_name,
        refresh_token: wish.refresh_token.unwrap_or(false),
    };
    // Tokens are made now, so that a bad device id is told before authentication.
    let begun = tokens::begin(cx, &wishes)?;
    // Clients ask for the flows with an empty body; whoever answers a stage has to bring the password as well.
    let password = match (wish.password, uia::is_attempt(body)?) {
        (Some(password), _) => Some(password),
        (None, true) => return Err(ServiceError::missing_param("A password is needed.")),
        (None, false) => None,
    };
    let passed = uia::authorise_anonymous(cx, ENDPOINT, body, &[flow]).await?;
    let password = password.ok_or_else(|| ServiceError::missing_param("A password is needed."))?;
    let hash = passwords::hash(cx, password).await?;
    let (issued, session) = begun;
    let inhibit = wish.inhibit_login.unwrap_or(false);
    let make = |user_id: OwnedUserId| Account::new(user_id, Some(hash.clone()), cx.now());
    let first = (!inhibit).then(|| session.clone());
    let invited_by = passed.invited_by;
    let (user_id, outcome) = match wanted {
        Some(user_id) => (user_id.clone(), create(cx, make(user_id), first, invited_by).await?),
        None => create_with_random_name(cx, "u", make, first, invited_by).await?,
    };
    match outcome {
        Invited::Created => {}
        Invited::NameTaken => return Err(usernames::in_use()),
        Invited::TokenNotValid => return uia::refuse_invitation(cx, ENDPOINT, body, &[flow]).await,
    }
    push_rules::set_up(cx, &user_id).await?;
    let login = (!inhibit).then(|| NewLogin { user_id: user_id.clone(), device_id: session.device_id, tokens: issued });
    Ok(Registered { user_id, login })
}

/// Registers a guest: only where anyone may register, with a device id of the server's choice (DEV-16) and nothing of
/// the request but the device's name.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] when guests are not welcome.
pub async fn register_guest(cx: &Context, device_name: Option<String>) -> Result<Registered> {
    if cx.config.registration != RegistrationMode::Open {
        return Err(ServiceError::forbidden("This server does not take guests."));
    }
    let wishes = DeviceWishes { initial_display_name: device_name, ..DeviceWishes::default() };
    let (issued, session) = tokens::begin(cx, &wishes)?;
    let make = |user_id| Account { guest: true, ..Account::new(user_id, None, cx.now()) };
    let (user_id, _) = create_with_random_name(cx, "guest-", make, Some(session.clone()), None).await?;
    push_rules::set_up(cx, &user_id).await?;
    let login = NewLogin { user_id: user_id.clone(), device_id: session.device_id, tokens: issued };
    Ok(Registered { user_id, login: Some(login) })
}

/// Whether a name may be registered (`GET /register/available`).
///
/// # Errors
/// [`crate::Refusal::Forbidden`] when registration is closed, `InvalidUsername`, `UserInUse`.
pub async fn check_available(cx: &Context, username: &str) -> Result<()> {
    if cx.config.registration == RegistrationMode::Closed {
        return Err(closed());
    }
    usernames::available(cx, username).await.map(drop)
}

/// Whether a registration token is valid now (`GET /register/m.login.registration_token/validity`).
///
/// # Errors
/// [`crate::Refusal::Forbidden`] when registration is closed.
pub async fn token_is_valid(cx: &Context, token: &str) -> Result<bool> {
    match &cx.config.registration {
        RegistrationMode::Closed => Err(closed()),
        RegistrationMode::Open => Ok(false),
        RegistrationMode::Token(_) => Ok(registration_tokens::invitation(cx, token).await?.is_some()),
    }
}

/// Creates the account and, with a token of the store, counts its use in the same step.
async fn create(
    cx: &Context,
    account: Account,
    session: Option<NewSession>,
    invited_by: Option<TokenHash>,
) -> Result<Invited> {
    Ok(match invited_by {
        Some(hash) => cx.storage.create_invited_account(account, session, &hash, cx.now()).await?,
        None if cx.storage.create_account(account, session).await? => Invited::Created,
        None => Invited::NameTaken,
    })
}

async fn create_with_random_name(
    cx: &Context,
    prefix: &str,
    make: impl Fn(OwnedUserId) -> Account,
    session: Option<NewSession>,
    invited_by: Option<TokenHash>,
) -> Result<(OwnedUserId, Invited)> {
    for _ in 0..NAME_ATTEMPTS {
        let user_id = usernames::random_user_id(cx, prefix)?;
        let outcome = create(cx, make(user_id.clone()), session.clone(), invited_by).await?;
        if outcome != Invited::NameTaken {
            return Ok((user_id, outcome));
        }
    }
    Err(ServiceError::Internal("no free user name was found".to_owned()))
}

fn closed() -> ServiceError {
    ServiceError::forbidden("Registration is closed on this server.")
}
