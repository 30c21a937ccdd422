//! Pushers: where a user wants notifications sent.

use olmstead_domain::json::{self, Fields, RawJson};
use olmstead_storage::{account_data::Pusher, devices::Session};
use serde::Deserialize;

use crate::{Context, Result, ServiceError};

/// Limits of the identifying members (push notifications, `POST /pushers/set`).
const MAX_APP_ID: usize = 64;
const MAX_PUSHKEY: usize = 512;
/// The most bytes of a pusher as a whole.
const MAX_PUSHER: usize = 16 * 1024;
/// The path every push gateway has.
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";

/// The members of the request that are looked at.
#[derive(Debug, Deserialize)]
struct Wish<'a> {
    app_id: String,
    pushkey: String,
    /// `null` deletes.
    #[serde(deserialize_with = "Option::deserialize")]
    kind: Option<String>,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    lang: Option<String>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    append: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    url: Option<std::borrow::Cow<'a, str>>,
}

/// The caller's pushers, as the clients set them.
///
/// # Errors
/// Only the store's.
pub async fn list(cx: &Context, session: &Session) -> Result<Vec<RawJson>> {
    let pushers = cx.storage.pushers(&session.device.user_id).await?;
    Ok(pushers.into_iter().map(|pusher| pusher.data).collect())
}

/// Sets a pusher, or deletes it when `kind` is null.
///
/// # Errors
/// [`crate::Refusal::MissingParam`], `BadJson` and `InvalidParam` for what a pusher must have.
pub async fn set(cx: &Context, session: &Session, body: &RawJson) -> Result<()> {
    let wish = parse(body)?;
    let user_id = &session.device.user_id;
    if wish.kind.is_none() {
        return Ok(cx.storage.delete_pusher(user_id, &wish.app_id, &wish.pushkey).await?);
    }
    json::check_readable(body.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    let mut data = Fields::parse(body.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    data.remove("append");
    let data = data.to_raw().map_err(|error| ServiceError::domain(error.kind(), error))?;
    let pusher = Pusher { app_id: wish.app_id, pushkey: wish.pushkey, device: session.device.clone(), data };
    Ok(cx.storage.set_pusher(pusher, wish.append.unwrap_or(false)).await?)
}

fn parse(body: &RawJson) -> Result<Wish<'_>> {
    if body.get().len() > MAX_PUSHER {
        return Err(ServiceError::invalid_param("The pusher is too large."));
    }
    let wish: Wish<'_> = body.read().map_err(|error| {
        let message = error.to_string();
        if message.contains("missing field") {
            ServiceError::missing_param("app_id, pushkey and kind are needed.")
        } else {
            ServiceError::bad_json(message)
        }
    })?;
    if wish.app_id.chars().count() > MAX_APP_ID || wish.pushkey.len() > MAX_PUSHKEY {
        return Err(ServiceError::invalid_param("app_id or pushkey is too long."));
    }
    let Some(kind) = wish.kind.as_deref() else { return Ok(wish) };
    let missing: Vec<&str> = [
        ("app_display_name", wish.app_display_name.is_none()),
        ("device_display_name", wish.device_display_name.is_none()),
        ("lang", wish.lang.is_none()),
        ("data", wish.data.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
    .collect();
    if !missing.is_empty() {
        return Err(ServiceError::missing_param(format!("Missing: {}.", missing.join(", "))));
    }
    if kind != "http" {
        return Err(ServiceError::invalid_param("Only pushers of kind http are known here."));
    }
    let url = wish.data.as_ref().and_then(|data| data.url.as_deref());
    let url = url.ok_or_else(|| ServiceError::missing_param("data must have a url."))?;
    if !is_gateway(url) {
        let message = format!("The url must be an https URL with the path {GATEWAY_PATH}.");
        return Err(ServiceError::invalid_param(message));
    }
    Ok(wish)
}

fn is_gateway(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let Some((authority, _)) = rest.split_once('/') else { return false };
    let path = rest.strip_prefix(authority).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    !authority.is_empty() && path == GATEWAY_PATH
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Refusal;

    fn refusal(text: &str) -> Option<Refusal> {
        let body = RawJson::from_text(text.to_owned()).unwrap();
        match parse(&body) {
            Ok(_) => None,
            Err(ServiceError::Refused { refusal, .. }) => Some(refusal),
            Err(other) => unreachable!("{other}"),
        }
    }

    #[test]
    fn a_whole_pusher_and_a_deletion_are_taken() {
        let whole = r#"{"app_id":"a","pushkey":"k","kind":"http","app_display_name":"A","device_display_name":"D",
            "lang":"en","data":{"url":"https://push.example.org/_matrix/push/v1/notify","format":"event_id_only"}}"#;
        assert_eq!(refusal(whole), None);
        assert_eq!(refusal(r#"{"app_id":"a","pushkey":"k","kind":null}"#), None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        assert_eq!(refusal(r#"{"app_id":"a","pushkey":"k"}"#), Some(Refusal::MissingParam));
        assert_eq!(refusal(r#"{"app_id":"a","pushkey":"k","kind":"http"}"#), Some(Refusal::MissingParam));
        assert_eq!(refusal(r#"{"app_id":1,"pushkey":"k","kind":null}"#), Some(Refusal::BadJson));
        let long = format!(r#"{{"app_id":"{}","pushkey":"k","kind":null}}"#, "a".repeat(65));
        assert_eq!(refusal(&long), Some(Refusal::InvalidParam));
    }

    #[test]
    fn a_gateway_has_its_path_and_https() {
        assert!(is_gateway("https://push.example.org/_matrix/push/v1/notify"));
        assert!(is_gateway("https://push.example.org:8443/_matrix/push/v1/notify?x=1"));
        for bad in
            ["http://a/_matrix/push/v1/notify", "https:///_matrix/push/v1/notify", "https://a/x", "https://a", "x"]
        {
            assert!(!is_gateway(bad), "{bad}");
        }
    }
}
