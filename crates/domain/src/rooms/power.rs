//! Power levels: who may do what.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    Int, OwnedUserId, UserId, power_levels::NotificationPowerLevels, push::PushConditionPowerLevelsCtx,
    room_version_rules::RoomPowerLevelsRules,
};
use serde_json::{Map, Value};

use super::{Pdu, RoomVersion};

/// The members of `m.room.power_levels` that are one integer.
pub(crate) const INTEGER_FIELDS: &[&str] =
    &["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"];

/// The level an event type has when nothing names it and there is no `state_default`.
const DEFAULT_MODERATOR: i64 = 50;

/// A user's power level. Creators of version 12 rooms stand above every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A level given by `m.room.power_levels`, or by default.
    Int(i64),
    /// Above every integer.
    Infinite,
}

/// The power levels in force in a room.
///
/// Reading is lenient: what is malformed counts as absent, as the authorisation rules keep
/// malformed events out of the state.
#[derive(Debug, Clone)]
pub struct PowerLevels {
    version: RoomVersion,
    creators: BTreeSet<OwnedUserId>,
    defined: bool,
    users: BTreeMap<OwnedUserId, i64>,
    events: BTreeMap<String, i64>,
    notifications: BTreeMap<String, i64>,
    single: BTreeMap<&'static str, i64>,
}

impl PowerLevels {
    /// Reads the levels from the create event and the power levels event, if there is one.
    pub fn read(create: &Pdu, power_levels: Option<&Pdu>) -> Self {
        let content: Map<String, Value> = power_levels.and_then(|pdu| pdu.content_as().ok()).unwrap_or_default();
        let map = |field: &str| -> BTreeMap<String, i64> {
            let levels = content.get(field).and_then(Value::as_object);
            levels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_i64()?))).collect()
        };
        Self {
            version: create.version(),
            creators: creators(create),
            defined: power_levels.is_some(),
            users: map("users")
                .into_iter()
                .filter_map(|(user, level)| Some((UserId::parse(user).ok()?, level)))
                .collect(),
            events: map("events"),
            notifications: map("notifications"),
            single: INTEGER_FIELDS.iter().filter_map(|field| Some((*field, content.get(*field)?.as_i64()?))).collect(),
        }
    }

    /// The room's creators: the sender of the create event, from version 12 on also those named
    /// in `additional_creators`.
    pub fn creators(&self) -> &BTreeSet<OwnedUserId> {
        &self.creators
    }

    /// The power level of a user.
    pub fn user(&self, user: &UserId) -> Level {
        let creator = self.creators.contains(user);
        if creator && self.version.is_create_hash() {
            return Level::Infinite;
        }
        if creator && !self.defined {
            return Level::Int(100);
        }
        Level::Int(self.users.get(user).copied().unwrap_or_else(|| self.single("users_default", 0)))
    }

    /// The level needed to send an event of this type.
    pub fn needed_for(&self, kind: &str, is_state: bool) -> i64 {
        self.events.get(kind).copied().unwrap_or_else(|| {
            if is_state { self.single("state_default", DEFAULT_MODERATOR) } else { self.single("events_default", 0) }
        })
    }

    /// Whether the user's level allows sending an event of this type.
    pub fn can_send(&self, user: &UserId, kind: &str, is_state: bool) -> bool {
        self.user(user) >= Level::Int(self.needed_for(kind, is_state))
    }

    /// Whether the user's level allows inviting.
    pub fn can_invite(&self, user: &UserId) -> bool {
        self.reaches(user, "invite", 0)
    }

    /// Whether the user's level allows removing `target` from the room.
    pub fn can_kick(&self, user: &UserId, target: &UserId) -> bool {
        self.reaches(user, "kick", DEFAULT_MODERATOR) && self.user(target) < self.user(user)
    }

    /// Whether the user's level allows banning `target`.
    pub fn can_ban(&self, user: &UserId, target: &UserId) -> bool {
        self.reaches(user, "ban", DEFAULT_MODERATOR) && self.user(target) < self.user(user)
    }

    /// Whether the user's level allows lifting the ban of `target`: it takes the level to ban
    /// and the level to kick.
    pub fn can_unban(&self, user: &UserId, target: &UserId) -> bool {
        self.reaches(user, "ban", DEFAULT_MODERATOR) && self.can_kick(user, target)
    }

    /// Whether a redaction by `user` of an event by `author` takes effect for a client of this
    /// server: one's own events, or anybody's with the redact level.
    pub fn can_redact(&self, user: &UserId, author: &UserId) -> bool {
        user == author || self.reaches(user, "redact", DEFAULT_MODERATOR)
    }

    /// Whether a redaction takes effect between servers (room versions, "Handling redactions"):
    /// the redact level, or the same server.
    pub fn redaction_applies(&self, redacter: &UserId, author: &UserId) -> bool {
        redacter.server_name() == author.server_name() || self.reaches(redacter, "redact", DEFAULT_MODERATOR)
    }

    /// The level needed to notify under `key`, such as `room` for `@room`.
    pub fn notification_level(&self, key: &str) -> i64 {
        self.notifications.get(key).copied().unwrap_or(DEFAULT_MODERATOR)
    }

    /// Whether the user's level allows notifying under `key`.
    pub fn can_notify(&self, user: &UserId, key: &str) -> bool {
        self.user(user) >= Level::Int(self.notification_level(key))
    }

    /// The levels in the form the push rules want.
    pub fn for_push(&self) -> PushConditionPowerLevelsCtx {
        let int = |level: i64| Int::new_saturating(level);
        let mut notifications = NotificationPowerLevels::new();
        notifications.room = int(self.notification_level("room"));
        let mut users: BTreeMap<OwnedUserId, Int> =
            self.users.iter().map(|(user, level)| (user.clone(), int(*level))).collect();
        if !self.defined && !self.version.is_create_hash() {
            users.extend(self.creators.iter().map(|user| (user.clone(), int(100))));
        }
        PushConditionPowerLevelsCtx::new(
            users,
            int(self.single("users_default", 0)),
            notifications,
            RoomPowerLevelsRules::new(&self.version.rules().authorization, self.creators.iter().cloned()),
        )
    }

    fn reaches(&self, user: &UserId, field: &'static str, default: i64) -> bool {
        self.user(user) >= Level::Int(self.single(field, default))
    }

    fn single(&self, field: &'static str, default: i64) -> i64 {
        self.single.get(field).copied().unwrap_or(default)
    }
}

/// The creators a create event names.
fn creators(create: &Pdu) -> BTreeSet<OwnedUserId> {
    let mut creators = BTreeSet::new();
    let version = create.version();
    if version.creator_in_content() {
        creators.extend(create.content_field::<OwnedUserId>("creator"));
    } else {
        creators.insert(create.sender().to_owned());
    }
    if version.is_create_hash() {
        creators.extend(create.content_field::<Vec<OwnedUserId>>("additional_creators").unwrap_or_default());
    }
    creators
}

/// The joined user who is to vouch for a restricted join (room version 8 and later,
/// `join_authorised_via_users_server`): of the joined users given, the one with the most power,
/// if that suffices to invite.
///
/// Pass only users of this server, which signs for them.
pub fn restricted_join_voucher<'a>(
    levels: &PowerLevels,
    joined: impl IntoIterator<Item = &'a UserId>,
) -> Option<&'a UserId> {
    joined.into_iter().filter(|user| levels.can_invite(user)).max_by_key(|user| levels.user(user))
}
