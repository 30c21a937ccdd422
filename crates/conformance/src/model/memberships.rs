//! The model of memberships: the events of each room, read from the start.

use std::collections::BTreeSet;

use olmstead_domain::{
    position::{Cursor, Position},
    rooms::membership::Action,
};
use olmstead_storage::rooms::{Membership, RoomMembership};
use ruma::{OwnedRoomId, OwnedUserId, UserId};

use super::{StoreModel, same};
use crate::{
    Store,
    random::Random,
    support::rooms::{TestRoom, membership, membership_of},
};

const USERS: [&str; 5] = ["creator", "alice", "bob", "carol", "dave"];
const ROOMS: usize = 3;

#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// A change of a user's own membership in a room.
    Own(usize, usize, Action),
    /// A change by the creator.
    ByCreator(usize, usize, Action),
    Say(usize),
    Encrypt(usize),
    Forget(usize, usize),
    /// Rooms of a user, as of one of the horizons noted so far.
    Memberships(usize, usize),
    /// Members of a room before one of its places.
    Members(usize, usize),
    /// Who shares rooms with a user.
    Sharing(usize, bool, bool),
    Counts(usize),
}

pub(crate) struct Model {
    users: Vec<OwnedUserId>,
    rooms: Vec<TestRoom>,
    encrypted: BTreeSet<usize>,
    forgotten: BTreeSet<(usize, usize)>,
    /// Rooms that a user forgot once: what was before is not compared.
    once_forgotten: BTreeSet<(usize, usize)>,
    horizons: Vec<Position>,
}

impl StoreModel for Model {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let (room, user) = (random.below(ROOMS), 1 + random.below(USERS.len() - 1));
        match random.below(20) {
            0..=2 => Command::Own(room, user, Action::Join),
            3 | 4 => Command::Own(room, user, Action::Leave),
            5 | 6 => {
                let action = *random.pick(&[Action::Kick, Action::Ban, Action::Unban]);
                Command::ByCreator(room, user, action)
            }
            7 | 8 => Command::ByCreator(room, user, Action::Invite),
            9 => Command::Say(room),
            10 if random.once_in(8) => Command::Encrypt(room),
            10 => Command::Counts(room),
            11 | 12 => Command::Forget(room, user),
            13..=15 => Command::Memberships(random.below(USERS.len()), random.below(1_000)),
            16 | 17 => Command::Members(room, random.below(1_000)),
            _ => Command::Sharing(random.below(USERS.len()), random.once_in(2), random.once_in(2)),
        }
    }

    async fn begin(store: &Store) -> Self {
        let mut users = Vec::new();
        for name in USERS {
            users.push(store.user(name).await);
        }
        let mut rooms = Vec::new();
        for _ in 0..ROOMS {
            rooms.push(TestRoom::create(store, &users[0]).await);
        }
        let horizons = vec![store.position().await];
        Self {
            users,
            rooms,
            encrypted: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            once_forgotten: BTreeSet::new(),
            horizons,
        }
    }

    async fn step(&mut self, store: &Store, command: &Command) -> Result<(), String> {
        match command {
            Command::Own(room, user, action) => self.change(store, *room, *user, *user, *action).await,
            Command::ByCreator(room, user, action) => self.change(store, *room, 0, *user, *action).await,
            Command::Say(room) => {
                let sender = self.users[0].clone();
                self.rooms[*room].say(store, &sender, "hello").await;
                self.horizons.push(store.position().await);
                Ok(())
            }
            Command::Encrypt(room) => {
                self.rooms[*room].encrypt(store).await;
                self.encrypted.insert(*room);
                self.horizons.push(store.position().await);
                Ok(())
            }
            Command::Forget(room, user) => {
                let expected = match self.now(*room, *user) {
                    Some(Membership::Leave | Membership::Ban) => true,
                    Some(_) => false,
                    None => return Ok(()),
                };
                if expected {
                    self.forgotten.insert((*room, *user));
                    self.once_forgotten.insert((*room, *user));
                }
                let done = store.forget_room(&self.rooms[*room].id, &self.users[*user]).await.unwrap();
                same("forgetting", done, expected)
            }
            Command::Memberships(user, at) => {
                let at = at % self.horizons.len();
                let horizon = self.horizons[at];
                self.memberships(store, *user, horizon, at + 1 == self.horizons.len()).await
            }
            Command::Members(room, at) => {
                let room = &self.rooms[*room];
                let places = room.places();
                let place = places[at % places.len()];
                let members = store.members(&room.id, Some(place)).await.unwrap();
                let found: BTreeSet<_> =
                    members.into_iter().map(|m| (m.user_id, name(m.membership), m.event_id)).collect();
                let expected = room.members_before(place).into_iter();
                let expected = expected.map(|(user, placed)| (user, name(membership_of(&placed.pdu)), placed.id()));
                same("members", found, expected.collect())
            }
            Command::Sharing(user, encrypted, invited) => self.sharing(store, *user, *encrypted, *invited).await,
            Command::Counts(room) => {
                let count = |wanted| {
                    let all = (0..self.users.len()).filter(|user| self.now(*room, *user) == Some(wanted));
                    u64::try_from(all.count()).unwrap()
                };
                let head = self.rooms[*room].head(store).await;
                let expected = (count(Membership::Join), count(Membership::Invite));
                same("counts", (head.joined_count, head.invited_count), expected)?;
                let joined = store.joined_members(&self.rooms[*room].id).await.unwrap();
                let expected = (0..self.users.len()).filter(|user| self.now(*room, *user) == Some(Membership::Join));
                let expected: BTreeSet<_> = expected.map(|user| self.users[user].clone()).collect();
                same("joined members", joined.into_iter().collect(), expected)
            }
        }
    }
}

