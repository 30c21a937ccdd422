//! What an operator changes of an account: `PUT /_olmstead/admin/v1/users/{userId}/standing`, `PUT …/password`,
//! `POST …/deactivate`.

use olmstead_storage::accounts::StandingChange;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::create::password;
use crate::{
    Context, Result, Secret, ServiceError,
    accounts::{deactivate, passwords},
    admin::{
        audit::{Operator, recorded},
        e2ee::inspect::standing,
    },
};

/// The body of a change of standing; what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Nobody can use the account, and nothing is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// The user can read, and log in and out, and little else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStanding {
    /// The id.
    pub user_id: OwnedUserId,
    /// Words for what is not ordinary now.
    pub standing: Vec<String>,
}

/// Locks, unlocks, suspends or lets go on. Waiting syncs meet it at once.
///
/// # Errors
/// [`crate::Refusal::NotFound`], `UserDeactivated`, `InvalidParam` for what is no user of this server, and `MissingParam` if
/// nothing is to be changed.
pub async fn set_standing(cx: &Context, operator: &Operator, user: &str, wish: Standing) -> Result<NewStanding> {
    let user_id = super::active(cx, user).await?.user_id;
    let words = [
        wish.locked.map(|locked| if locked { "lock" } else { "unlock" }),
        wish.suspended.map(|suspended| if suspended { "suspend" } else { "unsuspend" }),
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    if words.is_empty() {
        return Err(ServiceError::missing_param("Say locked, suspended or both."));
    }
    recorded(cx, operator, ("user.standing", user_id.as_str(), &words.join(" ")), async {
        let change = StandingChange { locked: wish.locked, suspended: wish.suspended, admin: None };
        if cx.storage.set_standing(&user_id, change).await? { Ok(()) } else { Err(super::not_there(&user_id)) }
    })
    .await?;
    let account = super::account(cx, user_id.as_str()).await?;
    Ok(NewStanding { user_id, standing: standing(&account) })
}

/// The body of a new password.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewPassword {
    /// The password; without one the server chooses one.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Whether all devices are logged out for good.
    #[serde(default)]
    pub logout: bool,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordSet {
    /// The id.
    pub user_id: OwnedUserId,
    /// The password, if the server chose it. It is shown this once.
    pub password: Option<Secret>,
    /// Devices that were logged out.
    pub logged_out: Vec<OwnedDeviceId>,
}

/// Sets a password.
///
/// # Errors
/// [`crate::Refusal::NotFound`], `UserDeactivated`, `WeakPassword`, and `InvalidParam` for what is no user of this server,
/// for guests, who have none, and for a password that is too long.
pub async fn set_password(cx: &Context, operator: &Operator, user: &str, wish: NewPassword) -> Result<PasswordSet> {
    let account = super::active(cx, user).await?;
    if account.guest {
        return Err(ServiceError::invalid_param("A guest has no password."));
    }
    let user_id = account.user_id;
    let (password, chosen) = password(cx, wish.password)?;
    let details = if wish.logout { "all devices logged out" } else { "" };
    let logged_out = recorded(cx, operator, ("user.reset_password", user_id.as_str(), details), async {
        let hash = passwords::hash(cx, password).await?;
        let set = cx.storage.set_password(&user_id, hash, wish.logout, None).await?;
        set.ok_or_else(|| super::deactivated(&user_id))
    })
    .await?;
    Ok(PasswordSet { user_id, password: chosen, logged_out })
}

/// The body of a deactivation.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Deactivate {
    /// Whether account data and filters go, too.
    #[serde(default)]
    pub erase: bool,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deactivated {
    /// The id, which stays taken.
    pub user_id: OwnedUserId,
}

/// Ends an account for good, as its owner can: it leaves all rooms first.
///
/// # Errors
/// [`crate::Refusal::NotFound`], `UserDeactivated`, and `InvalidParam` for what is no user of this server.
pub async fn end(cx: &Context, operator: &Operator, user: &str, wish: Deactivate) -> Result<Deactivated> {
    let user_id = super::active(cx, user).await?.user_id;
    let details = if wish.erase { "erase" } else { "" };
    recorded(cx, operator, ("user.deactivate", user_id.as_str(), details), async {
        if deactivate::end(cx, &user_id, wish.erase).await? { Ok(()) } else { Err(super::deactivated(&user_id)) }
    })
    .await?;
    Ok(Deactivated { user_id })
}
