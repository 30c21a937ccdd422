//! The stream of changes: positions given and retired, the horizon, and what changed lately.
//!
//! A position is *open* from when it is issued until its commit is on disk, or until its command gave up. The horizon is
//! the smallest open position, or the next one to be issued. Positions are reserved on disk in blocks before any is
//! issued, so a restart begins above all of them, whatever became of the commits, and no token can name one twice.

use olmstead_domain::position::{Epoch, Position};
use olmstead_sequence::{Positions, Retired};
use olmstead_storage::{
    Result,
    changes::{ChangeKey, Changed, Horizon},
};
use tokio::sync::{oneshot, watch};

/// How many positions are reserved at once. A restart skips at most this many.
const BLOCK: u64 = 16_384;

/// How many change keys are remembered. Whoever asks further back is told that everything may have changed.
const REMEMBERED: usize = 65_536;

pub(crate) struct Stream {
    epoch: Epoch,
    /// The engine's own order of threads, in a crate where loom checks it.
    positions: Positions<ChangeKey, oneshot::Sender<bool>>,
    hint: watch::Sender<Position>,
}

/// A commit that is on disk.
pub(crate) struct Committed {
    pub(crate) position: Position,
    pub(crate) changes: Vec<ChangeKey>,
    /// Told when the horizon has passed the position.
    pub(crate) done: Option<oneshot::Sender<bool>>,
}

impl Stream {
    /// A stream that goes on after what was reserved before.
    pub(crate) fn new(epoch: Epoch, reserved: Position) -> Self {
        Self { epoch, positions: Positions::new(reserved.0, REMEMBERED), hint: watch::Sender::new(reserved) }
    }

    /// Issues a position. `reserve` is called, seldom, to put a new bound on disk: all positions below it may be issued.
    /// `None` if it would have to be called and the caller may not wait.
    pub(crate) fn issue(
        &self,
        may_wait: bool,
        reserve: impl FnOnce(Position) -> Result<()>,
    ) -> Result<Option<Issued<'_>>> {
        let position = self.positions.issue(BLOCK, may_wait, |bound| reserve(Position(bound)))?;
        Ok(position.map(|position| Issued { stream: self, position: Position(position), kept: false }))
    }

    /// Closes positions whose commits are on disk, and moves the horizon. Commands whose commits are on disk while an older
    /// one's is not are answered when the horizon has passed them, so that whoever reads after an answer reads what it was
    /// about.
    pub(crate) fn retire(&self, commits: impl IntoIterator<Item = Committed>) {
        let commits = commits.into_iter().map(|commit| (commit.position.0, commit.changes, commit.done));
        let Retired { horizon, passed } = self.positions.retire(commits);
        self.announce(Position(horizon));
        for done in passed {
            // Nobody waits if the request was given up meanwhile.
            let _ = done.send(true);
        }
    }

    /// The store failed: what is open stays open, and who waits for the horizon to pass it is told by the silence.
    pub(crate) fn abandon(&self) {
        self.positions.abandon();
    }

    /// The horizon.
    pub(crate) fn horizon(&self) -> Horizon {
        Horizon { epoch: self.epoch, position: Position(self.positions.horizon()) }
    }

    /// How many positions were issued and are not below the horizon.
    pub(crate) fn lag(&self) -> u64 {
        self.positions.lag()
    }

    /// What changed at `from` and after, strictly below `to`.
    pub(crate) fn changed(&self, from: Position, to: Position) -> Changed {
        match self.positions.changed(from.0, to.0) {
            olmstead_sequence::Changed::Keys(keys) => Changed::Keys(keys),
            olmstead_sequence::Changed::Everything => Changed::Everything,
        }
    }

    /// Tells when the horizon moved.
    pub(crate) fn hint(&self) -> watch::Receiver<Position> {
        self.hint.subscribe()
    }

    fn announce(&self, horizon: Position) {
        self.hint.send_if_modified(|known| {
            let moved = horizon > *known;
            *known = horizon.max(*known);
            moved
        });
    }
}

/// An open position of a command that is running. Dropped, it is given up.
pub(crate) struct Issued<'a> {
    stream: &'a Stream,
    position: Position,
    kept: bool,
}

impl Issued<'_> {
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Leaves the position open until the stream retires it.
    pub(crate) fn keep(mut self) -> Position {
        self.kept = true;
        self.position
    }
}

