//! Dehydrated devices (MSC3814, UNS-1…3).

use olmstead_domain::{
    identifiers::check_device_id,
    json::{RawJson, check_readable},
    position::{Cursor, Position},
};
use olmstead_storage::{
    devices::{DeviceRef, Session},
    keys::UploadOutcome,
};
use ruma::{DeviceId, OwnedDeviceId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Context, Refusal, Result, ServiceError, keys::upload, to_device};

/// To-device messages in one page at most.
const PAGE: usize = 100;

/// The body of `PUT /dehydrated_device`.
#[derive(Debug, Deserialize)]
pub struct Request {
    device_id: OwnedDeviceId,
    device_data: RawJson,
    initial_device_display_name: Option<String>,
    // One by one: raw JSON does not survive in a flattened type.
    device_keys: RawJson,
    one_time_keys: Option<RawJson>,
    fallback_keys: Option<RawJson>,
    #[serde(rename = "org.matrix.msc2732.fallback_keys")]
    unstable_fallback_keys: Option<RawJson>,
}

/// An answer that names the device.
#[derive(Debug, Serialize)]
pub struct Named {
    /// The device.
    pub device_id: OwnedDeviceId,
}

/// The answer of `GET /dehydrated_device`.
#[derive(Debug, Serialize)]
pub struct Stored {
    device_id: OwnedDeviceId,
    device_data: RawJson,
}

/// A page of the device's messages.
#[derive(Debug, Serialize)]
pub struct Events {
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

/// How a client learns that a page was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastPage {
    /// It has no `next_batch`.
    WithoutToken,
    /// The one after it is empty, as older clients have it: to them a page always names a next one.
    BeforeAnEmptyOne,
}

/// Stores the user's dehydrated device with its keys, in place of the one before.
///
/// # Errors
/// The refusals of the keys' checks; [`Refusal::Forbidden`] when the id is that of another device or key of the user;
/// [`ServiceError::UnknownToken`] when the account ended meanwhile.
pub async fn put(cx: &Context, session: &Session, request: Request) -> Result<Named> {
    check_device_id(request.device_id.as_str()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    if !request.device_data.is_object() {
        return Err(ServiceError::bad_json("device_data must be an object."));
    }
    check_readable(request.device_data.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    let user_id = &session.device.user_id;
    let device = DeviceRef { user_id: user_id.clone(), device_id: request.device_id.clone(), generation: 0 };
    let keys = upload::Request {
        device_keys: Some(request.device_keys),
        one_time_keys: request.one_time_keys,
        fallback_keys: request.fallback_keys,
        unstable_fallback_keys: request.unstable_fallback_keys,
    };
    let keys = upload::check(cx, &device, keys).await?;
    let name = request.initial_device_display_name;
    let stored = cx
        .storage
        .put_dehydrated_device(user_id, request.device_id.clone(), request.device_data, name, keys, cx.now())
        .await?;
    match stored {
        Some(UploadOutcome::Stored { .. }) => Ok(Named { device_id: request.device_id }),
        Some(UploadOutcome::OneTimeKeyExists { key_name, .. }) => Err(ServiceError::refused(
            Refusal::DuplicateOneTimeKey,
            format!("One time key {key_name} already exists in the same upload."),
        )),
        Some(UploadOutcome::DeviceGone) => Err(ServiceError::UnknownToken { soft_logout: false }),
        None => Err(ServiceError::forbidden("Another device or a cross-signing key of yours has this id.")),
    }
}

/// The user's dehydrated device.
///
/// # Errors
/// [`Refusal::NotFound`] when there is none.
pub async fn get(cx: &Context, session: &Session) -> Result<Stored> {
    let found = cx.storage.dehydrated_device(&session.device.user_id).await?.ok_or_else(none)?;
    Ok(Stored { device_id: found.device.device_id, device_data: found.device_data })
}

/// Deletes the user's dehydrated device.
///
/// # Errors
/// [`Refusal::NotFound`] when there is none.
pub async fn delete(cx: &Context, session: &Session) -> Result<Named> {
    let deleted = cx.storage.delete_dehydrated_device(&session.device.user_id).await?;
    deleted.map(|device_id| Named { device_id }).ok_or_else(none)
}

/// A page of the messages that wait for the dehydrated device; reading deletes nothing.
///
/// # Errors
/// [`Refusal::Forbidden`] for what is not the dehydrated device, also when there is none; [`Refusal::InvalidParam`] for
/// a token that is not ours.
pub async fn events(
    cx: &Context,
    session: &Session,
    device_id: &DeviceId,
    from: Option<&str>,
    limit: Option<usize>,
    last: LastPage,
) -> Result<Events> {
    let found = cx.storage.dehydrated_device(&session.device.user_id).await?;
    let Some(found) = found.filter(|found| found.device.device_id == device_id) else {
        return Err(ServiceError::forbidden("This is not your dehydrated device."));
    };
    let from = match from {
        None | Some("") => Cursor::START,
        Some(text) => parse_batch(text).ok_or_else(|| ServiceError::invalid_param("This token is not known."))?,
    };
    let horizon = cx.storage.horizon().await?;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE);
    let page = cx.storage.inbox(&found.device, from, horizon.position, limit).await?;
    let next = page.messages.last().map_or(from, |(cursor, _)| cursor.next());
    let goes_on = page.more || last == LastPage::BeforeAnEmptyOne;
    Ok(Events {
        events: page.messages.iter().map(|(_, event)| to_device::deliver(event)).collect::<Result<_>>()?,
        next_batch: goes_on.then(|| format!("d{}.{}", next.position.0, next.ordinal)),
    })
}

fn none() -> ServiceError {
    ServiceError::not_found("There is no dehydrated device.")
}

fn parse_batch(text: &str) -> Option<Cursor> {
    let (position, ordinal) = text.strip_prefix('d')?.split_once('.')?;
    Some(Cursor::new(Position(position.parse().ok()?), ordinal.parse().ok()?))
}
