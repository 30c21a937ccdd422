//! Who is in which room, now and at any place.

use olmstead_domain::{
    position::{Cursor, Position},
    rooms::membership::Action,
};
use olmstead_storage::{
    ephemeral::Receipt,
    rooms::{Membership, MembershipChange, RoomMembership},
};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::json;

use crate::{
    Store,
    support::{
        assert_same, room_id,
        rooms::{TestRoom, membership_of},
        user_id,
    },
};

struct Cast {
    room: TestRoom,
    users: [OwnedUserId; 4],
}

/// A room in which every kind of change has happened.
async fn cast(store: &Store) -> Cast {
    let alice = store.user("alice").await;
    let [bob, carol, dave] = ["bob", "carol", "dave"].map(user_id);
    for name in ["bob", "carol", "dave"] {
        store.user(name).await;
    }
    let mut room = TestRoom::create(store, &alice).await;
    room.join(store, &bob).await;
    room.by_creator(store, Action::Invite, &carol).await;
    room.say(store, &bob, "hello").await;
    room.join(store, &carol).await;
    room.leave(store, &bob).await;
    room.by_creator(store, Action::Ban, &dave).await;
    room.by_creator(store, Action::Kick, &carol).await;
    room.by_creator(store, Action::Unban, &dave).await;
    room.set(store, "m.room.join_rules", "", json!({ "join_rule": "knock" })).await;
    room.own(store, Action::Knock, &bob).await;
    room.by_creator(store, Action::Invite, &bob).await;
    room.say(store, &alice, "last").await;
    Cast { room, users: [alice, bob, carol, dave] }
}

/// Counts of joined and invited users follow every change.
pub async fn members_are_counted(store: Store) {
    let Cast { mut room, users: [_, bob, carol, dave] } = cast(&store).await;
    let counts = async |room: &TestRoom| {
        let head = room.head(&store).await;
        (head.joined_count, head.invited_count)
    };
    assert_eq!(counts(&room).await, (1, 1));
    room.join(&store, &bob).await;
    assert_eq!(counts(&room).await, (2, 0));
    room.own(&store, Action::Join, &bob).await;
    assert_eq!(counts(&room).await, (2, 0), "a join of one who is joined changes nothing");
    room.by_creator(&store, Action::Invite, &carol).await;
    room.by_creator(&store, Action::Invite, &dave).await;
    assert_eq!(counts(&room).await, (2, 2));
    room.leave(&store, &carol).await;
    room.by_creator(&store, Action::Ban, &bob).await;
    assert_eq!(counts(&room).await, (1, 1));
    let store = store.reopen().await;
    let head = room.head(&store).await;
    assert_eq!((head.joined_count, head.invited_count), (1, 1));
}

/// Members strictly before every place are known, with all memberships; joined ones are listed by themselves.
pub async fn members_are_known_at_every_place(store: Store) {
    let Cast { room, users } = cast(&store).await;
    for place in room.places() {
        let members = store.members(&room.id, Some(place)).await.unwrap();
        let found: Vec<_> = members
            .into_iter()
            .map(|member| (member.user_id, format!("{:?}", member.membership), member.event_id))
            .collect();
        let expected: Vec<_> = room
            .members_before(place)
            .into_iter()
            .map(|(user, placed)| (user, format!("{:?}", membership_of(&placed.pdu)), placed.id()))
            .collect();
        assert_same(found, expected);
    }
    let now = store.members(&room.id, None).await.unwrap();
    assert_eq!(now.len(), 4);
    assert_eq!(store.joined_members(&room.id).await.unwrap(), [users[0].clone()]);
    assert!(store.members(&room_id("unknown"), None).await.unwrap().is_empty());
    assert!(store.joined_members(&room_id("unknown")).await.unwrap().is_empty());
}