impl Drop for Issued<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.stream.retire([Committed { position: self.position, changes: Vec::new(), done: None }]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_storage::StorageError;

    use super::*;

    fn stream() -> Stream {
        Stream::new(Epoch(1), Position(1))
    }

    fn on_disk(position: Position, changes: Vec<ChangeKey>) -> Committed {
        Committed { position, changes, done: None }
    }

    fn key(name: &str) -> ChangeKey {
        ChangeKey::User(format!("@{name}:example.org").try_into().unwrap())
    }

    #[test]
    fn the_horizon_waits_for_the_oldest_open_position() {
        let stream = stream();
        assert_eq!(stream.horizon().position, Position(1));
        let first = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
        let second = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
        assert_eq!(stream.horizon().position, first);
        stream.retire([on_disk(second, vec![key("b")])]);
        assert_eq!(stream.horizon().position, first);
        stream.retire([on_disk(first, vec![key("a")])]);
        assert_eq!(stream.horizon().position, second.next());
        assert_eq!(stream.changed(first, second.next()), Changed::Keys(vec![key("a"), key("b")]));
        assert_eq!(stream.changed(second, second.next()), Changed::Keys(vec![key("b")]));
        assert_eq!(stream.changed(first, second), Changed::Keys(vec![key("a")]));
    }

    #[test]
    fn a_command_is_answered_when_the_horizon_has_passed_it() {
        let stream = stream();
        let first = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
        let second = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
        let (done, mut answer) = oneshot::channel();
        stream.retire([Committed { position: second, changes: Vec::new(), done: Some(done) }]);
        assert!(answer.try_recv().is_err(), "an older command is open");
        stream.retire([on_disk(first, Vec::new())]);
        assert!(answer.try_recv().unwrap());
    }

    #[test]
    fn nobody_waits_for_a_horizon_that_cannot_move() {
        let stream = stream();
        let _stuck = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
        for abandoned_before in [false, true] {
            let position = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
            let (done, mut answer) = oneshot::channel();
            stream.retire([Committed { position, changes: Vec::new(), done: Some(done) }]);
            if !abandoned_before {
                stream.abandon();
            }
            assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
    }

    #[test]
    fn a_command_that_gives_up_does_not_hold_the_horizon() {
        let stream = stream();
        let issued = stream.issue(true, |_| Ok(())).unwrap().unwrap();
        let mut hint = stream.hint();
        hint.borrow_and_update();
        drop(issued);
        assert_eq!(stream.horizon().position, Position(2));
        assert!(hint.has_changed().unwrap());
    }

    #[test]
    fn positions_are_reserved_before_they_are_issued() {
        let stream = stream();
        let mut bound = Position(1);
        for _ in 0..BLOCK * 2 + 1 {
            let issued = stream.issue(true, |position| {
                bound = position;
                Ok(())
            });
            assert!(issued.unwrap().unwrap().keep() < bound);
        }
        assert_eq!(bound, Position(1 + 3 * BLOCK));
    }

    #[test]
    fn a_reservation_that_fails_issues_nothing() {
        let stream = stream();
        assert!(stream.issue(true, |_| Err(StorageError::Conflict)).is_err());
        assert_eq!(stream.horizon().position, Position(1));
        assert_eq!(stream.issue(true, |_| Ok(())).unwrap().unwrap().position(), Position(1));
    }

    #[test]
    fn what_is_no_longer_remembered_is_everything() {
        let stream = stream();
        for _ in 0..REMEMBERED + 10 {
            let position = stream.issue(true, |_| Ok(())).unwrap().unwrap().keep();
            stream.retire([on_disk(position, vec![key("a")])]);
        }
        let horizon = stream.horizon().position;
        assert_eq!(stream.changed(Position(10), horizon), Changed::Everything);
        assert!(matches!(stream.changed(Position(11), horizon), Changed::Keys(keys) if keys.len() == REMEMBERED));
        // A restart forgets all of it.
        let restarted = Stream::new(Epoch(1), Position(20_000));
        assert_eq!(restarted.changed(Position(5), Position(20_000)), Changed::Everything);
        assert_eq!(restarted.changed(Position(20_000), Position(20_000)), Changed::Keys(Vec::new()));
    }
}
