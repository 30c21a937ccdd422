//! `PUT /sendToDevice/{eventType}/{txnId}` (TD).

mod budget;
mod stored;

use olmstead_domain::{
    json::RawJson,
    to_device::{DeviceTarget, parse_messages},
};
use olmstead_storage::{
    devices::DeviceRef,
    to_device::{OutgoingMessage, Recipient, TransactionKey},
};
use olmstead_telemetry::trace;
use serde::Deserialize;

pub use self::budget::MessageBudget;
use self::stored::Event;
pub(crate) use self::stored::{deliver, sent_at};
use crate::{Context, Result, ServiceError};

/// The body.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Content by user and device, or `*` for all devices.
    messages: RawJson,
}

/// Puts messages in inboxes, once for one transaction id (TD-10). Unknown users and devices are passed over (TD-12).
///
/// # Errors
/// The refusals of the domain's checks, and [`ServiceError::LimitExceeded`] when the sender's [`MessageBudget`] is spent;
/// nothing was sent then.
pub async fn send(
    cx: &Context,
    sender: &DeviceRef,
    event_type: &str,
    transaction_id: &str,
    request: &Request,
) -> Result<()> {
    let by_user = parse_messages(&sender.user_id, event_type, transaction_id, request.messages.as_raw())
        .map_err(|error| ServiceError::domain(error.kind(), error))?;
    let mut messages = Vec::new();
    let (sent, traceparent) = (cx.now(), trace::current());
    // Users of other servers cannot be reached yet; what is for them is passed over as for unknown users.
    for of_user in by_user.into_iter().filter(|of_user| cx.is_local(&of_user.user_id)) {
        for (target, content) in of_user.messages {
            let (sender, traceparent) = (sender.user_id.as_str(), traceparent.as_deref());
            let event = Event { content: &content, sender, kind: event_type, sent, traceparent };
            let event = RawJson::from_value(&event).map_err(|error| ServiceError::Internal(error.to_string()))?;
            let recipient = match target {
                DeviceTarget::All => Recipient::AllDevices(of_user.user_id.clone()),
                DeviceTarget::One(device_id) => Recipient::Device(of_user.user_id.clone(), device_id),
            };
            messages.push(OutgoingMessage { recipient, event });
        }
    }
    cx.message_budget.spend(&sender.user_id, &messages)?;
    let transaction = TransactionKey {
        device: sender.clone(),
        scope: format!("sendToDevice/{event_type}"),
        transaction_id: transaction_id.to_owned(),
    };
    cx.storage.send_to_device(Some(transaction), messages).await?;
    Ok(())
}
