//! History visibility: which events a user may see (ENC-12).

use ruma::{UserId, events::room::member::MembershipState};

use super::Pdu;

/// The `m.room.history_visibility` setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryVisibility {
    /// Members see events from their joining on.
    Joined,
    /// Members see events from their invitation on.
    Invited,
    /// Members see everything.
    Shared,
    /// Everybody sees everything.
    WorldReadable,
}

impl HistoryVisibility {
    /// Reads the state event; no event and unknown values mean `shared`.
    pub fn read(event: Option<&Pdu>) -> Self {
        let value: Option<String> = event.and_then(|e| e.content_field("history_visibility"));
        match value.as_deref() {
            Some("joined") => Self::Joined,
            Some("invited") => Self::Invited,
            Some("world_readable") => Self::WorldReadable,
            _ => Self::Shared,
        }
    }
}

/// A question: may this user see this event?
///
/// "Before" means the room state just before the event, at its place in the graph.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The setting before the event.
    pub visibility: HistoryVisibility,
    /// The setting the event makes, if it is an `m.room.history_visibility` event.
    pub new_visibility: Option<HistoryVisibility>,
    /// The asker's membership before the event.
    pub membership: MembershipState,
    /// The asker's membership after the event, if it is their own member event.
    pub new_membership: Option<MembershipState>,
    /// Whether the asker joined the room at any time after the event, even if they left again.
    pub joined_later: bool,
}

impl Ask {
    /// The question about `event`, asked by `asker`.
    ///
    /// `visibility` and `membership` are the state events before it.
    pub fn about(
        event: &Pdu,
        asker: &UserId,
        visibility: Option<&Pdu>,
        membership: Option<&Pdu>,
        joined_later: bool,
    ) -> Self {
        let is_setting = event.is_state_of("m.room.history_visibility", "");
        let is_own = event.is_state_of("m.room.member", asker.as_str());
        Self {
            visibility: HistoryVisibility::read(visibility),
            new_visibility: is_setting.then(|| HistoryVisibility::read(Some(event))),
            membership: super::membership::membership_of(membership),
            new_membership: is_own.then(|| super::membership::membership_of(Some(event))),
            joined_later,
        }
    }

    /// The answer.
    ///
    /// A change of the setting is visible if the setting before or after it allows; a user's own
    /// member event if their membership before or after it allows.
    pub fn may_see(&self) -> bool {
        let settings = [Some(self.visibility), self.new_visibility];
        let memberships = [Some(&self.membership), self.new_membership.as_ref()];
        settings
            .into_iter()
            .flatten()
            .any(|setting| memberships.into_iter().flatten().any(|membership| self.allows(setting, membership)))
    }

    fn allows(&self, setting: HistoryVisibility, membership: &MembershipState) -> bool {
        match (setting, membership) {
            (HistoryVisibility::WorldReadable, _) | (_, MembershipState::Join) => true,
            (HistoryVisibility::Shared, _) => self.joined_later,
            (HistoryVisibility::Invited, MembershipState::Invite) => true,
            _ => false,
        }
    }
}
