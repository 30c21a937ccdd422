//! Whom a client is told of in `device_lists` (end-to-end encryption, "Tracking the device list for a user"; DL-1…14).
//!
//! Somebody *shares* with the reader if both are in a room that is encrypted: the reader joined, the other joined or
//! invited, since clients give keys to invited users too (DL-14). Between two positions a user is *changed* if their keys
//! changed or they came to share, and *left* if they shared before and do not share at the end.
//!
//! The work is in two steps, so that the store is asked once who shares at the end: [`Span::candidates`], then
//! [`Candidates::decide`]. Naming a user too much in `changed` costs a client one query; naming one too little can make a
//! message unreadable. So in doubt a user is named.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedUserId, UserId};

use crate::identifiers::is_listable_user;

/// What a membership means for sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Joined.
    Joined,
    /// Invited.
    Invited,
    /// Neither: left, banned, knocking, or never there.
    Out,
}

impl Standing {
    /// Whether others give this user their keys.
    #[must_use]
    pub const fn is_present(self) -> bool {
        !matches!(self, Self::Out)
    }
}

/// A change of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Who.
    pub user_id: OwnedUserId,
    /// Before.
    pub from: Standing,
    /// After.
    pub to: Standing,
}

/// An encrypted room in which something about membership or encryption happened in the span, as it was below its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// Whether the room became encrypted within the span (DL-6).
    pub newly_encrypted: bool,
    /// Whether the reader is joined at the end.
    pub joined: bool,
    /// All changes of membership in the span, in order.
    pub moves: Vec<Move>,
    /// Who was present at the start; needed if [`Room::needs_start`].
    pub at_start: Vec<OwnedUserId>,
    /// Who is present at the end; needed if [`Room::needs_end`].
    pub at_end: Vec<OwnedUserId>,
}

impl Room {
    fn own_moves<'a>(&'a self, reader: &'a UserId) -> impl Iterator<Item = &'a Move> {
        self.moves.iter().filter(move |change| change.user_id == reader)
    }

    /// Whether the reader was joined when the span began.
    #[must_use]
    pub fn joined_at_start(&self, reader: &UserId) -> bool {
        self.own_moves(reader).next().map_or(self.joined, |change| change.from == Standing::Joined)
    }

    /// Whether the reader came to share the room as a whole: joined, joined again, or encryption was turned on.
    #[must_use]
    pub fn needs_end(&self, reader: &UserId) -> bool {
        self.joined
            && (self.newly_encrypted
                || !self.joined_at_start(reader)
                || self.own_moves(reader).any(|change| change.to != Standing::Joined))
    }

    /// Whether the reader was in the room at some time of the span.
    fn was_inside(&self, reader: &UserId) -> bool {
        self.joined_at_start(reader) || self.own_moves(reader).any(|change| change.to == Standing::Joined)
    }

    /// Whoever was in the room together with the reader at some time of the span, but for those who did not move and are
    /// still there. Who came within the span and went again counts: whether somebody shares is asked a moment after the
    /// span of an answer ends, so the answer before may have named them already. Of those who came when the reader was
    /// gone, it learns nothing.
    fn met(&self, reader: &UserId) -> BTreeSet<OwnedUserId> {
        let mut present: BTreeMap<&OwnedUserId, bool> = BTreeMap::new();
        for change in self.moves.iter().rev() {
            present.insert(&change.user_id, change.from.is_present());
        }
        let stayed = self.at_start.iter().filter(|user_id| !present.contains_key(user_id));
        let mut met: BTreeSet<OwnedUserId> = stayed.cloned().collect();
        let all = |present: &BTreeMap<&OwnedUserId, bool>| -> Vec<OwnedUserId> {
            present.iter().filter(|(_, present)| **present).map(|(user_id, _)| (*user_id).clone()).collect()
        };
        let mut inside = self.joined_at_start(reader);
        if inside {
            met.extend(all(&present));
        }
        for change in &self.moves {
            present.insert(&change.user_id, change.to.is_present());
            if change.user_id == reader {
                inside = change.to == Standing::Joined;
                if inside {
                    met.extend(all(&present));
                }
            } else if inside && change.to.is_present() {
                met.insert(change.user_id.clone());
            }
        }
        met.remove(reader);
        met
    }