const fn name(membership: Membership) -> &'static str {
    match membership {
        Membership::Invite => "invite",
        Membership::Join => "join",
        Membership::Leave => "leave",
        Membership::Ban => "ban",
        Membership::Knock => "knock",
    }
}

type Row = (OwnedRoomId, &'static str, String, OwnedUserId, Cursor, Option<&'static str>);

fn row(membership: &RoomMembership) -> Row {
    (
        membership.room_id.clone(),
        name(membership.membership),
        membership.event_id.to_string(),
        membership.sender.clone(),
        membership.cursor,
        membership.previous.map(name),
    )
}

fn expected_row(room: &TestRoom, user: &UserId, before: Cursor) -> Option<Row> {
    let placed = room.members_before(before).get(user)?.clone();
    let previous = room.members_before(placed.cursor).get(user).map(|placed| name(membership_of(&placed.pdu)));
    let membership = name(membership_of(&placed.pdu));
    let sender = placed.pdu.sender().to_owned();
    Some((room.id.clone(), membership, placed.id().to_string(), sender, placed.cursor, previous))
}

impl Model {
    fn now(&self, room: usize, user: usize) -> Option<Membership> {
        self.rooms[room].members_before(Cursor::END).get(&self.users[user]).map(|placed| membership_of(&placed.pdu))
    }

    async fn change(
        &mut self,
        store: &Store,
        room: usize,
        sender: usize,
        target: usize,
        action: Action,
    ) -> Result<(), String> {
        use Membership::{Ban, Invite, Join, Leave};
        let possible = match (action, self.now(room, target)) {
            (Action::Join, now) => now != Some(Ban),
            (Action::Leave | Action::Kick, now) => matches!(now, Some(Join | Invite)),
            (Action::Ban, now) => now != Some(Ban),
            (Action::Unban, now) => now == Some(Ban),
            (_, now) => matches!(now, None | Some(Leave)),
        };
        if !possible {
            return Ok(());
        }
        let template = membership(action, &self.users[sender], &self.users[target]);
        self.rooms[room].send(store, template).await;
        if matches!(action, Action::Join | Action::Invite) {
            self.forgotten.remove(&(room, target));
        }
        self.horizons.push(store.position().await);
        let stored = store.membership(&self.rooms[room].id, &self.users[target]).await.unwrap();
        if self.forgotten.contains(&(room, target)) {
            return Ok(());
        }
        let expected = expected_row(&self.rooms[room], &self.users[target], Cursor::END);
        same("the membership", stored.as_ref().map(row), expected)
    }

    async fn memberships(&self, store: &Store, user: usize, to: Position, now: bool) -> Result<(), String> {
        let left_out: BTreeSet<&OwnedRoomId> = (0..ROOMS)
            .filter(|room| self.once_forgotten.contains(&(*room, user)) && !now)
            .map(|room| &self.rooms[room].id)
            .collect();
        let found = store.memberships(&self.users[user], Position::END, to).await.unwrap();
        let found: BTreeSet<Row> = found.iter().map(row).filter(|row| !left_out.contains(&row.0)).collect();
        let expected = (0..ROOMS)
            .filter(|room| !self.forgotten.contains(&(*room, user)) && !left_out.contains(&self.rooms[*room].id))
            .filter_map(|room| expected_row(&self.rooms[room], &self.users[user], Cursor::at(to)));
        same("memberships", found, expected.collect())
    }

    async fn sharing(&self, store: &Store, user: usize, encrypted: bool, invited: bool) -> Result<(), String> {
        let others: Vec<OwnedUserId> =
            (0..self.users.len()).rev().filter(|other| *other != user).map(|other| self.users[other].clone()).collect();
        let shared = |other: &OwnedUserId| {
            let other = self.users.iter().position(|id| id == other).unwrap();
            (0..ROOMS).any(|room| {
                let there = match self.now(room, other) {
                    Some(Membership::Join) => true,
                    Some(Membership::Invite) => invited,
                    _ => false,
                };
                there
                    && self.now(room, user) == Some(Membership::Join)
                    && (!encrypted || self.encrypted.contains(&room))
            })
        };
        let expected: Vec<_> = others.iter().filter(|other| shared(other)).cloned().collect();
        let found = store.sharing_rooms(&self.users[user], &others, encrypted, invited).await.unwrap();
        same("who shares rooms", found, expected)
    }
}
