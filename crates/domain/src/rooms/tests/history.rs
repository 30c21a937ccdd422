//! History visibility (ENC-12).

use MembershipState as M;
use serde_json::json;

use super::*;
use crate::rooms::visibility::{Ask, HistoryVisibility as H};

fn ask(visibility: H, membership: M, joined_later: bool) -> Ask {
    Ask { visibility, new_visibility: None, membership, new_membership: None, joined_later }
}

#[test]
fn the_table_of_settings_and_memberships() {
    // For each setting: join, invite, knock, leave, ban at the event; not joined later, then joined later.
    let table = [
        (H::WorldReadable, [true, true, true, true, true], [true, true, true, true, true]),
        (H::Shared, [true, false, false, false, false], [true, true, true, true, true]),
        (H::Invited, [true, true, false, false, false], [true, true, false, false, false]),
        (H::Joined, [true, false, false, false, false], [true, false, false, false, false]),
    ];
    let memberships = [M::Join, M::Invite, M::Knock, M::Leave, M::Ban];
    for (setting, never, later) in table {
        for (index, membership) in memberships.iter().enumerate() {
            assert_eq!(ask(setting, membership.clone(), false).may_see(), never[index], "{setting:?} {membership}");
            assert_eq!(ask(setting, membership.clone(), true).may_see(), later[index], "{setting:?} {membership}");
        }
    }
}

#[test]
fn a_change_of_the_setting_shows_if_either_side_does() {
    for (before, after, expected) in [
        (H::WorldReadable, H::Joined, true),
        (H::Joined, H::WorldReadable, true),
        (H::Joined, H::Shared, false),
        (H::Shared, H::Invited, false),
    ] {
        let ask = Ask { new_visibility: Some(after), ..ask(before, M::Leave, false) };
        assert_eq!(ask.may_see(), expected);
    }
}

#[test]
fn own_member_events_show_if_either_side_does() {
    for (before, after, expected) in [
        (M::Leave, M::Join, true),
        (M::Join, M::Leave, true),
        (M::Join, M::Ban, true),
        (M::Leave, M::Invite, false),
        (M::Invite, M::Leave, false),
    ] {
        let ask = Ask { new_membership: Some(after), ..ask(H::Joined, before, false) };
        assert_eq!(ask.may_see(), expected);
    }
}

#[test]
fn questions_are_read_from_events() {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    let before = room.text(ALICE, "before");
    let setting = room.set(ALICE, "m.room.history_visibility", "", json!({ "history_visibility": "joined" })).unwrap();
    let joined = room.join(BOB).unwrap();
    let shared = room.events.iter().find(|e| e.kind() == "m.room.history_visibility").cloned();
    let bob = user(BOB);
    assert!(Ask::about(&before, &bob, shared.as_ref(), None, true).may_see());
    assert!(!Ask::about(&before, &bob, shared.as_ref(), None, false).may_see());
    assert!(Ask::about(&setting, &bob, shared.as_ref(), None, true).may_see());
    assert!(Ask::about(&joined, &bob, Some(&setting), None, false).may_see());
    assert!(!Ask::about(&joined, &user(CAROL), Some(&setting), None, true).may_see());
    assert!(Ask::about(&before, &bob, Some(&setting), Some(&joined), false).may_see());
    assert_eq!(H::read(None), H::Shared);
    let odd = room.set(ALICE, "m.room.history_visibility", "", json!({ "history_visibility": "odd" })).unwrap();
    assert_eq!(H::read(Some(&odd)), H::Shared);
}
