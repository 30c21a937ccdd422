//! Whom `device_lists` of a sync and the answer of `keys/changes` have to name (DL-1…20).
//!
//! Time is counted in things that happened. A user is a number, and a set of users the bits of a number: there are few.

use std::collections::BTreeSet;

/// How many users an oracle can keep.
pub const MOST_USERS: usize = 16;

/// A set of users, a bit for each.
type Set = u16;

/// A user.
pub type User = usize;

/// A membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// Neither of the others.
    Out,
    /// Invited.
    Invited,
    /// Joined.
    Joined,
    /// Banned.
    Banned,
}

impl Membership {
    /// Whether others give this user their keys (DL-14).
    const fn is_present(self) -> bool {
        matches!(self, Self::Invited | Self::Joined)
    }
}

/// A change of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Everyone who shares an encrypted room must hear of it.
    Certain,
    /// They may hear of it: nothing they need has changed.
    Possible,
}

/// What an answer has to name, and may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Users that `changed` must hold.
    pub changed: BTreeSet<User>,
    /// Users that `changed` may hold, those that it must included.
    pub may_change: BTreeSet<User>,
    /// Users that `left` must hold.
    pub left: BTreeSet<User>,
    /// Users that `left` may hold, those that it must included.
    pub may_leave: BTreeSet<User>,
}

#[derive(Debug, Clone)]
struct Room {
    encrypted: bool,
    members: Vec<Membership>,
}

/// What happened at a time, and how things stood after it.
#[derive(Debug, Clone)]
struct Moment {
    /// To each user, who shares an encrypted room with it: it joined, they joined or are invited.
    encrypted: Vec<Set>,
    /// To each user, whom it meets in any room, both joined.
    any: Vec<Set>,
    /// To each user, who is in any room with it: it joined, they joined or are invited.
    met: Vec<Set>,
    /// To each user, who may be named to it because somebody moved or encryption was turned on.
    moved: Vec<Set>,
    keys: Set,
    possible_keys: Set,
    /// Named to one user alone.
    alone: Vec<(User, User, Change)>,
}

/// Rooms, members and changes of keys.
#[derive(Debug, Clone)]
pub struct Oracle {
    users: usize,
    rooms: Vec<Room>,
    moments: Vec<Moment>,
}

impl Oracle {
    /// So many users and rooms, with nobody in them.
    ///
    /// # Panics
    /// If there are more than [`MOST_USERS`].
    #[must_use]
    pub fn new(users: usize, rooms: usize) -> Self {
        assert!(users <= MOST_USERS, "too many users");
        let room = Room { encrypted: false, members: vec![Membership::Out; users] };
        let mut oracle = Self { users, rooms: vec![room; rooms], moments: Vec::new() };
        let moment = oracle.moment();
        oracle.moments.push(moment);
        oracle
    }

    /// The time of the last thing that happened.
    #[must_use]
    pub fn now(&self) -> usize {
        self.moments.len() - 1
    }

    /// A user's membership of a room.
    #[must_use]
    pub fn membership(&self, room: usize, user: User) -> Membership {
        self.rooms[room].members[user]
    }

    /// Whether a room is encrypted.
    #[must_use]
    pub fn is_encrypted(&self, room: usize) -> bool {
        self.rooms[room].encrypted
    }

    /// A membership changed.
    pub fn set_membership(&mut self, room: usize, user: User, membership: Membership) {
        self.rooms[room].members[user] = membership;
        let mut moment = self.moment();
        for reader in 0..self.users {
            moment.moved[reader] |= if reader == user { self.present(room) } else { bit(user) };
        }
        self.moments.push(moment);
    }

    /// Encryption was turned on; that it is on already is no news.
    pub fn encrypt(&mut self, room: usize) {
        let is_new = !std::mem::replace(&mut self.rooms[room].encrypted, true);
        let mut moment = self.moment();
        if is_new {
            let present = self.present(room);
            moment.moved.iter_mut().for_each(|moved| *moved |= present);
        }
        self.moments.push(moment);
    }

    /// A user's devices or cross-signing keys changed.
    pub fn change_keys(&mut self, user: User, change: Change) {
        let mut moment = self.moment();
        if change == Change::Certain {
            moment.keys |= bit(user);
        }
        moment.possible_keys |= bit(user);
        self.moments.push(moment);
    }

    /// Something happened to a user's keys that the `reader` alone sees (DL-11, DL-12).
    pub fn change_for(&mut self, reader: User, user: User, change: Change) {
        let mut moment = self.moment();
        moment.alone.push((reader, user, change));
        self.moments.push(moment);
    }

