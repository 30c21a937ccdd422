//! Receipts and typing of the rooms a request is about.

use olmstead_domain::position::Position;
use olmstead_storage::ephemeral::Receipt;
use ruma::OwnedRoomId;

use super::super::{asked, look::Look, response::ByRoom, rooms::Scope};
use crate::{
    Result,
    sync::{
        Part, all,
        ephemeral::{receipt_event, typing_event},
        response::Json,
    },
};

/// A room's event.
type Told = Option<(OwnedRoomId, Json)>;

/// Receipts. Of a room that is told from its beginning only those that matter at its end: the user's own, and those of
/// events in the timeline.
pub(super) async fn receipts(look: &Look<'_>, scopes: &[Scope<'_>], covered: &asked::Scope) -> Result<ByRoom> {
    let reached = look.connection.told.extensions.receipts.from(look.since);
    let parts = touched(scopes, covered, reached).map(|(scope, from)| -> Part<'_, Told> {
        Box::pin(async move {
            let mut receipts =
                look.cx.storage.receipts_between(&scope.room.room_id, from.unwrap_or_default(), look.horizon).await?;
            if scope.from.is_none() {
                let matters =
                    |receipt: &Receipt| receipt.user_id == look.user() || scope.events.contains(&receipt.event_id);
                receipts.retain(matters);
            }
            Ok(receipt_event(&receipts, look.user()).map(|event| (scope.room.room_id.clone(), event)))
        })
    });
    Ok(ByRoom { rooms: all(parts.collect()).await?.into_iter().flatten().collect() })
}

/// Who types.
pub(super) async fn typing(look: &Look<'_>, scopes: &[Scope<'_>], covered: &asked::Scope) -> Result<ByRoom> {
    let reached = look.connection.told.extensions.typing.from(look.since);
    let now = look.cx.now();
    let parts = touched(scopes, covered, reached).map(|(scope, from)| -> Part<'_, Told> {
        Box::pin(async move {
            let (users, changed) = look.cx.storage.typing(&scope.room.room_id, now).await?;
            let is_news = from.map_or(!users.is_empty(), |from| changed >= from);
            let event = typing_event(&users).filter(|_| is_news);
            Ok(event.map(|event| (scope.room.room_id.clone(), event)))
        })
    });
    Ok(ByRoom { rooms: all(parts.collect()).await?.into_iter().flatten().collect() })
}

/// The rooms in which receipts or typing changed, and since when.
fn touched<'a>(
    scopes: &'a [Scope<'a>],
    covered: &'a asked::Scope,
    reached: Option<Position>,
) -> impl Iterator<Item = (&'a Scope<'a>, Option<Position>)> {
    scopes
        .iter()
        .filter(|scope| covered.covers(&scope.room.room_id, scope.sources))
        // `None`, the beginning, is the lesser.
        .map(move |scope| (scope, scope.from.min(reached)))
        .filter(|(scope, from)| from.is_none_or(|from| scope.room.last_ephemeral >= from))
}
