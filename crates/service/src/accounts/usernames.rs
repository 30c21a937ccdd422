//! User names: the grammar of new ones, and whether one is free.

use ruma::{OwnedUserId, UserId};

use super::tokens::random_name;
use crate::{Context, Refusal, Result, ServiceError};

/// The most bytes a user id may have (appendices, User Identifiers).
const MAX_USER_ID: usize = 255;

/// The user id of a new account with this name, by the strict grammar (appendices, User Identifiers).
///
/// # Errors
/// [`Refusal::InvalidUsername`].
pub fn new_user_id(cx: &Context, username: &str) -> Result<OwnedUserId> {
    let invalid = |message: &str| ServiceError::refused(Refusal::InvalidUsername, message);
    if !is_localpart(username) {
        return Err(invalid("A user name has one or more of the characters a-z, 0-9, and . _ = - / +"));
    }
    let user_id = format!("@{username}:{}", cx.config.server_name);
    if user_id.len() > MAX_USER_ID {
        return Err(invalid("The user name is too long."));
    }
    UserId::parse(user_id).map_err(|_| invalid("This user name cannot be used."))
}

/// Like [`new_user_id`], and the name is free.
///
/// # Errors
/// [`Refusal::InvalidUsername`] or [`Refusal::UserInUse`].
pub async fn available(cx: &Context, username: &str) -> Result<OwnedUserId> {
    let user_id = new_user_id(cx, username)?;
    if cx.storage.account(&user_id).await?.is_some() {
        return Err(in_use());
    }
    Ok(user_id)
}

/// The user a login names: a full id or just its localpart. Capitals are taken as small letters, as phone keyboards
/// like to add them. `None` when it cannot be a user of this server.
#[must_use]
pub fn login_name(cx: &Context, name: &str) -> Option<OwnedUserId> {
    let user_id = if name.starts_with('@') {
        UserId::parse(name.to_ascii_lowercase()).ok()?
    } else {
        UserId::parse(format!("@{}:{}", name.to_ascii_lowercase(), cx.config.server_name)).ok()?
    };
    cx.is_local(&user_id).then_some(user_id)
}

/// A name for an account that did not ask for one.
pub(crate) fn random_user_id(cx: &Context, prefix: &str) -> Result<OwnedUserId> {
    new_user_id(cx, &format!("{prefix}{}", random_name(cx, 16, b"abcdefghijklmnopqrstuvwxyz234567")))
}

/// [`Refusal::UserInUse`].
pub(crate) fn in_use() -> ServiceError {
    ServiceError::refused(Refusal::UserInUse, "This user name is taken.")
}

fn is_localpart(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::is_localpart;

    #[test]
    fn only_the_strict_grammar_is_registered() {
        for good in ["a", "alice", "a.b_c=d-e/f+g", "42"] {
            assert!(is_localpart(good), "{good}");
        }
        for bad in ["", "Alice", "a b", "a:b", "@a", "é", "a\0", "a%"] {
            assert!(!is_localpart(bad), "{bad}");
        }
    }
}