fn changes_in(room: &TestRoom, from: Position, to: Position) -> Vec<MembershipChange> {
    let mut changes = Vec::new();
    for placed in room.log.iter().filter(|placed| placed.pdu.kind() == "m.room.member") {
        let user_id = UserId::parse(placed.pdu.state_key().unwrap()).unwrap();
        let before = room.members_before(placed.cursor).get(&user_id).map(|placed| membership_of(&placed.pdu));
        let after = membership_of(&placed.pdu);
        if placed.cursor.position >= from && placed.cursor.position < to && before != Some(after) {
            changes.push(MembershipChange { user_id, from: before, to: after, cursor: placed.cursor });
        }
    }
    changes
}

/// Changes are logged with what was before, and read in order by half-open spans.
pub async fn changes_of_membership_are_logged(store: Store) {
    let Cast { mut room, users: [alice, ..] } = cast(&store).await;
    room.own(&store, Action::Join, &alice).await;
    let store = store.reopen().await;
    let mut positions: Vec<Position> = room.log.iter().map(|placed| placed.cursor.position).collect();
    positions.extend([Position::START, Position::END]);
    positions.sort_unstable();
    positions.dedup();
    for from in positions.iter().step_by(2) {
        for to in &positions {
            let mut found = store.membership_changes(&room.id, *from, *to).await.unwrap();
            // A new profile of one who is joined may be among them.
            found.retain(|change| change.from != Some(change.to));
            assert_eq!(found, changes_in(&room, *from, *to), "{from} to {to}");
        }
    }
}

fn summary(membership: &RoomMembership) -> (OwnedRoomId, String, String, OwnedUserId, Cursor, String) {
    (
        membership.room_id.clone(),
        format!("{:?}", membership.membership),
        membership.event_id.to_string(),
        membership.sender.clone(),
        membership.cursor,
        format!("{:?}", membership.previous),
    )
}

fn expected_summary(
    room: &TestRoom,
    user: &UserId,
    before: Cursor,
) -> Option<(OwnedRoomId, String, String, OwnedUserId, Cursor, String)> {
    let placed = room.members_before(before).get(user)?.clone();
    let previous = room.members_before(placed.cursor).get(user).map(|placed| membership_of(&placed.pdu));
    Some((
        room.id.clone(),
        format!("{:?}", membership_of(&placed.pdu)),
        placed.id().to_string(),
        placed.pdu.sender().to_owned(),
        placed.cursor,
        format!("{previous:?}"),
    ))
}

/// A user's rooms are told as they were strictly before a position: a token from a horizon gets what was then.
pub async fn a_user_sees_all_rooms_as_of_a_position(store: Store) {
    let alice = store.user("alice").await;
    let bob = store.user("bob").await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(TestRoom::create(&store, &alice).await);
    }
    let mut horizons = vec![store.position().await];
    // Each room is one step behind the one before.
    for round in 0..8_usize {
        for (index, room) in rooms.iter_mut().enumerate() {
            match round.checked_sub(index) {
                Some(0) => drop(room.by_creator(&store, Action::Invite, &bob).await),
                Some(1 | 3) => drop(room.join(&store, &bob).await),
                Some(2) => drop(room.leave(&store, &bob).await),
                Some(4) => drop(room.by_creator(&store, Action::Ban, &bob).await),
                _ => drop(room.say(&store, &alice, "hello").await),
            }
            horizons.push(store.position().await);
        }
    }
    for user in [&alice, &bob] {
        for horizon in &horizons {
            let found: Vec<_> =
                store.memberships(user, Position::END, *horizon).await.unwrap().iter().map(summary).collect();
            let expected: Vec<_> =
                rooms.iter().filter_map(|room| expected_summary(room, user, Cursor::at(*horizon))).collect();
            assert_same(found, expected);
        }
    }
    assert!(store.memberships(&user_id("nobody"), Position::END, Position::END).await.unwrap().is_empty());
}

