//! Sending message events (`PUT /rooms/{roomId}/send/{eventType}/{txnId}`).

use olmstead_domain::{
    identifiers::{check_event_type, check_transaction_id},
    json::RawJson,
    position::Cursor,
    rooms::{
        EventTemplate,
        relations::{ANNOTATION, Relation, THREAD},
    },
};
use olmstead_storage::{
    devices::Session,
    rooms::{Direction, RelationQuery},
    to_device::TransactionKey,
};
use ruma::{OwnedEventId, RoomId, UserId};

use super::{
    append::{Draft, Plan, append_once, or_seen_before},
    bad_id, redact,
};
use crate::{Context, Refusal, Result, ServiceError};

/// Annotations of one event and kind that are looked through for a duplicate.
const MAX_ANNOTATIONS: usize = 10_000;

/// Sends a message event, once for each transaction (GEN-19).
///
/// # Errors
/// [`Refusal::InvalidParam`] for a malformed type or transaction, [`Refusal::BadJson`] for content that is not a
/// canonical object, [`Refusal::TooLarge`], [`Refusal::DuplicateAnnotation`], [`Refusal::Forbidden`], [`Refusal::UserSuspended`] for all but
/// redactions of own events.
pub async fn send(
    cx: &Context,
    session: &Session,
    room_id: &RoomId,
    kind: &str,
    transaction_id: &str,
    content: &RawJson,
) -> Result<OwnedEventId> {
    check_event_type(kind).map_err(bad_id)?;
    check_transaction_id(transaction_id).map_err(bad_id)?;
    let transaction = TransactionKey {
        device: session.device.clone(),
        scope: format!("send/{room_id}/{kind}"),
        transaction_id: transaction_id.to_owned(),
    };
    if kind == "m.room.redaction" {
        // Which asks whose event it is.
        return redact::send_redaction(cx, session, room_id, content, transaction).await;
    }
    if session.suspended {
        return Err(ServiceError::refused(Refusal::UserSuspended, "This account is suspended."));
    }
    let sender = &session.device.user_id;
    let template = EventTemplate::message(sender, kind, content.as_raw().to_owned(), cx.now());
    if let Err(refusal) = check_relation(cx, room_id, sender, kind, content).await {
        let seen = or_seen_before(cx, Some(&transaction), Err(refusal)).await?;
        return seen.ok_or_else(|| ServiceError::Internal("a refusal went missing".to_owned()));
    }
    append_once(cx, room_id, &[], Some(&transaction), |_| {
        Ok(Plan::Send(vec![Draft { template: template.clone(), transaction: Some(transaction.clone()) }]))
    })
    .await
}

/// Refuses threads that start where none can, and a second annotation that says the same (client-server API, "Avoiding
/// duplicate annotations"). Only the clear `m.relates_to` is read (ENC-11, ENC-16).
async fn check_relation(cx: &Context, room_id: &RoomId, sender: &UserId, kind: &str, content: &RawJson) -> Result<()> {
    let Some(relation) = Relation::in_content(content.as_raw()) else { return Ok(()) };
    match relation.rel_type.as_str() {
        THREAD => {
            let parent =
                cx.storage.events(std::slice::from_ref(&relation.event_id)).await?.into_iter().next().flatten();
            if let Some(parent) = parent.filter(|parent| parent.pdu.room_id() == room_id) {
                relation.check_sendable(&parent.pdu)?;
            }
        }
        ANNOTATION => {
            let query = RelationQuery { rel_type: Some(ANNOTATION.to_owned()), event_type: Some(kind.to_owned()) };
            let annotations = cx
                .storage
                .relations(
                    room_id,
                    &relation.event_id,
                    &query,
                    Cursor::START,
                    Cursor::END,
                    MAX_ANNOTATIONS,
                    Direction::Backward,
                )
                .await?;
            let is_there = annotations.events.iter().any(|event| {
                event.pdu.sender() == sender
                    && event.redacted_by.is_none()
                    && Relation::of(&event.pdu).is_some_and(|other| relation.is_same_annotation(&other))
            });
            if is_there {
                return Err(ServiceError::refused(
                    Refusal::DuplicateAnnotation,
                    "You have annotated the event in this way already.",
                ));
            }
        }
        _ => {}
    }
    Ok(())
}
