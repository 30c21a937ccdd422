//! Accounts that somebody else than their user makes: a provisioning script or an operator.

use olmstead_storage::{accounts::Account, devices::NewSession};
use ruma::OwnedUserId;

use super::{passwords, usernames};
use crate::{Context, Result, profile, push_rules};

/// An account to make.
#[derive(Debug)]
pub(crate) struct Wish {
    /// The localpart.
    pub(crate) username: String,
    /// The password.
    pub(crate) password: String,
    /// See [`Account::admin`].
    pub(crate) admin: bool,
    /// The first display name; the localpart when absent.
    pub(crate) display_name: Option<String>,
}

/// Makes it, with a first session when one is given.
///
/// # Errors
/// [`crate::Refusal::InvalidUsername`], `UserInUse`, `WeakPassword`, and `InvalidParam` for a password that is too long.
pub(crate) async fn provision(cx: &Context, wish: Wish, session: Option<NewSession>) -> Result<OwnedUserId> {
    passwords::check_new(&wish.password)?;
    let user_id = usernames::available(cx, &wish.username).await?;
    let hash = passwords::hash(cx, wish.password).await?;
    let mut account = Account::new(user_id.clone(), Some(hash), cx.now());
    account.admin = wish.admin;
    if !cx.storage.create_account(account, session).await? {
        return Err(usernames::in_use());
    }
    push_rules::set_up(cx, &user_id).await?;
    profile::set_first_display_name(cx, &user_id, wish.display_name.as_deref().unwrap_or(&wish.username)).await?;
    Ok(user_id)
}