/// The last event, membership change and ephemeral change of each room are told, also to those who left.
pub async fn the_last_activity_of_a_room_is_kept(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(&store, &alice).await;
    let mut quiet = TestRoom::create(&store, &alice).await;
    let joined = room.join(&store, &bob).await;
    quiet.join(&store, &bob).await;
    let said = room.say(&store, &alice, "hello").await;
    let of = async |user: &UserId, room: &TestRoom| {
        let all = store.memberships(user, Position::END, store.position().await).await.unwrap();
        all.into_iter().find(|membership| membership.room_id == room.id).unwrap()
    };
    for user in [&alice, &bob] {
        let membership = of(user, &room).await;
        assert_eq!(membership.last_event, said.cursor.position);
        assert_eq!(membership.last_membership, joined.cursor.position);
        assert_eq!(membership.encrypted_at, None);
    }
    let before = of(&alice, &room).await;
    let quiet_before = of(&alice, &quiet).await;
    let from = store.position().await;
    let receipt = Receipt {
        user_id: bob.clone(),
        kind: "m.read".to_owned(),
        thread_id: None,
        event_id: said.id(),
        at: 1,
        position: Position::START,
    };
    store.set_receipts(&room.id, vec![receipt]).await.unwrap();
    let after = of(&alice, &room).await;
    assert!(after.last_ephemeral >= from && after.last_ephemeral > before.last_ephemeral);
    assert_eq!(after.last_event, before.last_event);
    let from = store.position().await;
    store.set_typing(&room.id, &bob, Some(10_000)).await.unwrap();
    assert!(of(&alice, &room).await.last_ephemeral >= from);
    assert_eq!(of(&alice, &quiet).await, quiet_before);
    let encrypted = room.encrypt(&store).await;
    let membership = of(&bob, &room).await;
    assert_eq!(membership.last_event, encrypted.cursor.position);
    assert_eq!(membership.encrypted_at, Some(encrypted.cursor));
    assert_eq!(membership.last_membership, joined.cursor.position);
}

/// The standing in one room is read by itself; strangers have none.
pub async fn one_membership_is_read(store: Store) {
    let Cast { room, users } = cast(&store).await;
    for user in &users {
        let found = store.membership(&room.id, user).await.unwrap().unwrap();
        assert_eq!(Some(summary(&found)), expected_summary(&room, user, Cursor::END), "{user}");
    }
    assert_eq!(store.membership(&room.id, &user_id("stranger")).await.unwrap(), None);
    assert_eq!(store.membership(&room_id("unknown"), &users[0]).await.unwrap(), None);
}

/// A room that was left is forgotten until the user is invited or joins again; one cannot forget a room one is in.
pub async fn a_room_is_forgotten_until_the_next_invitation(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(&store, &alice).await;
    let listed = async |store: &Store| {
        let all = store.memberships(&bob, Position::END, store.position().await).await.unwrap();
        all.len() == 1
    };
    room.by_creator(&store, Action::Invite, &bob).await;
    assert!(!store.forget_room(&room.id, &bob).await.unwrap(), "invited");
    room.join(&store, &bob).await;
    assert!(!store.forget_room(&room.id, &bob).await.unwrap(), "joined");
    assert!(listed(&store).await);
    room.leave(&store, &bob).await;
    assert!(listed(&store).await);
    assert!(store.forget_room(&room.id, &bob).await.unwrap());
    assert!(!listed(&store).await);
    assert!(store.forget_room(&room.id, &bob).await.unwrap(), "forgetting again is harmless");
    let store = store.reopen().await;
    assert!(!listed(&store).await);
    assert_eq!(
        store.memberships(&alice, Position::END, store.position().await).await.unwrap().len(),
        1,
        "others do not forget"
    );
    assert_eq!(store.members(&room.id, None).await.unwrap().len(), 2, "the room does not forget");
    room.by_creator(&store, Action::Invite, &bob).await;
    assert!(listed(&store).await);
    room.by_creator(&store, Action::Ban, &bob).await;
    assert!(store.forget_room(&room.id, &bob).await.unwrap(), "banned");
    assert!(!listed(&store).await);
    room.by_creator(&store, Action::Unban, &bob).await;
    room.join(&store, &bob).await;
    assert!(listed(&store).await);
}

