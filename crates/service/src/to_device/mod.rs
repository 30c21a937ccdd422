//! `PUT /sendToDevice/{eventType}/{txnId}` (TD).

mod budget;

use olmstead_domain::{
    json::RawJson,
    to_device::{DeviceTarget, parse_messages},
};
use olmstead_storage::{
    devices::DeviceRef,
    to_device::{OutgoingMessage, Recipient, TransactionKey},
};
use olmstead_telemetry::trace;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::budget::MessageBudget;
use crate::{Context, Result, ServiceError};

/// The body.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Content by user and device, or `*` for all devices.
    messages: RawJson,
}

/// The event as the receiving client reads it (TD-3), and after that, in the store only, the trace it was sent in.
#[derive(Serialize)]
struct Event<'a> {
    content: &'a RawJson,
    sender: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

/// What is between an event and the trace it was sent in. No client can write this: what it sends is within `content`, or
/// in quotes.
const MARK: &str = r#"","traceparent":""#;

/// The event alone, and the trace it was sent in.
fn split(stored: &str) -> Option<(String, &str)> {
    let end = stored.strip_suffix("\"}")?;
    let (rest, traceparent) = end.split_at_checked(end.len().checked_sub(trace::LENGTH)?)?;
    Some((format!("{}\"}}", rest.strip_suffix(MARK)?), traceparent))
}

/// A message from an inbox as the client reads it. Where it was sent in a trace that is recorded, that trace ends here, in
/// a span that is linked with the request that delivers the message.
///
/// # Errors
/// [`ServiceError::Internal`] if what is stored is no JSON.
pub(crate) fn deliver(stored: &RawJson) -> Result<Box<RawValue>> {
    let Some((event, traceparent)) = split(stored.get()) else { return Ok(stored.as_raw().to_owned()) };
    if let Some(parent) = trace::parse(traceparent) {
        let request = trace::current().as_deref().and_then(trace::parse);
        let span = tracing::debug_span!("to_device", otel.name = "deliver to-device message", otel.kind = "consumer");
        trace::continue_from(&span, parent);
        if let Some(request) = request {
            trace::link(&span, request);
        }
    }
    RawValue::from_string(event).map_err(|error| ServiceError::Internal(error.to_string()))
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
    let traceparent = trace::current();
    // Users of other servers cannot be reached yet; what is for them is passed over as for unknown users.
    for of_user in by_user.into_iter().filter(|of_user| cx.is_local(&of_user.user_id)) {
        for (target, content) in of_user.messages {
            let (sender, traceparent) = (sender.user_id.as_str(), traceparent.as_deref());
            let event = Event { content: &content, sender, kind: event_type, traceparent };
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn stored(kind: &str, traceparent: Option<&str>) -> RawJson {
        let content = RawJson::from_text(format!(r#"{{"a":"x","traceparent":"{TRACE}"}}"#)).unwrap();
        RawJson::from_value(&Event { content: &content, sender: "@a:b", kind, traceparent }).unwrap()
    }

    #[test]
    fn a_client_reads_what_was_sent_with_and_without_a_trace() {
        let plain = stored("m.x", None);
        assert_eq!(deliver(&plain).unwrap().get(), plain.get());
        assert_eq!(deliver(&stored("m.x", Some(TRACE))).unwrap().get(), plain.get());
    }

    #[test]
    fn nothing_that_is_sent_looks_like_a_trace() {
        for kind in [format!("m\",\"traceparent\":\"{TRACE}"), TRACE.to_owned(), "traceparent".to_owned()] {
            let plain = stored(&kind, None);
            assert_eq!(deliver(&plain).unwrap().get(), plain.get());
        }
        let ends_alike = RawJson::from_text(format!(r#"{{"content":{{"traceparent":"{TRACE}"}}}}"#)).unwrap();
        assert_eq!(deliver(&ends_alike).unwrap().get(), ends_alike.get());
    }
}
