//! Positions in the one stream of changes, and the tokens made from them.
//!
//! A *position* is given to every write that somebody may have to be told of. A *horizon* is a position below which
//! everything is committed and final, so a token made from a horizon can never skip a write that commits later.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A point in the stream of all changes of one store. Larger is later; gaps are normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before every change.
    pub const START: Self = Self(0);
    /// After every change.
    pub const END: Self = Self(u64::MAX);

    /// The next possible position.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A point inside a position: one commit may write several rows that have an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The commit.
    pub position: Position,
    /// The row's place in its commit, from 0.
    pub ordinal: u32,
}

impl Cursor {
    /// Before everything.
    pub const START: Self = Self { position: Position::START, ordinal: 0 };
    /// After everything.
    pub const END: Self = Self { position: Position::END, ordinal: u32::MAX };

    /// The place of one row.
    #[must_use]
    pub const fn new(position: Position, ordinal: u32) -> Self {
        Self { position, ordinal }
    }

    /// The first place of a position: a half-open range that ends here holds all earlier positions and nothing of it.
    #[must_use]
    pub const fn at(position: Position) -> Self {
        Self { position, ordinal: 0 }
    }

    /// The place right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.ordinal == u32::MAX {
            Self { position: self.position.next(), ordinal: 0 }
        } else {
            Self { position: self.position, ordinal: self.ordinal + 1 }
        }
    }
}

/// Which life of a store a position belongs to. A restore from an older copy opens a new epoch, because positions
/// that were given out after the copy was made may be given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A token was not made by this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this token was not issued by this server")]
pub struct InvalidToken;

/// The `since` / `next_batch` of `/sync`, and the `from` / `to` of `/keys/changes`.
///
/// Written `s<epoch>_<position>_<generation>`, and `_<position>.<ordinal>` more when the response had to-device messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncToken {
    /// The life of the store that issued the token.
    pub epoch: Epoch,
    /// The horizon of the response: everything strictly below it was told.
    pub position: Position,
    /// The generation of the device the response went to. Only that device's inbox is acknowledged by the token.
    pub generation: u64,
    /// Everything strictly below was delivered from the inbox, and using the token acknowledges it. `None` when the
    /// response had no messages: then none waited below `position`, and there is nothing to acknowledge.
    pub inbox: Option<Cursor>,
}

impl SyncToken {
    /// Where the delivery of to-device messages goes on: everything strictly below was in a response, or never was there.
    #[must_use]
    pub fn inbox_cursor(&self) -> Cursor {
        self.inbox.unwrap_or_else(|| Cursor::at(self.position))
    }
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}_{}_{}", self.epoch.0, self.position.0, self.generation)?;
        if let Some(cursor) = self.inbox {
            write!(f, "_{}.{}", cursor.position.0, cursor.ordinal)?;
        }
        Ok(())
    }
}

impl FromStr for SyncToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut parts = text.strip_prefix('s').ok_or(InvalidToken)?.split('_');
        let epoch = Epoch(number(parts.next())?);
        let position = Position(number(parts.next())?);
        let generation = number(parts.next())?;
        let inbox = match parts.next() {
            None => None,
            Some(cursor) => {
                let (position, ordinal) = cursor.split_once('.').ok_or(InvalidToken)?;
                let ordinal = u32::try_from(number(Some(ordinal))?).map_err(|_| InvalidToken)?;
                Some(Cursor::new(Position(number(Some(position))?), ordinal))
            }
        };
        if parts.next().is_some() {
            return Err(InvalidToken);
        }
        Ok(Self { epoch, position, generation, inbox })
    }
}

/// The `pos` of sliding sync.
///
/// Written `p<epoch>_<position>_<state>_<seal>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingToken {
    /// The life of the store that issued the token.
    pub epoch: Epoch,
    /// The horizon of the response: everything strictly below it was told, but for what the state of the connection says.
    pub position: Position,
    /// Which of the kept states of its connection the response left behind.
    pub state: u64,
    /// Made of the rest and of a secret of the connection: tells a token that was issued from one that was made up.
    pub seal: u64,
}