/// Whoever looked before the user left a room hears of the end, though it was forgotten since; nobody else does.
pub async fn the_end_of_a_forgotten_room_is_told_to_who_was_away(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(&store, &alice).await;
    room.join(&store, &bob).await;
    let inside = store.position().await;
    room.leave(&store, &bob).await;
    let outside = store.position().await;
    assert!(store.forget_room(&room.id, &bob).await.unwrap());
    let listed = async |from| store.memberships(&bob, from, store.position().await).await.unwrap().len();
    assert_eq!((listed(inside).await, listed(outside).await, listed(Position::END).await), (1, 0, 0));
    room.by_creator(&store, Action::Ban, &bob).await;
    assert_eq!(listed(outside).await, 0, "a ban is not the end of a room that was forgotten");
    assert_eq!(listed(inside).await, 1, "nor does it hide the end");
}

async fn sharing(
    store: &Store,
    user: &UserId,
    others: &[OwnedUserId],
    encrypted: bool,
    invited: bool,
) -> Vec<OwnedUserId> {
    store.sharing_rooms(user, others, encrypted, invited).await.unwrap()
}

/// Users share a room while both are joined (ENC-17), in the order asked.
pub async fn rooms_are_shared_by_those_joined(store: Store) {
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(user_id);
    for name in ["alice", "bob", "carol", "dave"] {
        store.user(name).await;
    }
    let (mut one, mut two) = (TestRoom::create(&store, &alice).await, TestRoom::create(&store, &alice).await);
    one.join(&store, &bob).await;
    two.join(&store, &bob).await;
    two.join(&store, &carol).await;
    let others = [dave.clone(), carol.clone(), user_id("nobody"), bob.clone()];
    assert_eq!(sharing(&store, &alice, &others, false, false).await, [carol.clone(), bob.clone()]);
    assert_eq!(sharing(&store, &bob, &[alice.clone(), dave.clone()], false, false).await, [alice.clone()]);
    assert!(sharing(&store, &dave, &[alice.clone(), bob.clone()], false, false).await.is_empty());
    assert!(sharing(&store, &alice, &[], false, false).await.is_empty());
    two.leave(&store, &bob).await;
    assert_eq!(sharing(&store, &alice, &others, false, false).await, [carol.clone(), bob.clone()], "by the first room");
    assert!(sharing(&store, &bob, &[carol.clone()], false, false).await.is_empty());
    two.leave(&store, &alice).await;
    assert_eq!(sharing(&store, &alice, &others, false, false).await, [bob]);
}

/// With the flag, the invited count too (DL-14); the one who asks must be joined.
pub async fn invited_users_share_if_asked(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(&store, &alice).await;
    room.by_creator(&store, Action::Invite, &bob).await;
    assert!(sharing(&store, &alice, std::slice::from_ref(&bob), false, false).await.is_empty());
    assert_eq!(sharing(&store, &alice, std::slice::from_ref(&bob), false, true).await, [bob.clone()]);
    assert!(sharing(&store, &bob, std::slice::from_ref(&alice), false, true).await.is_empty());
    room.leave(&store, &bob).await;
    assert!(sharing(&store, &alice, std::slice::from_ref(&bob), false, true).await.is_empty());
}

/// With the flag, only encrypted rooms count (DL-1, DL-6).
pub async fn a_shared_room_may_have_to_be_encrypted(store: Store) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(user_id);
    for name in ["alice", "bob", "carol"] {
        store.user(name).await;
    }
    let (mut plain, mut secret) = (TestRoom::create(&store, &alice).await, TestRoom::create(&store, &alice).await);
    plain.join(&store, &bob).await;
    secret.join(&store, &carol).await;
    secret.encrypt(&store).await;
    let others = [bob.clone(), carol.clone()];
    assert_eq!(sharing(&store, &alice, &others, true, false).await, [carol.clone()]);
    assert_eq!(sharing(&store, &alice, &others, false, false).await, others);
    plain.encrypt(&store).await;
    assert_eq!(sharing(&store, &alice, &others, true, false).await, others);
    secret.leave(&store, &carol).await;
    assert_eq!(sharing(&store, &alice, &others, true, true).await, [bob]);
    let after = store.membership(&secret.id, &carol).await.unwrap().unwrap();
    assert_eq!(after.membership, Membership::Leave);
}
