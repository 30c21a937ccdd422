//! `/_synapse/admin/v1/register`: accounts made by who knows the shared secret, in the way that Synapse's tools and many
//! test suites use.

use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha1::Sha1;

use super::{
    DeviceWishes, NewLogin,
    provision::{Wish, provision},
    tokens,
};
use crate::{Context, Refusal, Result, Secret, ServiceError};

/// The kind of short-lived value.
const KIND: &str = "register_nonce";
/// How long a nonce works, milliseconds.
const NONCE_LIFETIME_MS: u64 = 60_000;

/// The body of the request.
#[derive(Debug, Clone, Deserialize)]
pub struct AdminRegistration {
    /// From [`nonce`].
    pub nonce: String,
    /// The localpart.
    pub username: String,
    /// The password.
    pub password: String,
    /// Whether the account may administer the server.
    #[serde(default)]
    pub admin: bool,
    /// Goes into the MAC when given; of no other meaning here.
    #[serde(default)]
    pub user_type: Option<String>,
    /// HMAC-SHA1 in hexadecimal.
    pub mac: String,
    /// The first display name; the localpart when absent.
    #[serde(default)]
    pub displayname: Option<String>,
}

/// A nonce for one registration.
///
/// # Errors
/// [`Refusal::Unrecognized`] when the server has no shared secret.
pub async fn nonce(cx: &Context) -> Result<String> {
    secret(cx)?;
    let nonce = cx.random_text(32);
    cx.storage.put_short_lived(KIND, &nonce, Vec::new(), cx.now().saturating_add(NONCE_LIFETIME_MS)).await?;
    Ok(nonce)
}

/// Makes an account and logs it in.
///
/// # Errors
/// [`Refusal::Unrecognized`] when the server has no shared secret, `Unknown` for a nonce that is not valid, `Forbidden`
/// for a wrong MAC, and those of a registration.
pub async fn create(cx: &Context, wish: AdminRegistration) -> Result<NewLogin> {
    let secret = secret(cx)?;
    if cx.storage.take_short_lived(KIND, &wish.nonce, cx.now()).await?.is_none() {
        return Err(ServiceError::refused(Refusal::Unknown, "The nonce is not known or has ended."));
    }
    if !mac_is_right(secret, &wish) {
        return Err(ServiceError::forbidden("The HMAC is wrong."));
    }
    let (issued, session) = tokens::begin(cx, &DeviceWishes::default())?;
    let device_id = session.device_id.clone();
    let AdminRegistration { username, password, admin, displayname, .. } = wish;
    let wish = Wish { username, password, admin, display_name: displayname };
    let user_id = provision(cx, wish, Some(session)).await?;
    Ok(NewLogin { user_id, device_id, tokens: issued })
}

/// Whether there is a shared secret to register with.
///
/// # Errors
/// [`Refusal::Unrecognized`] when there is none.
pub fn check_on(cx: &Context) -> Result<()> {
    secret(cx).map(drop)
}

fn secret(cx: &Context) -> Result<&str> {
    let secret = cx.config.registration_shared_secret.as_ref().map(Secret::reveal).filter(|secret| !secret.is_empty());
    secret.ok_or_else(|| ServiceError::refused(Refusal::Unrecognized, "Registration by shared secret is off."))
}

/// Compares in constant time.
fn mac_is_right(secret: &str, wish: &AdminRegistration) -> bool {
    let (Some(given), Ok(mut mac)) = (unhex(&wish.mac), Hmac::<Sha1>::new_from_slice(secret.as_bytes())) else {
        return false;
    };
    let admin = if wish.admin { "admin" } else { "notadmin" };
    mac.update([&wish.nonce, &wish.username, &wish.password, admin].join("\0").as_bytes());
    if let Some(user_type) = &wish.user_type {
        mac.update(b"\0");
        mac.update(user_type.as_bytes());
    }
    mac.verify_slice(&given).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(mac: &str, user_type: Option<&str>) -> AdminRegistration {
        AdminRegistration {
            nonce: "thisisanonce".to_owned(),
            username: "pepper_roni".to_owned(),
            password: "pizza".to_owned(),
            admin: true,
            user_type: user_type.map(str::to_owned),
            mac: mac.to_owned(),
            displayname: None,
        }
    }

    // Made with `printf 'thisisanonce\0pepper_roni\0pizza\0admin' | openssl sha1 -hmac shared`.
    const MAC: &str = "4baca023abe6314415efbd20fe2e85ce78c5a2e8";
    const MAC_WITH_TYPE: &str = "94ce7fe3b83d315ea061ff02bc6cc9845243442c";

    #[test]
    fn the_mac_is_that_of_synapse() {
        assert!(mac_is_right("shared", &wish(MAC, None)));
        assert!(mac_is_right("shared", &wish(MAC_WITH_TYPE, Some("support"))));
    }

    #[test]
    fn any_other_mac_is_wrong() {
        assert!(!mac_is_right("other", &wish(MAC, None)));
        assert!(!mac_is_right("shared", &wish(MAC, Some("support"))));
        for mac in ["", "0", "zz", "\u{e9}\u{e9}", "00"] {
            assert!(!mac_is_right("shared", &wish(mac, None)), "{mac}");
        }
    }
}