impl fmt::Display for SlidingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}_{}_{}_{}", self.epoch.0, self.position.0, self.state, self.seal)
    }
}

impl FromStr for SlidingToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut parts = text.strip_prefix('p').ok_or(InvalidToken)?.split('_');
        let epoch = Epoch(number(parts.next())?);
        let position = Position(number(parts.next())?);
        let (state, seal) = (number(parts.next())?, number(parts.next())?);
        if parts.next().is_some() {
            return Err(InvalidToken);
        }
        Ok(Self { epoch, position, state, seal })
    }
}

/// A place in the timeline of a room: `prev_batch`, and the `from`, `to`, `start`, `end` of `/messages`.
///
/// It stands between two events: going back, events strictly below it follow; going forward, those at it and after.
/// Written `t<position>.<ordinal>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineToken(pub Cursor);

impl fmt::Display for TimelineToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}.{}", self.0.position.0, self.0.ordinal)
    }
}

impl FromStr for TimelineToken {
    type Err = InvalidToken;

    /// Clients also hand a token of either sync to `/messages`; it stands before its position.
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        if let Ok(sliding) = text.parse::<SlidingToken>() {
            return Ok(Self(Cursor::at(sliding.position)));
        }
        if let Ok(sync) = text.parse::<SyncToken>() {
            return Ok(Self(Cursor::at(sync.position)));
        }
        let (position, ordinal) = text.strip_prefix('t').and_then(|rest| rest.split_once('.')).ok_or(InvalidToken)?;
        let ordinal = u32::try_from(number(Some(ordinal))?).map_err(|_| InvalidToken)?;
        Ok(Self(Cursor::new(Position(number(Some(position))?), ordinal)))
    }
}

/// Digits only: `str::parse` alone would take a sign, and one token must have one spelling.
fn number(text: Option<&str>) -> Result<u64, InvalidToken> {
    let text = text.ok_or(InvalidToken)?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) || (text.len() > 1 && text.starts_with('0')) {
        return Err(InvalidToken);
    }
    text.parse().map_err(|_| InvalidToken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sync_tokens_survive_a_round_trip(
            epoch: u64, position: u64, generation: u64, inbox: Option<(u64, u32)>,
        ) {
            let token = SyncToken {
                epoch: Epoch(epoch),
                position: Position(position),
                generation,
                inbox: inbox.map(|(p, o)| Cursor::new(Position(p), o)),
            };
            prop_assert_eq!(token.to_string().parse::<SyncToken>(), Ok(token));
        }

        #[test]
        fn sliding_tokens_survive_a_round_trip(epoch: u64, position: u64, state: u64, seal: u64) {
            let token = SlidingToken { epoch: Epoch(epoch), position: Position(position), state, seal };
            prop_assert_eq!(token.to_string().parse::<SlidingToken>(), Ok(token));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<SyncToken>();
            let _ = text.parse::<SlidingToken>();
            let _ = text.parse::<TimelineToken>();
        }
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for text in ["", "s", "s1", "s1_2", "s1_2_3_4", "s1_2_3_4.5_6", "s01_2_3", "s+1_2_3", "s1_2_3 ", "1_2_3"] {
            assert_eq!(text.parse::<SyncToken>(), Err(InvalidToken), "{text}");
        }
        for text in ["", "p", "p1_2_3", "p1_2_3_4_5", "p01_2_3_4", "p1_2_3_+4", "s1_2_3_4", "p1_2_3_4 "] {
            assert_eq!(text.parse::<SlidingToken>(), Err(InvalidToken), "{text}");
        }
    }

    #[test]
    fn a_sync_token_is_a_place_in_a_timeline() {
        assert_eq!("s1_7_3".parse::<TimelineToken>().unwrap(), TimelineToken(Cursor::at(Position(7))));
        assert_eq!("p1_7_3_9".parse::<TimelineToken>().unwrap(), TimelineToken(Cursor::at(Position(7))));
        assert_eq!("t7.2".parse::<TimelineToken>().unwrap().to_string(), "t7.2");
    }
}
