//! `required_state`: which state of a room a client wants.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_storage::rooms::StateSelection;
use ruma::UserId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The type of member events.
pub(super) const MEMBER: &str = "m.room.member";
/// Any type, or any state key.
const ANY: &str = "*";
/// Stands for the reader, as a state key.
const ME: &str = "$ME";
/// Stands for the members a client needs for the timeline it gets.
const LAZY: &str = "$LAZY";
/// The longest type or state key that an event can have, bytes.
const LONGEST: usize = 255;

/// Pairs of a type and a state key, either of which may be any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Required(BTreeSet<(String, String)>);

impl Required {
    /// Reads what a client wrote.
    pub(super) fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, reader: &UserId) -> Self {
        let key_of = |key: &str| if key == ME { reader.to_string() } else { key.to_owned() };
        let can_be = |(kind, key): &(&str, &str)| {
            kind.len() <= LONGEST && key.len() <= LONGEST && (*key != LAZY || *kind == MEMBER)
        };
        let pairs = pairs.into_iter().filter(can_be);
        Self(pairs.map(|(kind, key)| (kind.to_owned(), key_of(key))).collect())
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Names it: sets with one name are equal, at all nodes.
    pub(super) fn id(&self) -> u64 {
        let mut hasher = Sha256::new();
        for (kind, key) in &self.0 {
            for text in [kind, key] {
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text);
            }
        }
        hasher.finalize().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// What either wants.
    pub(super) fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// What is not wanted by another.
    pub(super) fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Whether it has all that another wants.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// Whether members are wanted as the timeline needs them.
    pub(super) fn is_lazy(&self) -> bool {
        self.has(MEMBER, LAZY)
    }

    /// Whether a state entry is wanted, for itself: with lazy members a wish for everything is none for all members.
    pub(super) fn wants(&self, kind: &str, key: &str) -> bool {
        self.has(kind, key)
            || self.has(kind, ANY)
            || self.has(ANY, key)
            || (self.has(ANY, ANY) && !(kind == MEMBER && self.is_lazy()))
    }

    fn has(&self, kind: &str, key: &str) -> bool {
        // Sets are small; a look-up by borrowed pair is not to be had.
        self.0.iter().any(|(other_kind, other_key)| other_kind == kind && other_key == key)
    }

    /// What to read to find all of it. More may be found.
    pub(super) fn selections(&self) -> Vec<StateSelection> {
        if self.0.iter().any(|(kind, _)| kind == ANY) {
            let members: Vec<(String, String)> =
                self.0.iter().filter(|(kind, key)| kind == MEMBER && key != ANY && key != LAZY).cloned().collect();
            let needs_members = self.has(MEMBER, ANY) || !self.is_lazy() || self.0.iter().any(is_any_with_key);
            return match needs_members {
                true => vec![StateSelection::All],
                false if members.is_empty() => vec![StateSelection::AllButMembers],
                false => vec![StateSelection::AllButMembers, StateSelection::These(members)],
            };
        }
        let whole: BTreeSet<String> =
            self.0.iter().filter(|(_, key)| key == ANY).map(|(kind, _)| kind.clone()).collect();
        let single: Vec<(String, String)> =
            self.0.iter().filter(|(kind, key)| key != LAZY && !whole.contains(kind)).cloned().collect();
        let mut selections = Vec::new();
        if !single.is_empty() {
            selections.push(StateSelection::These(single));
        }
        if !whole.is_empty() {
            selections.push(StateSelection::Types(whole.into_iter().collect()));
        }
        selections
    }
}

fn is_any_with_key((kind, key): &(String, String)) -> bool {
    kind == ANY && key != ANY
}

/// Sets by their names.
pub(super) type Sets = BTreeMap<u64, Required>;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Required {
        Required::read(pairs.iter().copied(), "@me:b".try_into().unwrap())
    }

    #[test]
    fn wildcards_stand_for_types_and_keys() {
        let some = read(&[("m.room.name", ""), ("m.space.child", "*"), ("*", "key")]);
        for (kind, key, wanted) in [
            ("m.room.name", "", true),
            ("m.room.name", "x", false),
            ("m.space.child", "!r:b", true),
            ("any.thing", "key", true),
            ("m.room.topic", "", false),
            (MEMBER, "@me:b", false),
        ] {
            assert_eq!(some.wants(kind, key), wanted, "{kind} {key}");
        }
        assert!(read(&[("*", "*")]).wants(MEMBER, "@x:b"));
    }

    #[test]
    fn me_is_the_reader_and_lazy_members_are_not_all() {
        let lazy = read(&[("*", "*"), (MEMBER, LAZY), (MEMBER, ME)]);
        assert!(lazy.is_lazy() && lazy.wants(MEMBER, "@me:b") && lazy.wants("m.room.name", ""));
        assert!(!lazy.wants(MEMBER, "@x:b"));
        assert!(!read(&[("m.room.name", LAZY)]).is_lazy());
        assert!(read(&[(MEMBER, LAZY), (MEMBER, "*")]).wants(MEMBER, "@x:b"));
    }

    #[test]
    fn what_is_read_has_all_that_is_wanted() {
        use StateSelection as S;
        let me = || (MEMBER.to_owned(), "@me:b".to_owned());
        assert_eq!(read(&[("*", "*")]).selections(), [S::All]);
        assert_eq!(read(&[("*", "*"), (MEMBER, LAZY)]).selections(), [S::AllButMembers]);
        assert_eq!(
            read(&[("*", "*"), (MEMBER, LAZY), (MEMBER, ME)]).selections(),
            [S::AllButMembers, S::These(vec![me()])]
        );
        assert_eq!(read(&[("*", "*"), (MEMBER, LAZY), ("*", "k")]).selections(), [S::All]);
        assert_eq!(
            read(&[("a", "*"), ("a", "k"), (MEMBER, ME), (MEMBER, LAZY)]).selections(),
            [S::These(vec![me()]), S::Types(vec!["a".to_owned()])]
        );
        assert_eq!(read(&[(MEMBER, LAZY)]).selections(), []);
    }

    #[test]
    fn sets_are_named_by_what_is_in_them() {
        assert_eq!(read(&[("a", "b"), ("c", "d")]).id(), read(&[("c", "d"), ("a", "b")]).id());
        assert_ne!(read(&[("a", "bc")]).id(), read(&[("ab", "c")]).id());
        let (small, large) = (read(&[("a", "b")]), read(&[("a", "b"), ("c", "")]));
        assert!(large.covers(&small) && !small.covers(&large));
        assert_eq!(large.without(&small), read(&[("c", "")]));
        assert_eq!(small.union(&large), large);
    }
}