    /// Whether the reader was in the room and is no longer.
    #[must_use]
    pub fn needs_start(&self, reader: &UserId) -> bool {
        !self.joined && self.was_inside(reader)
    }
}

/// What happened between two positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// Users whose device list changed; not narrowed to anybody.
    pub key_changes: Vec<OwnedUserId>,
    /// Users the reader alone is told of: itself after a new user-signing key (DL-11), others after it signed their
    /// master key (DL-12).
    pub own: Vec<OwnedUserId>,
    /// Encrypted rooms in which something happened.
    pub rooms: Vec<Room>,
}

/// Users who may have to be named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Named in `changed` without a further question.
    certain: BTreeSet<OwnedUserId>,
    /// In `changed` unless they are in `left`: the reader alone is told of them, whether they share or not.
    own: BTreeSet<OwnedUserId>,
    /// In `changed` if they share at the end.
    keys: BTreeSet<OwnedUserId>,
    /// In `left` unless they share at the end.
    gone: BTreeSet<OwnedUserId>,
}

/// The `device_lists` of an answer. No user is in both (DL-10).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceLists {
    /// Users whose keys have to be fetched, sorted.
    pub changed: Vec<OwnedUserId>,
    /// Users who share no encrypted room any more, sorted (DL-3).
    pub left: Vec<OwnedUserId>,
}

impl DeviceLists {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

impl Span {
    /// Who may have to be named to `reader`.
    #[must_use]
    pub fn candidates(self, reader: &UserId) -> Candidates {
        let mut found = Candidates { own: self.own.into_iter().collect(), ..Candidates::default() };
        for user_id in self.key_changes {
            if user_id == reader {
                // One's own other devices must fetch it, in whatever rooms one is (DL-8).
                found.certain.insert(user_id);
            } else {
                found.keys.insert(user_id);
            }
        }
        for room in &self.rooms {
            found.add_room(room, reader);
        }
        found.gone.remove(reader);
        found
    }
}

impl Candidates {
    fn add_room(&mut self, room: &Room, reader: &UserId) {
        if room.needs_end(reader) {
            self.certain.extend(room.at_end.iter().filter(|user_id| *user_id != reader).cloned());
        }
        if !room.joined && !room.was_inside(reader) {
            return;
        }
        for change in room.moves.iter().filter(|change| room.joined && change.user_id != reader) {
            // Joining after an invitation counts as well: it is when the two come to share (DL-2).
            if change.to.is_present() && change.from != Standing::Joined {
                self.keys.insert(change.user_id.clone());
            }
        }
        self.gone.extend(room.met(reader));
    }

    /// Of whom it must be asked whether they share an encrypted room with the reader now.
    #[must_use]
    pub fn questions(&self) -> Vec<OwnedUserId> {
        self.keys.union(&self.gone).filter(|user_id| !self.certain.contains(*user_id)).cloned().collect()
    }

    /// Whether nobody may have to be named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certain.is_empty() && self.own.is_empty() && self.keys.is_empty() && self.gone.is_empty()
    }

    /// Names users, given which of the [`Candidates::questions`] share now. Users whose id is not one of the current
    /// grammar are never named (DL-21).
    #[must_use]
    pub fn decide(self, sharing: &BTreeSet<OwnedUserId>) -> DeviceLists {
        let Self { mut certain, own, keys, gone } = self;
        let left: BTreeSet<OwnedUserId> =
            gone.into_iter().filter(|user_id| !sharing.contains(user_id) && !certain.contains(user_id)).collect();
        certain.extend(own.into_iter().filter(|user_id| !left.contains(user_id)));
        certain.extend(keys.into_iter().filter(|user_id| sharing.contains(user_id)));
        DeviceLists { changed: listable(certain), left: listable(left) }
    }
}

