//! Where an answer begins: what a token says, and for whom.

use olmstead_domain::position::{Cursor, Epoch, Position, SyncToken};
use olmstead_storage::{changes::Horizon, devices::DeviceRef};

use crate::{Context, Result};

/// The beginning of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Everything below was told; `None` for a first sync.
    pub(crate) since: Option<Position>,
    /// Where delivery of to-device messages goes on.
    pub(crate) inbox_from: Cursor,
    /// Whether the client is given everything, and so gets an answer at once.
    pub(crate) is_fresh: bool,
    epoch: Option<Epoch>,
    acknowledged: Option<Cursor>,
}

impl Start {
    /// A token of another generation of the device was not given to this one: it says nothing about what this one got,
    /// so its inbox is delivered from the start and nothing is deleted (TD-6, TD-13).
    pub(crate) fn from_token(token: Option<SyncToken>, generation: u64) -> Self {
        let own = token.filter(|token| token.generation == generation);
        Self {
            since: token.map(|token| token.position),
            inbox_from: own.map_or(Cursor::START, |token| token.inbox_cursor()),
            is_fresh: token.is_none(),
            epoch: token.map(|token| token.epoch),
            acknowledged: own.and_then(|token| token.inbox),
        }
    }

    /// Whether the token cannot have come from this store as it is now: it was given out in another epoch, or is of a
    /// future that a restore has undone.
    pub(crate) fn is_foreign_to(&self, horizon: Horizon) -> bool {
        self.epoch.is_some_and(|epoch| epoch != horizon.epoch)
            || self.since.is_some_and(|since| since > horizon.position)
    }

    /// Begins at the beginning, as an incremental sync: the client is told of all rooms as if they were new, and of every
    /// device list it may know. Refusing the token instead would make clients stand still.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            since: Some(Position::START),
            inbox_from: Cursor::START,
            is_fresh: true,
            epoch: None,
            acknowledged: None,
        };
    }

    /// Goes on from a horizon below which there was nothing to tell.
    pub(crate) fn advance(&mut self, horizon: Position) {
        self.since = Some(horizon);
        self.inbox_from = Cursor::at(horizon);
    }

    /// Deletes what the token acknowledges, once. The token says itself whether there is anything, so no node has to know
    /// what another delivered, and most syncs write nothing.
    pub(crate) async fn acknowledge(&mut self, cx: &Context, device: &DeviceRef) -> Result<()> {
        if let Some(cursor) = self.acknowledged.take() {
            cx.storage.acknowledge(device, cursor).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(generation: u64, inbox: Option<Cursor>) -> SyncToken {
        SyncToken { epoch: Epoch(2), position: Position(50), generation, inbox }
    }

    fn horizon(epoch: u64, position: u64) -> Horizon {
        Horizon { epoch: Epoch(epoch), position: Position(position) }
    }

    #[test]
    fn a_token_of_this_device_goes_on_and_acknowledges() {
        let start = Start::from_token(Some(token(7, None)), 7);
        assert_eq!(start.since, Some(Position(50)));
        assert_eq!(start.inbox_from, Cursor::at(Position(50)));
        assert_eq!(start.acknowledged, None, "its answer had no messages");
        assert!(!start.is_fresh);
        let delivered = Cursor::new(Position(20), 3);
        let start = Start::from_token(Some(token(7, Some(delivered))), 7);
        assert_eq!((start.inbox_from, start.acknowledged), (delivered, Some(delivered)));
    }

    #[test]
    fn a_token_of_another_life_of_the_device_acknowledges_nothing() {
        let start = Start::from_token(Some(token(6, Some(Cursor::new(Position(20), 3)))), 7);
        assert_eq!(start.since, Some(Position(50)));
        assert_eq!(start.inbox_from, Cursor::START);
        assert_eq!(start.acknowledged, None);
    }

    #[test]
    fn tokens_of_another_life_of_the_store_begin_again() {
        let mut start = Start::from_token(Some(token(7, None)), 7);
        assert!(!start.is_foreign_to(horizon(2, 50)));
        assert!(start.is_foreign_to(horizon(2, 49)));
        assert!(start.is_foreign_to(horizon(3, 90)));
        start.restart();
        assert_eq!((start.since, start.inbox_from, start.acknowledged), (Some(Position::START), Cursor::START, None));
        assert!(start.is_fresh && !start.is_foreign_to(horizon(3, 90)));
    }

    #[test]
    fn a_first_sync_is_never_foreign() {
        let start = Start::from_token(None, 7);
        assert!(start.is_fresh && !start.is_foreign_to(horizon(1, 0)));
        assert_eq!((start.since, start.acknowledged), (None, None));
    }
}
