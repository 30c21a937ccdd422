//! To-device messages as they are stored: the event as the client reads it, and after that what only the server knows.

use olmstead_domain::json::RawJson;
use olmstead_telemetry::trace;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Result, ServiceError};

/// The event as the receiving client reads it (TD-3), and what the server notes after it.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    pub(super) content: &'a RawJson,
    pub(super) sender: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    /// When it was stored, milliseconds since the Unix epoch.
    pub(super) sent: u64,
    /// The trace it was sent in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<&'a str>,
}

/// What is between an event and its time. No client can write this: what it sends is within `content`, or in quotes.
const SENT: &str = r#"","sent":"#;
/// What is between the time and the trace.
const TRACE: &str = r#","traceparent":""#;

/// The parts of what is stored.
struct Parts<'a> {
    /// All of the event but its last brace.
    event: &'a str,
    sent: u64,
    traceparent: Option<&'a str>,
}

fn parts(stored: &str) -> Option<Parts<'_>> {
    let all = stored.strip_suffix('}')?;
    let (timed, traceparent) = match without_trace(all) {
        Some((timed, traceparent)) => (timed, Some(traceparent)),
        None => (all, None),
    };
    let event = timed.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let sent = timed.get(event.len()..)?.parse().ok()?;
    // Its first quote is the event's.
    let end = event.strip_suffix(SENT)?.len() + 1;
    Some(Parts { event: event.get(..end)?, sent, traceparent })
}

fn without_trace(all: &str) -> Option<(&str, &str)> {
    let all = all.strip_suffix('"')?;
    let (rest, traceparent) = all.split_at_checked(all.len().checked_sub(trace::LENGTH)?)?;
    Some((rest.strip_suffix(TRACE)?, traceparent))
}

/// When a message was stored, milliseconds; `None` for one from before this was noted.
pub(crate) fn sent_at(stored: &RawJson) -> Option<u64> {
    parts(stored.get()).map(|parts| parts.sent)
}

/// A message from an inbox as the client reads it. Where it was sent in a trace that is recorded, that trace ends here, in
/// a span that is linked with the request that delivers the message.
///
/// # Errors
/// [`ServiceError::Internal`] if what is stored is no JSON.
pub(crate) fn deliver(stored: &RawJson) -> Result<Box<RawValue>> {
    let Some(parts) = parts(stored.get()) else { return Ok(stored.as_raw().to_owned()) };
    if let Some(parent) = parts.traceparent.and_then(trace::parse) {
        let request = trace::current().as_deref().and_then(trace::parse);
        let span = tracing::debug_span!("to_device", otel.name = "deliver to-device message", otel.kind = "consumer");
        trace::continue_from(&span, parent);
        if let Some(request) = request {
            trace::link(&span, request);
        }
    }
    RawValue::from_string(format!("{}}}", parts.event)).map_err(|error| ServiceError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn stored(kind: &str, traceparent: Option<&str>) -> (RawJson, String) {
        let text = format!(r#"{{"a":"x","sent":5,"traceparent":"{TRACEPARENT}"}}"#);
        let content = RawJson::from_text(text.clone()).unwrap();
        let event = Event { content: &content, sender: "@a:b", kind, sent: 1_764_000_000_123, traceparent };
        let kind = serde_json::to_string(kind).unwrap();
        (RawJson::from_value(&event).unwrap(), format!(r#"{{"content":{text},"sender":"@a:b","type":{kind}}}"#))
    }

    #[test]
    fn a_client_reads_what_was_sent_and_no_more() {
        let kinds =
            ["m.x", TRACEPARENT, "", "5", "\",\"sent\":5", "m\",\"sent\":5,\"traceparent\":\"00", "a\\", "\u{1F511}"];
        for kind in kinds {
            for traceparent in [None, Some(TRACEPARENT)] {
                let (stored, plain) = stored(kind, traceparent);
                assert_eq!(deliver(&stored).unwrap().get(), plain);
                assert_eq!(sent_at(&stored), Some(1_764_000_000_123));
                // From before anything was noted.
                let plain = RawJson::from_text(plain).unwrap();
                assert_eq!((deliver(&plain).unwrap().get(), sent_at(&plain)), (plain.get(), None));
            }
        }
        let ends_alike = RawJson::from_text(r#"{"content":{"a":"b","sent":5}}"#.to_owned()).unwrap();
        assert_eq!((deliver(&ends_alike).unwrap().get(), sent_at(&ends_alike)), (ends_alike.get(), None));
    }
}
