//! Profiles: named fields that everyone may read and their owner may set (client-server API, Profiles).

mod propagate;

use olmstead_domain::json::{self, RawJson};
use olmstead_storage::devices::Session;
use ruma::{MxcUri, UserId};
use serde_json::Value;

use crate::{Context, Refusal, Result, ServiceError, account_data::for_oneself};

/// The field of the display name.
pub const DISPLAY_NAME: &str = "displayname";
/// The field of the avatar.
pub const AVATAR_URL: &str = "avatar_url";
/// The field of the time zone.
const TIME_ZONE: &str = "m.tz";
/// The most bytes a whole profile may have, as JSON.
const MAX_PROFILE: usize = 64 * 1024;
/// The most bytes the name of a field may have.
const MAX_KEY: usize = 255;
/// The most characters of a display name, which goes into every membership event.
const MAX_DISPLAY_NAME: usize = 256;
/// The most bytes of an avatar's address.
const MAX_AVATAR_URL: usize = 1000;
/// The most bytes of a time zone's name.
const MAX_TIME_ZONE: usize = 255;

/// All fields of a profile.
///
/// # Errors
/// [`Refusal::NotFound`] for an unknown or deactivated user.
pub async fn all(cx: &Context, user_id: &UserId) -> Result<Vec<(String, RawJson)>> {
    let fields = cx.storage.profile(user_id).await?.ok_or_else(unknown_user)?;
    if fields.is_empty() && cx.storage.account(user_id).await?.is_none_or(|account| account.deactivated) {
        return Err(unknown_user());
    }
    Ok(fields)
}

/// One field.
///
/// # Errors
/// [`Refusal::NotFound`] when the user or the field is not there.
pub async fn get(cx: &Context, user_id: &UserId, key: &str) -> Result<RawJson> {
    let fields = cx.storage.profile(user_id).await?.ok_or_else(unknown_user)?;
    let field = fields.into_iter().find(|(name, _)| name == key);
    field.map(|(_, value)| value).ok_or_else(|| ServiceError::not_found("The profile has no such field."))
}

/// Sets a field. An empty display name or avatar takes the field away, as clients mean it.
///
/// # Errors
/// [`Refusal::Forbidden`] for another user, and for a guest who sets more than the display name; `InvalidParam` for a
/// name or value that cannot be; `ProfileKeyTooLarge`; `ProfileTooLarge`.
pub async fn set(cx: &Context, session: &Session, user_id: &UserId, key: &str, value: RawJson) -> Result<()> {
    may_change(session, user_id, key)?;
    check_value(key, &value)?;
    let cleared =
        (key == DISPLAY_NAME || key == AVATAR_URL) && value.read::<String>().is_ok_and(|text| text.is_empty());
    if cleared {
        return store(cx, user_id, key, None).await;
    }
    let fields = cx.storage.profile(user_id).await?.ok_or_else(unknown_user)?;
    if profile_len(&fields, key, &value)? >= MAX_PROFILE {
        return Err(ServiceError::refused(Refusal::ProfileTooLarge, "The profile would be 64 KiB or more."));
    }
    store(cx, user_id, key, Some(value)).await
}

/// Takes a field away, if it is there.
///
/// # Errors
/// [`Refusal::Forbidden`] and `InvalidParam` as for [`set`].
pub async fn delete(cx: &Context, session: &Session, user_id: &UserId, key: &str) -> Result<()> {
    may_change(session, user_id, key)?;
    store(cx, user_id, key, None).await
}

/// The display name an administrator gives a new account; it is in no room yet.
pub(crate) async fn set_first_display_name(cx: &Context, user_id: &UserId, name: &str) -> Result<()> {
    let value = RawJson::from_value(name).map_err(|error| ServiceError::domain(error.kind(), error))?;
    check_value(DISPLAY_NAME, &value)?;
    Ok(cx.storage.set_profile_field(user_id, DISPLAY_NAME, Some(value)).await?)
}

/// A field among others, read.
pub(crate) fn field_of(fields: &[(String, RawJson)], name: &str) -> Option<Value> {
    fields.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.read().ok())
}

