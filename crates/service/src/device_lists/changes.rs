//! `GET /keys/changes`: the same question between two tokens, for a client that was away (DL-15…20).

use olmstead_domain::{
    device_lists::{DeviceLists, Span},
    identifiers::is_listable_user,
    position::{Position, SyncToken},
};
use olmstead_storage::{changes::Horizon, devices::DeviceRef};
use ruma::OwnedUserId;
use serde::Serialize;

use super::{decide, rooms};
use crate::{Context, Result, ServiceError, sync::Moves};

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyChanges {
    /// Users who share a room, encrypted or not, and whose device list changed (DL-16, DL-17).
    pub changed: Vec<OwnedUserId>,
    /// Users who may have left all shared encrypted rooms (DL-18).
    pub left: Vec<OwnedUserId>,
}

/// What changed from one sync token to another.
///
/// # Errors
/// `InvalidParam` for a text that is no token of this server, or one of another user's, and for tokens in the wrong order
/// (DL-20): a client takes an empty answer for "no news", and would go on with what is out of date.
pub async fn changes(cx: &Context, device: &DeviceRef, from: &str, to: &str) -> Result<KeyChanges> {
    let user_id = &*device.user_id;
    let from = token("from", from)?;
    let to = token("to", to)?;
    check_owner(cx, device, [from, to]).await?;
    let horizon = cx.storage.horizon().await?;
    let span = (lower(from, horizon), upper(to, horizon));
    if span.0 > span.1 {
        return Err(ServiceError::invalid_param("The token in `from` is later than that in `to`."));
    }
    if span.0 == span.1 {
        return Ok(KeyChanges::default());
    }
    let (memberships, mut key_changes) = tokio::try_join!(
        cx.storage.memberships(user_id, span.0, span.1),
        cx.storage.device_list_changes(span.0, span.1),
    )?;
    key_changes.retain(|user_id| is_listable_user(user_id));
    let own = key_changes.iter().position(|other| other == user_id).map(|index| key_changes.swap_remove(index));
    let mut changed = if key_changes.is_empty() {
        Vec::new()
    } else {
        cx.storage.sharing_rooms(user_id, &key_changes, false, false).await?
    };
    changed.extend(own);
    changed.sort_unstable();
    changed.dedup();

    let moves = Moves::load(cx, &memberships, span.0, span.1).await?;
    let rooms = rooms(cx, user_id, &memberships, &moves, span).await?;
    let candidates = Span { rooms, ..Span::default() }.candidates(user_id);
    let DeviceLists { mut left, .. } = decide(cx, user_id, candidates).await?;
    // Who shares a clear room and changed keys is to be fetched: nobody is told both (DL-10).
    left.retain(|user_id| changed.binary_search(user_id).is_err());
    Ok(KeyChanges { changed, left })
}

fn token(name: &str, text: &str) -> Result<SyncToken> {
    text.parse().map_err(|error| ServiceError::invalid_param(format!("The token in `{name}` is not right: {error}.")))
}

/// Refuses tokens that were given to none of the user's devices.
async fn check_owner(cx: &Context, device: &DeviceRef, tokens: [SyncToken; 2]) -> Result<()> {
    let is_others = |token: &SyncToken| token.generation != device.generation;
    if !tokens.iter().any(is_others) {
        return Ok(());
    }
    let devices = cx.storage.devices(&device.user_id).await?;
    let is_known = |token: &SyncToken| devices.iter().any(|known| known.id.generation == token.generation);
    if tokens.iter().filter(|token| is_others(token)).all(is_known) {
        return Ok(());
    }
    Err(ServiceError::invalid_param("A token was not given to any of your devices."))
}

/// A token of another life of the store tells nothing of this one: everything may be news.
fn lower(token: SyncToken, horizon: Horizon) -> Position {
    if token.epoch == horizon.epoch && token.position <= horizon.position { token.position } else { Position::START }
}

/// An upper bound that is not known here is no bound (DL-19).
fn upper(token: SyncToken, horizon: Horizon) -> Position {
    if token.epoch == horizon.epoch { token.position.min(horizon.position) } else { horizon.position }
}

#[cfg(test)]
mod tests {
    use olmstead_domain::position::Epoch;

    use super::*;

    fn at(epoch: u64, position: u64) -> SyncToken {
        SyncToken { epoch: Epoch(epoch), position: Position(position), generation: 1, inbox: None }
    }

    #[test]
    fn tokens_of_another_life_bound_nothing() {
        let horizon = Horizon { epoch: Epoch(2), position: Position(100) };
        assert_eq!(lower(at(2, 40), horizon), Position(40));
        assert_eq!(lower(at(1, 40), horizon), Position::START);
        assert_eq!(lower(at(2, 101), horizon), Position::START);
        assert_eq!(upper(at(2, 40), horizon), Position(40));
        assert_eq!(upper(at(2, 140), horizon), Position(100));
        assert_eq!(upper(at(1, 40), horizon), Position(100));
    }

    #[test]
    fn foreign_tokens_are_refused() {
        assert!(token("from", "s72594_4483_1934_1").is_err());
        assert!(token("from", "").is_err());
        assert!(token("from", "s1_2_3").is_ok());
    }
}
