//! Stored events as this client sees them.

use std::borrow::Cow;

use olmstead_domain::{
    filter::EventFormat,
    rooms::{
        Pdu,
        client_event::{Form, Unsigned, client_event},
        redact::redact,
    },
};
use olmstead_storage::rooms::StoredEvent;
use ruma::events::room::member::MembershipState;
use serde_json::value::RawValue;

use super::{response::Json, view::View};

/// What is told beside an event, where it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside<'a> {
    /// The reader's membership at the event (SYNC-13).
    pub(crate) membership: Option<&'a MembershipState>,
    /// The content of the state it replaced.
    pub(crate) prev_content: Option<&'a RawValue>,
    /// Bundled relations.
    pub(crate) relations: Option<&'a RawValue>,
}

/// The event as it is now: what a redaction took is gone. `None` for an event that cannot be redacted as it must be,
/// since showing it whole is no choice.
pub(crate) fn current(stored: &StoredEvent) -> Option<Cow<'_, Pdu>> {
    if stored.redacted_by.is_none() {
        return Some(Cow::Borrowed(&stored.pdu));
    }
    match redact(&stored.pdu) {
        Ok(pdu) => Some(Cow::Owned(pdu)),
        Err(error) => {
            tracing::error!(event_id = %stored.pdu.event_id(), %error, "an event cannot be redacted, it is left out");
            None
        }
    }
}

/// The event in the form the filter asks for.
pub(crate) fn event(view: &View<'_>, stored: &StoredEvent, beside: Beside<'_>) -> Option<Json> {
    let pdu = current(stored)?;
    if view.filter.event_format == EventFormat::Federation {
        return Some(pdu.json().to_owned());
    }
    let because = stored.redacted_by.as_ref().map(|redaction| plain(view, redaction));
    let unsigned = Unsigned {
        now: Some(view.now),
        transaction_id: transaction_id(view, stored),
        membership: beside.membership,
        prev_content: beside.prev_content,
        replaces_state: stored.replaces.as_deref(),
        relations: beside.relations,
        redacted_because: because.as_deref(),
    };
    Some(view.filter.cut_fields(client_event(&pdu, Form::Sync, &unsigned)))
}

/// An event inside another one.
pub(super) fn plain(view: &View<'_>, pdu: &Pdu) -> Json {
    client_event(pdu, Form::Sync, &Unsigned { now: Some(view.now), ..Unsigned::default() })
}

/// The client's own id of an event it sent: only for the very device, in its present life.
fn transaction_id<'a>(view: &View<'_>, stored: &'a StoredEvent) -> Option<&'a str> {
    let (device_id, generation, transaction_id) = stored.transaction.as_ref()?;
    let is_sender = stored.pdu.sender() == view.user()
        && *device_id == view.device.device_id
        && *generation == view.device.generation;
    is_sender.then_some(transaction_id.as_str())
}
