//! Who takes part: users with two devices each, of whom all but the last share an encrypted room.

use olmstead_storage::devices::DeviceRef;
use ruma::{OwnedRoomId, OwnedUserId};

/// How many there are.
pub(crate) const USERS: usize = 3;
/// Devices of all users.
pub(crate) const DEVICES: usize = 2 * USERS;

/// A user by number.
pub(crate) fn user(number: usize) -> OwnedUserId {
    format!("@user{number}:example.org").try_into().unwrap()
}

/// The number of a user.
pub(crate) fn number(user_id: &str) -> usize {
    (0..USERS).find(|number| user(*number) == user_id).unwrap()
}

/// A device by number.
pub(crate) fn device(number: usize) -> DeviceRef {
    DeviceRef {
        user_id: user(number / 2),
        device_id: format!("D{number}").into(),
        generation: u64::try_from(number).unwrap() + 1,
    }
}

/// A text for a device.
pub(crate) fn name(device: &DeviceRef) -> String {
    format!("{}/{}", device.user_id, device.device_id)
}

/// Those in the room.
pub(crate) fn sharing() -> Vec<OwnedUserId> {
    (0..USERS - 1).map(user).collect()
}

/// Whether one is told of the keys of another.
pub(crate) fn is_told_of(one: usize, other: usize) -> bool {
    one == other || (one < USERS - 1 && other < USERS - 1)
}

/// The room.
pub(crate) fn room() -> OwnedRoomId {
    "!room:example.org".try_into().unwrap()
}