async fn store(cx: &Context, user_id: &UserId, key: &str, value: Option<RawJson>) -> Result<()> {
    cx.storage.set_profile_field(user_id, key, value).await?;
    if key == DISPLAY_NAME || key == AVATAR_URL {
        propagate::to_rooms(cx, user_id).await?;
    }
    Ok(())
}

fn may_change(session: &Session, user_id: &UserId, key: &str) -> Result<()> {
    for_oneself(session, user_id)?;
    if key.len() > MAX_KEY {
        let message = format!("The name of a profile field has at most {MAX_KEY} bytes.");
        return Err(ServiceError::refused(Refusal::ProfileKeyTooLarge, message));
    }
    if !is_key(key) {
        return Err(ServiceError::invalid_param("This cannot be the name of a profile field."));
    }
    if session.guest && key != DISPLAY_NAME {
        return Err(ServiceError::refused(Refusal::GuestAccessForbidden, "Guests may only set their display name."));
    }
    Ok(())
}

/// The Common Namespaced Identifier Grammar, of which all specified fields are.
fn is_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
}

fn check_value(key: &str, value: &RawJson) -> Result<()> {
    json::canonical_len(value.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    if ![DISPLAY_NAME, AVATAR_URL, TIME_ZONE].contains(&key) {
        return Ok(());
    }
    let text: String = value.read().map_err(|_| ServiceError::invalid_param(format!("{key} must be a string.")))?;
    let right = match key {
        DISPLAY_NAME => text.chars().count() <= MAX_DISPLAY_NAME,
        AVATAR_URL => text.is_empty() || (text.len() <= MAX_AVATAR_URL && <&MxcUri>::from(text.as_str()).is_valid()),
        _ => !text.is_empty() && text.len() <= MAX_TIME_ZONE,
    };
    if right { Ok(()) } else { Err(ServiceError::invalid_param(format!("This {key} cannot be."))) }
}

/// The bytes of the profile as JSON with one field set.
fn profile_len(fields: &[(String, RawJson)], key: &str, value: &RawJson) -> Result<usize> {
    let length = |name: &str, value: &RawJson| {
        let value = json::canonical_len(value.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
        // Two quotes, a colon and a comma.
        Ok::<_, ServiceError>(name.len() + value + 4)
    };
    let mut total = 2 + length(key, value)?;
    for (name, value) in fields.iter().filter(|(name, _)| name != key) {
        total += length(name, value)?;
    }
    Ok(total)
}

fn unknown_user() -> ServiceError {
    ServiceError::not_found("There is no such user.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::from_text(text.to_owned()).unwrap()
    }

    #[test]
    fn names_of_fields_follow_the_grammar() {
        for good in ["displayname", "avatar_url", "m.tz", "org.example.some_field2", "custom", "org.a-b", "x."] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "M.tz", ".org", "-org", "1a", "org.A", "org a", "org/a", "org.\u{e9}"] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn specified_fields_have_their_type() {
        assert!(check_value("displayname", &raw("\"Alice\"")).is_ok());
        assert!(check_value("avatar_url", &raw("\"mxc://example.org/abc\"")).is_ok());
        assert!(check_value("avatar_url", &raw("\"\"")).is_ok());
        assert!(check_value("org.example.any", &raw("{\"a\":[null]}")).is_ok());
        for (key, value) in [
            ("displayname", "null"),
            ("displayname", "1"),
            ("avatar_url", "\"https://example.org/a.png\""),
            ("m.tz", "\"\""),
        ] {
            assert!(check_value(key, &raw(value)).is_err(), "{key} {value}");
        }
        let long = format!("\"{}\"", "a".repeat(257));
        assert!(check_value("displayname", &raw(&long)).is_err());
    }

    #[test]
    fn the_length_of_a_profile_is_that_of_its_json() {
        let fields = vec![("displayname".to_owned(), raw("\"Al\"")), ("m.tz".to_owned(), raw("\"UTC\""))];
        let text = r#"{"displayname":"Alice","m.tz":"UTC"}"#;
        let length = profile_len(&fields, "displayname", &raw("\"Alice\"")).unwrap();
        // The last member has no comma: the estimate is one over.
        assert_eq!(length, text.len() + 1);
    }
}
