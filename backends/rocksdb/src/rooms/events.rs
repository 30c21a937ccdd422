//! Events by id.

use std::{collections::HashSet, sync::Arc};

use olmstead_domain::{position::Cursor, rooms::pdu::Pdu};
use olmstead_storage::{
    Result, StorageError,
    rooms::{NewEvent, StoredEvent},
};
use ruma::{EventId, OwnedDeviceId, OwnedEventId};
use serde::{Deserialize, Serialize};

use super::{
    cache::EventCache,
    rows::{event_id, event_key, redaction_key},
};
use crate::{
    keys::{Key, Table},
    reads::{Reads, json},
};

/// An event as stored. Never changed: what comes to be known later, such as a redaction, has rows of its own.
#[derive(Debug, Deserialize)]
pub(super) struct EventRow {
    pub(super) cursor: Cursor,
    #[serde(default)]
    pub(super) transaction: Option<(OwnedDeviceId, u64, String)>,
    #[serde(default)]
    pub(super) replaces: Option<OwnedEventId>,
    pub(super) pdu: Pdu,
}

#[derive(Serialize)]
struct EventRowRef<'a> {
    cursor: Cursor,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<(&'a OwnedDeviceId, u64, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a EventId>,
    pdu: &'a Pdu,
}

/// The stored form of an event.
pub(super) fn row_bytes(event: &NewEvent, cursor: Cursor, replaces: Option<&EventId>) -> Result<Vec<u8>> {
    let transaction = event.transaction.as_ref();
    let row = EventRowRef {
        cursor,
        transaction: transaction.map(|key| (&key.device.device_id, key.device.generation, key.transaction_id.as_str())),
        replaces,
        pdu: &event.pdu,
    };
    serde_json::to_vec(&row).map_err(|error| StorageError::corrupt("an event cannot be written", error))
}

/// Rows of events, in the order asked.
pub(super) fn rows(
    reads: &impl Reads,
    cache: &EventCache,
    event_ids: &[OwnedEventId],
) -> Result<Vec<Option<Arc<EventRow>>>> {
    let mut found: Vec<Option<Arc<EventRow>>> = event_ids.iter().map(|id| cache.get(id)).collect();
    let missing: Vec<Key> =
        event_ids.iter().zip(&found).filter(|(_, row)| row.is_none()).map(|(id, _)| event_key(id)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let values = reads.get_many(&missing)?;
    for (place, value) in found.iter_mut().filter(|row| row.is_none()).zip(values) {
        let Some(value) = value else { continue };
        let row = Arc::new(json::<EventRow>(Table::Event, &value)?);
        cache.put(&row);
        *place = Some(row);
    }
    Ok(found)
}

/// One event's row.
pub(super) fn row(reads: &impl Reads, cache: &EventCache, event_id: &EventId) -> Result<Option<Arc<EventRow>>> {
    Ok(rows(reads, cache, &[event_id.to_owned()])?.pop().flatten())
}

/// Events with all that is known of them, in the order asked.
pub(super) fn load(
    reads: &impl Reads,
    cache: &EventCache,
    event_ids: &[OwnedEventId],
) -> Result<Vec<Option<StoredEvent>>> {
    let found = rows(reads, cache, event_ids)?;
    let keys: Vec<Key> = event_ids.iter().map(|id| redaction_key(id)).collect();
    let mut redactions = Vec::new();
    for value in reads.get_many(&keys)? {
        let Some(value) = value else {
            redactions.push(None);
            continue;
        };
        let redaction = row(reads, cache, &event_id(Table::Redaction, value)?)?;
        redactions.push(redaction.map(|row| row.pdu.clone()));
    }
    let events = found.into_iter().zip(redactions).map(|(row, redacted_by)| {
        row.map(|row| StoredEvent {
            pdu: row.pdu.clone(),
            cursor: row.cursor,
            redacted_by,
            transaction: row.transaction.clone(),
            replaces: row.replaces.clone(),
        })
    });
    Ok(events.collect())
}

/// Events that an index names, so they must be there.
pub(super) fn load_all(reads: &impl Reads, cache: &EventCache, event_ids: &[OwnedEventId]) -> Result<Vec<StoredEvent>> {
    let events = load(reads, cache, event_ids)?;
    events
        .into_iter()
        .zip(event_ids)
        .map(|(event, id)| event.ok_or_else(|| StorageError::damaged(format!("the event {id} is missing"))))
        .collect()
}

/// All events reachable through `auth_events`, nearer ones first.
pub(super) fn auth_chain(reads: &impl Reads, cache: &EventCache, event_ids: &[OwnedEventId]) -> Result<Vec<Pdu>> {
    let mut seen = HashSet::new();
    let mut next: Vec<OwnedEventId> = event_ids.iter().filter(|id| seen.insert((*id).clone())).cloned().collect();
    let mut chain = Vec::new();
    while !next.is_empty() {
        let found = rows(reads, cache, &next)?;
        next.clear();
        for row in found.into_iter().flatten() {
            next.extend(row.pdu.auth_events().iter().filter(|id| seen.insert((*id).clone())).cloned());
            chain.push(row.pdu.clone());
        }
    }
    Ok(chain)
}