    /// What a sync of the reader has to say that goes on from an answer of the time `since` and is answered now.
    #[must_use]
    pub fn sync(&self, reader: User, since: usize) -> Bounds {
        let (start, end) = (&self.moments[since], &self.moments[self.now()]);
        let span = &self.moments[since + 1..];
        let all = |part: fn(&Moment) -> Set| span.iter().map(part).fold(0, |all, set| all | set);
        let moved = span.iter().fold(0, |all, moment| all | moment.moved[reader]);
        let (itself, others) = (bit(reader), !bit(reader));
        let (before, after) = (start.encrypted[reader], end.encrypted[reader]);
        // Who came and went in the span may be said to have left, but nobody the reader was in no room with.
        let once = span.iter().fold(start.met[reader], |all, moment| all | moment.met[reader]);
        let alone = |change: Option<Change>| {
            let alone = span.iter().flat_map(|moment| &moment.alone);
            let told = alone.filter(|(to, _, with)| *to == reader && change.is_none_or(|change| *with == change));
            told.fold(0, |all, (_, user, _)| all | bit(*user))
        };
        let keys = all(|moment| moment.keys);
        let possible = all(|moment| moment.possible_keys) | moved;
        let (left, may_leave) = (before & !after & others, once & !after & others);
        // Who is said to have left is not said to have changed, though the reader signed their key.
        let signed = alone(Some(Change::Certain)) & !may_leave;
        let changed = (after & others & (keys | !before)) | (keys & itself) | signed;
        let own = all(|moment| moment.possible_keys) & itself;
        let may_change = changed | (after & others & possible) | own | (alone(None) & !left);
        Bounds {
            changed: users(changed),
            may_change: users(may_change),
            left: users(left),
            may_leave: users(may_leave),
        }
    }

    /// What `keys/changes` has to say about the time between two answers to the reader.
    #[must_use]
    pub fn changes(&self, reader: User, from: usize, to: usize) -> Bounds {
        let (start, end, now) = (&self.moments[from], &self.moments[to], &self.moments[self.now()]);
        let span = &self.moments[from + 1..=to];
        let meets = now.any[reader] | bit(reader);
        let changed = meets & span.iter().fold(0, |all, moment| all | moment.keys);
        let may_change = meets & span.iter().fold(0, |all, moment| all | moment.possible_keys);
        let gone = !now.encrypted[reader] & !bit(reader);
        let once = span.iter().fold(start.met[reader], |all, moment| all | moment.met[reader]);
        let left = start.encrypted[reader] & !end.encrypted[reader] & gone & !may_change;
        Bounds {
            changed: users(changed),
            may_change: users(may_change),
            left: users(left),
            may_leave: users(once & gone),
        }
    }

    fn present(&self, room: usize) -> Set {
        let members = self.rooms[room].members.iter().enumerate();
        members.filter(|(_, membership)| membership.is_present()).fold(0, |all, (user, _)| all | bit(user))
    }

    /// How things stand, with nothing happening.
    fn moment(&self) -> Moment {
        let mut moment = Moment {
            encrypted: vec![0; self.users],
            any: vec![0; self.users],
            met: vec![0; self.users],
            moved: vec![0; self.users],
            keys: 0,
            possible_keys: 0,
            alone: Vec::new(),
        };
        for (number, room) in self.rooms.iter().enumerate() {
            let is_joined = |user: &User| room.members[*user] == Membership::Joined;
            let joined = (0..self.users).filter(is_joined).fold(0, |all, user| all | bit(user));
            for user in (0..self.users).filter(is_joined) {
                moment.any[user] |= joined & !bit(user);
                moment.met[user] |= self.present(number) & !bit(user);
                if room.encrypted {
                    moment.encrypted[user] |= self.present(number) & !bit(user);
                }
            }
        }
        moment
    }
}

const fn bit(user: User) -> Set {
    1 << user
}

fn users(set: Set) -> BTreeSet<User> {
    (0..MOST_USERS).filter(|user| set & bit(*user) != 0).collect()
}

impl Bounds {
    /// Holds an answer against the bounds.
    ///
    /// # Errors
    /// What is missing, too much, or said in both lists (DL-10).
    pub fn check(&self, changed: &BTreeSet<User>, left: &BTreeSet<User>) -> Result<(), String> {
        let both: Vec<_> = changed.intersection(left).collect();
        let missing: Vec<_> = self.changed.difference(changed).collect();
        let more: Vec<_> = changed.difference(&self.may_change).collect();
        let not_left: Vec<_> = self.left.difference(left).collect();
        let still_here: Vec<_> = left.difference(&self.may_leave).collect();
        let faults = [
            ("in both lists", both),
            ("missing in changed", missing),
            ("not to be in changed", more),
            ("missing in left", not_left),
            ("not to be in left", still_here),
        ];
        let faults: Vec<String> = faults
            .iter()
            .filter(|(_, users)| !users.is_empty())
            .map(|(what, users)| format!("{what}: {users:?}"))
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(format!("{} (changed {changed:?}, left {left:?})", faults.join("; ")))
        }
    }
}
