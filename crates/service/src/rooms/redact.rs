//! Redacting events.

use olmstead_domain::{identifiers::check_transaction_id, json::RawJson, rooms::EventTemplate};
use olmstead_storage::{devices::Session, to_device::TransactionKey};
use ruma::{EventId, OwnedEventId, RoomId};
use serde::Deserialize;

use super::{
    append::{Draft, Plan, append_once, or_seen_before, power_keys},
    bad_id,
};
use crate::{Context, Refusal, Result, ServiceError};

/// Redacts an event, once for each transaction (GEN-19). Suspended users may redact what they sent themselves (GEN-16).
///
/// # Errors
/// [`Refusal::NotFound`] if there is no such event in the room, [`Refusal::Forbidden`] without the power to redact it,
/// [`Refusal::UserSuspended`].
pub async fn redact(
    cx: &Context,
    session: &Session,
    room_id: &RoomId,
    target: &EventId,
    transaction_id: &str,
    reason: Option<&str>,
) -> Result<OwnedEventId> {
    check_transaction_id(transaction_id).map_err(bad_id)?;
    let transaction = TransactionKey {
        device: session.device.clone(),
        scope: format!("redact/{room_id}/{target}"),
        transaction_id: transaction_id.to_owned(),
    };
    let template = EventTemplate::redaction(&session.device.user_id, target, reason, cx.now());
    append_redaction(cx, session, room_id, target, template, transaction).await
}

/// A redaction sent as an ordinary event, with `redacts` in its content.
pub(crate) async fn send_redaction(
    cx: &Context,
    session: &Session,
    room_id: &RoomId,
    content: &RawJson,
    transaction: TransactionKey,
) -> Result<OwnedEventId> {
    #[derive(Deserialize)]
    struct Content {
        redacts: Option<OwnedEventId>,
    }
    let target = content
        .read::<Content>()
        .ok()
        .and_then(|content| content.redacts)
        .ok_or_else(|| ServiceError::bad_json("A redaction names the event it redacts in redacts."))?;
    let template = EventTemplate {
        redacts: Some(target.clone()),
        ..EventTemplate::message(&session.device.user_id, "m.room.redaction", content.as_raw().to_owned(), cx.now())
    };
    append_redaction(cx, session, room_id, &target, template, transaction).await
}

async fn append_redaction(
    cx: &Context,
    session: &Session,
    room_id: &RoomId,
    target: &EventId,
    template: EventTemplate,
    transaction: TransactionKey,
) -> Result<OwnedEventId> {
    let user_id = &session.device.user_id;
    let found = cx.storage.events(&[target.to_owned()]).await?.into_iter().next().flatten();
    let Some(event) = found.filter(|event| event.pdu.room_id() == room_id) else {
        let refusal = Err(ServiceError::not_found("There is no such event in this room."));
        let seen = or_seen_before(cx, Some(&transaction), refusal).await?;
        return seen.ok_or_else(|| ServiceError::Internal("a refusal went missing".to_owned()));
    };
    let author = event.pdu.sender();
    if session.suspended && author != user_id {
        return Err(ServiceError::refused(Refusal::UserSuspended, "This account is suspended."));
    }
    append_once(cx, room_id, &power_keys(), Some(&transaction), |room| {
        if !room.power_levels()?.can_redact(user_id, author) {
            return Err(ServiceError::forbidden("You do not have the power to redact what others sent."));
        }
        Ok(Plan::Send(vec![Draft { template: template.clone(), transaction: Some(transaction.clone()) }]))
    })
    .await
}
