//! Tags of rooms: `m.tag` account data, changed one tag at a time.

use olmstead_domain::json::{self, Fields, RawJson};
use olmstead_storage::devices::Session;
use ruma::{RoomId, UserId};
use serde_json::Value;

use super::{check_room_id, for_oneself};
use crate::{Context, Result, ServiceError};

/// The type of the account data.
const TYPE: &str = "m.tag";
/// The most bytes a tag's name may have (module Room Tagging).
const MAX_TAG: usize = 255;

/// The content of `m.tag`: `{"tags": {...}}`, also when there are none.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for another user, `InvalidParam` for what is no room ID.
pub async fn list(cx: &Context, session: &Session, user_id: &UserId, room_id: &RoomId) -> Result<RawJson> {
    for_oneself(session, user_id)?;
    check_room_id(Some(room_id))?;
    let stored = cx.storage.account_data(user_id, Some(room_id), TYPE).await?;
    content(&tags_of(stored.as_ref()))
}

/// Adds or replaces a tag. What it carries, such as `order`, is kept as it is.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for another user, `InvalidParam` for what is no room ID or a name that is too long,
/// `BadJson` for a body that is not an object or has an `order` that is not a number.
pub async fn put(
    cx: &Context,
    session: &Session,
    user_id: &UserId,
    room_id: &RoomId,
    tag: &str,
    body: RawJson,
) -> Result<()> {
    for_oneself(session, user_id)?;
    check_room_id(Some(room_id))?;
    if tag.is_empty() || tag.len() > MAX_TAG {
        return Err(ServiceError::invalid_param(format!("A tag has 1 to {MAX_TAG} bytes.")));
    }
    json::canonical_len(body.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    let members = Fields::parse(body.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    let order: Option<Value> = members.get("order").and_then(|order| serde_json::from_str(order.get()).ok());
    if order.is_some_and(|order| !order.is_number()) {
        return Err(ServiceError::bad_json("order must be a number."));
    }
    super::update(cx, user_id, Some(room_id), TYPE, |old| with_tag(old, tag, Some(&body))).await
}

/// Takes a tag away, if it is there.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for another user, `InvalidParam` for what is no room ID.
pub async fn delete(cx: &Context, session: &Session, user_id: &UserId, room_id: &RoomId, tag: &str) -> Result<()> {
    for_oneself(session, user_id)?;
    check_room_id(Some(room_id))?;
    super::update(cx, user_id, Some(room_id), TYPE, |old| with_tag(old, tag, None)).await
}

/// The object of tags in a content; empty when there is none. Clients can set `m.tag` as ordinary account data too, so
/// anything may be there.
fn tags_of(content: Option<&RawJson>) -> String {
    let tags = content.and_then(|content| {
        let tags = RawJson::from(Fields::parse(content.as_raw()).ok()?.get("tags")?);
        Fields::parse(tags.as_raw()).is_ok().then(|| tags.get().to_owned())
    });
    tags.unwrap_or_else(|| "{}".to_owned())
}

fn content(tags: &str) -> Result<RawJson> {
    RawJson::from_text(format!("{{\"tags\":{tags}}}")).map_err(damaged)
}

/// The content with one tag set, or with `None` taken away; nothing when that changes nothing.
fn with_tag(old: Option<&RawJson>, tag: &str, value: Option<&RawJson>) -> Result<Option<RawJson>> {
    let tags = RawJson::from_text(tags_of(old)).map_err(damaged)?;
    let mut fields = Fields::parse(tags.as_raw()).map_err(damaged)?;
    match value {
        Some(value) => fields.set(tag, value.as_raw()).map_err(damaged)?,
        None if fields.remove(tag) => {}
        None => return Ok(None),
    }
    content(fields.to_raw().map_err(damaged)?.get()).map(Some)
}

fn damaged(error: json::JsonError) -> ServiceError {
    ServiceError::Internal(format!("tags could not be written: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::from_text(text.to_owned()).unwrap()
    }

    #[test]
    fn tags_come_and_go_without_touching_others() {
        let one = with_tag(None, "m.favourite", Some(&raw(r#"{"order":0.10}"#))).unwrap().unwrap();
        assert_eq!(one.get(), r#"{"tags":{"m.favourite":{"order":0.10}}}"#);
        let two = with_tag(Some(&one), "u.Work", Some(&raw("{}"))).unwrap().unwrap();
        assert_eq!(two.get(), r#"{"tags":{"m.favourite":{"order":0.10},"u.Work":{}}}"#);
        let three = with_tag(Some(&two), "m.favourite", None).unwrap().unwrap();
        assert_eq!(three.get(), r#"{"tags":{"u.Work":{}}}"#);
        assert_eq!(with_tag(Some(&three), "m.favourite", None).unwrap(), None);
    }

    #[test]
    fn foreign_content_counts_as_no_tags() {
        for old in [r#"{}"#, r#"{"tags":1}"#, r#"{"tags":{"a":1,"a":2}}"#] {
            assert_eq!(tags_of(Some(&raw(old))), "{}", "{old}");
        }
    }
}
