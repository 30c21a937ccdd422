//! To-device messages: the form and the bounds of a request (client-server API, Send-to-Device messaging).

use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    error::ErrorKind,
    identifiers::{IdError, MAX_ID_BYTES, check_event_type, check_transaction_id, parse_user_id},
    json::{Fields, JsonError, RawJson, canonical_len},
};

/// The most bytes of canonical JSON of the federation EDU that carries one message to one device (TD-17).
pub const MAX_EDU_BYTES: usize = 65_536;

/// The most messages in one request, each to one device or to all devices of one user.
pub const MAX_MESSAGES: usize = 10_000;

/// The fixed text of an EDU around one message, with quotes, for the values that are filled in.
const ENVELOPE: &str =
    r#"{"content":{"message_id":"","messages":{"":{"":}},"sender":"","type":""},"edu_type":"m.direct_to_device"}"#;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ToDeviceError {
    /// JSON of the wrong shape (TD-1).
    #[error("{0}")]
    BadJson(String),
    /// The event type or transaction ID is refused.
    #[error(transparent)]
    BadId(#[from] IdError),
    /// A message is over [`MAX_EDU_BYTES`] (TD-17), or there are more than [`MAX_MESSAGES`].
    #[error("{0}")]
    TooLarge(String),
}

impl ToDeviceError {
    /// The kind of refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadJson(_) => ErrorKind::BadJson,
            Self::BadId(error) => error.kind(),
            Self::TooLarge(_) => ErrorKind::TooLarge,
        }
    }
}

impl From<JsonError> for ToDeviceError {
    fn from(error: JsonError) -> Self {
        Self::BadJson(error.to_string())
    }
}

/// The device a message is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceTarget {
    /// All devices of the user, `*`.
    All,
    /// One device, which may not exist (TD-12).
    One(OwnedDeviceId),
}

/// The messages of a request to one user, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserMessages {
    /// The user they are for.
    pub user_id: OwnedUserId,
    /// Content by device.
    pub messages: Vec<(DeviceTarget, RawJson)>,
}

/// Reads and checks a request: the event type and transaction ID of its path, and the `messages` of its body (TD-1).
/// Content is an object that is passed on as it is (TD-3, TD-14); a repeated user or device is refused.
///
/// # Errors
/// [`ToDeviceError`]; nothing of a refused request may be sent.
pub fn parse_messages(
    sender: &UserId,
    event_type: &str,
    transaction_id: &str,
    messages: &RawValue,
) -> Result<Vec<UserMessages>, ToDeviceError> {
    check_event_type(event_type)?;
    check_transaction_id(transaction_id)?;
    let mut count = 0_usize;
    let mut parsed = Vec::new();
    for (user_id, by_device) in Fields::parse(messages)?.iter() {
        let user_id = parse_user_id(user_id).map_err(|error| ToDeviceError::BadJson(format!("messages: {error}")))?;
        let by_device = Fields::parse(by_device)?;
        count = count.saturating_add(by_device.len());
        if count > MAX_MESSAGES {
            return Err(ToDeviceError::TooLarge(format!("more than {MAX_MESSAGES} messages")));
        }
        let mut of_user = Vec::with_capacity(by_device.len());
        for (device, content) in by_device.iter() {
            if !content.get().starts_with('{') {
                return Err(ToDeviceError::BadJson("the content of a message must be an object".to_owned()));
            }
            // The message ID of the EDU is made by the server and counts with the most it may have.
            let ids = sender.as_str().len() + event_type.len() + user_id.as_str().len() + device.len() + MAX_ID_BYTES;
            if ENVELOPE.len() + ids + canonical_len(content)? > MAX_EDU_BYTES {
                return Err(ToDeviceError::TooLarge(format!("a message is over {MAX_EDU_BYTES} bytes")));
            }
            let target = if device == "*" { DeviceTarget::All } else { DeviceTarget::One(device.into()) };
            of_user.push((target, content.into()));
        }
        parsed.push(UserMessages { user_id, messages: of_user });
    }
    Ok(parsed)
}