fn listable(users: BTreeSet<OwnedUserId>) -> Vec<OwnedUserId> {
    users.into_iter().filter(|user_id| is_listable_user(user_id)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const USERS: usize = 4;
    const ROOMS: usize = 2;

    fn user(index: usize) -> OwnedUserId {
        format!("@u{index}:example.org").parse().unwrap()
    }

    /// One step of the small world; user 0 is the reader.
    #[derive(Debug, Clone)]
    enum Step {
        Move {
            user: usize,
            room: usize,
            to: Standing,
        },
        Encrypt {
            room: usize,
        },
        Keys {
            user: usize,
        },
        /// The reader signs the user's master key.
        Sign {
            user: usize,
        },
    }

    #[derive(Debug, Clone)]
    struct World {
        standing: BTreeMap<(usize, usize), Standing>,
        encrypted: [bool; ROOMS],
    }

    impl World {
        fn new() -> Self {
            Self { standing: BTreeMap::new(), encrypted: [false; ROOMS] }
        }

        fn standing(&self, user: usize, room: usize) -> Standing {
            self.standing.get(&(user, room)).copied().unwrap_or(Standing::Out)
        }

        fn apply(&mut self, step: &Step) {
            match step {
                Step::Move { user, room, to } => {
                    self.standing.insert((*user, *room), *to);
                }
                Step::Encrypt { room } => self.encrypted[*room] = true,
                Step::Keys { .. } | Step::Sign { .. } => {}
            }
        }

        fn shares(&self, other: usize) -> bool {
            (0..ROOMS).any(|room| {
                self.encrypted[room]
                    && self.standing(0, room) == Standing::Joined
                    && self.standing(other, room).is_present()
            })
        }

        /// Whether the reader is in a room with somebody, encrypted or not.
        fn meets(&self, other: usize) -> bool {
            (0..ROOMS).any(|room| self.standing(0, room) == Standing::Joined && self.standing(other, room).is_present())
        }

        fn present(&self, room: usize) -> Vec<OwnedUserId> {
            (0..USERS).filter(|index| self.standing(*index, room).is_present()).map(user).collect()
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let to = prop_oneof![Just(Standing::Joined), Just(Standing::Invited), Just(Standing::Out)];
        let step = prop_oneof![
            6 => (0..USERS, 0..ROOMS, to).prop_map(|(user, room, to)| Step::Move { user, room, to }),
            1 => (0..ROOMS).prop_map(|room| Step::Encrypt { room }),
            2 => (0..USERS).prop_map(|user| Step::Keys { user }),
            1 => (1..USERS).prop_map(|user| Step::Sign { user }),
        ];
        prop::collection::vec(step, 0..24)
    }

    /// Gathers what a service would from the steps of the span.
    fn span(start: &World, steps: &[Step]) -> (Span, World) {
        let mut world = start.clone();
        let mut span = Span::default();
        let mut moves: Vec<Vec<Move>> = vec![Vec::new(); ROOMS];
        for step in steps {
            match step {
                Step::Move { user: index, room, to } => {
                    moves[*room].push(Move { user_id: user(*index), from: world.standing(*index, *room), to: *to });
                }
                Step::Keys { user: index } => span.key_changes.push(user(*index)),
                Step::Sign { user: index } => span.own.push(user(*index)),
                Step::Encrypt { .. } => {}
            }
            world.apply(step);
        }
        for (index, moves) in moves.into_iter().enumerate() {
            if !world.encrypted[index] {
                continue;
            }
            let mut room = Room {
                newly_encrypted: !start.encrypted[index],
                joined: world.standing(0, index) == Standing::Joined,
                moves,
                ..Room::default()
            };
            if room.needs_start(&user(0)) {
                room.at_start = start.present(index);
            }
            if room.needs_end(&user(0)) {
                room.at_end = world.present(index);
            }
            span.rooms.push(room);
        }
        (span, world)
    }

    proptest! {
        #[test]
        fn nobody_who_must_be_named_is_missing(before in steps(), during in steps()) {
            let mut start = World::new();
            before.iter().for_each(|step| start.apply(step));
            let (span, end) = span(&start, &during);
            let candidates = span.candidates(&user(0));
            let questions = candidates.questions();
            let sharing: BTreeSet<_> = (1..USERS).filter(|i| end.shares(*i)).map(user)
                .filter(|user_id| questions.contains(user_id)).collect();
            let lists = candidates.decide(&sharing);

            let (mut came, mut keyed, mut signed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let (mut shared, mut met) = (BTreeSet::new(), BTreeSet::new());
            let mut world = start.clone();
            let mut look = |world: &World| {
                shared.extend((1..USERS).filter(|index| world.shares(*index)));
                met.extend((1..USERS).filter(|index| world.meets(*index)));
            };
            look(&world);
            for step in &during {
                for index in 1..USERS {
                    if !world.shares(index) {
                        came.insert(index);
                    }
                }
                match step {
                    Step::Keys { user } => keyed.insert(*user),
                    Step::Sign { user } => signed.insert(*user),
                    Step::Move { .. } | Step::Encrypt { .. } => false,
                };
                world.apply(step);
                look(&world);
            }
            for index in 1..USERS {
                let named = lists.changed.contains(&user(index));
                let left = lists.left.contains(&user(index));
                let shares = end.shares(index);
                prop_assert!(!(named && left), "u{} is in both", index);
                if shares && (came.contains(&index) || keyed.contains(&index)) {
                    prop_assert!(named, "u{} is missing in changed", index);
                }
                let is_told_alone = signed.contains(&index);
                prop_assert!(shares || is_told_alone || !named, "u{} is named and shares nothing", index);
                prop_assert!(named || left || !is_told_alone, "u{} was signed", index);
                if shared.contains(&index) && !shares {
                    prop_assert!(left, "u{} is missing in left", index);
                }
                prop_assert!(!left || met.contains(&index), "u{} was never met", index);
            }
            prop_assert_eq!(lists.changed.contains(&user(0)), keyed.contains(&0));
            prop_assert!(!lists.left.contains(&user(0)));
        }

        #[test]
        fn a_quiet_span_names_nobody(before in steps()) {
            let mut start = World::new();
            before.iter().for_each(|step| start.apply(step));
            let (span, _) = span(&start, &[]);
            prop_assert!(span.candidates(&user(0)).is_empty());
        }
    }

    #[test]
    fn old_identifiers_are_never_named() {
        let odd = ["@:example.org", "@\u{fc}:example.org", "@a b:example.org", "@\u{7f}:example.org"];
        let odd: Vec<OwnedUserId> = odd.iter().map(|user_id| user_id.parse().unwrap()).collect();
        let own = [odd.clone(), vec![user(1)]].concat();
        let lists = Span { own, ..Span::default() }.candidates(&user(0)).decide(&BTreeSet::new());
        assert_eq!((lists.changed, lists.left), (vec![user(1)], vec![]));

        let everyone = [odd, vec![user(1), user(0)]].concat();
        let gone = || Move { user_id: user(0), from: Standing::Joined, to: Standing::Out };
        let room = Room { joined: true, newly_encrypted: true, at_end: everyone.clone(), ..Room::default() };
        let lists = Span { rooms: vec![room], ..Span::default() }.candidates(&user(0)).decide(&BTreeSet::new());
        assert_eq!((lists.changed, lists.left), (vec![user(1)], vec![]));
        let room = Room { moves: vec![gone()], at_start: everyone, ..Room::default() };
        let lists = Span { rooms: vec![room], ..Span::default() }.candidates(&user(0)).decide(&BTreeSet::new());
        assert_eq!((lists.changed, lists.left), (vec![], vec![user(1)]));
    }
}
