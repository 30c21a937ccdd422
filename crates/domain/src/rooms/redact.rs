//! Redaction of stored events (room versions, "Redactions"; ENC-3).

use ruma::canonical_json::redact_in_place;

use super::{Pdu, PowerLevels, RoomError};

/// The form of an event after a redaction: what the room version protects stays, the event id
/// with it. No event type is treated specially, so `m.room.encryption` loses its whole content.
///
/// Serve it with `redacted_because` in [`super::client_event::Unsigned`].
pub fn redact(pdu: &Pdu) -> Result<Pdu, RoomError> {
    let mut object = pdu.canonical()?;
    redact_in_place(&mut object, &pdu.version().rules().redaction, None).map_err(RoomError::bad_json)?;
    pdu.with_redacted_form(&object)
}

/// Whether a redaction event is to be applied to its target (room versions, "Handling
/// redactions"): both are in the same room, it names the target, and its sender has the redact
/// level or is on the author's server.
pub fn applies(redaction: &Pdu, target: &Pdu, levels: &PowerLevels) -> bool {
    redaction.kind() == "m.room.redaction"
        && redaction.room_id() == target.room_id()
        && redaction.redacts() == Some(target.event_id())
        && levels.redaction_applies(redaction.sender(), target.sender())
}
