//! What encryption needs (MSC3884): whose keys changed, and how many keys the device has left.

use olmstead_domain::{device_lists::DeviceLists, position::Position};

use super::super::{look::Look, response::E2ee, told::Told};
use crate::{Result, device_lists, sync::Moves};

/// Where news begin, if they begin before the `pos` itself, because the client did not ask in between.
pub(in super::super) fn since(told: &Told, since: Option<Position>) -> Option<Position> {
    match (told.extensions.e2ee.from(since), since) {
        (Some(from), Some(since)) => Some(from.min(since)),
        (_, since) => since,
    }
}

/// All fields in the first answer, then those that changed.
pub(super) async fn section(look: &Look<'_>) -> Result<E2ee> {
    let facts = look.facts;
    let counts = &facts.key_counts;
    let Some(from) = look.connection.told.extensions.e2ee.from(look.since) else {
        return Ok(E2ee {
            device_lists: Some(DeviceLists::default()),
            one_time_keys: Some(counts.one_time_keys.clone()),
            fallback_keys: Some(counts.unused_fallback_keys.clone()),
        });
    };
    let span = (from, look.horizon);
    let moves = Moves::load(look.cx, &facts.memberships, span.0, span.1).await?;
    let (changed, own) = (facts.device_lists.clone(), facts.own_device_lists.clone());
    let lists = device_lists::between(look.cx, look.user(), &facts.memberships, &moves, changed, own, span).await?;
    // As for `/sync`: what is above the horizon is told when the horizon moves.
    let is_recounted = facts.key_counts_changed >= from && look.horizon > from;
    Ok(E2ee {
        device_lists: (!lists.is_empty()).then_some(lists),
        one_time_keys: is_recounted.then(|| counts.one_time_keys.clone()),
        fallback_keys: is_recounted.then(|| counts.unused_fallback_keys.clone()),
    })
}
