//! Membership: what the client API calls invite, join, leave, kick, ban, unban and knock, and
//! the events that say so.

use ruma::{OwnedRoomId, OwnedUserId, UserId, events::room::member::MembershipState};
use serde::{Deserialize, Serialize};

use super::{EventTemplate, Pdu, RoomError};

/// What member events tell about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar, an `mxc:` URI.
    pub avatar_url: Option<String>,
}

/// A change of membership, in the words of the client API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask somebody into the room.
    Invite,
    /// Enter the room.
    Join,
    /// Leave the room, refuse an invitation or take back a knock.
    Leave,
    /// Remove somebody else.
    Kick,
    /// Remove and keep out.
    Ban,
    /// Lift a ban.
    Unban,
    /// Ask to be invited.
    Knock,
}

/// What is to be done about a change of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the event; the authorisation rules have the last word.
    Send,
    /// The membership is already so: answer with success and send nothing.
    Nothing,
}

impl Action {
    /// Whether the change makes sense from the target's current membership (`None`: never had
    /// one).
    ///
    /// This tells apart what the event alone cannot: kick, unban and leave are all `leave`.
    /// Power levels and join rules are left to the authorisation rules.
    ///
    /// # Errors
    ///
    /// `Forbidden` with the reason.
    pub fn check(self, current: Option<&MembershipState>) -> Result<Step, RoomError> {
        use MembershipState as M;
        let no = |reason: &str| Err(RoomError::Forbidden(reason.to_owned()));
        match (self, current) {
            (Self::Join, Some(M::Join)) | (Self::Leave, Some(M::Leave)) => Ok(Step::Nothing),
            (Self::Knock, Some(M::Knock)) => Ok(Step::Nothing),
            (Self::Join | Self::Knock, Some(M::Ban)) => no("you are banned from this room"),
            (Self::Knock, Some(M::Join)) => no("you are in this room already"),
            (Self::Knock, Some(M::Invite)) => no("you are invited to this room already"),
            (Self::Leave, Some(M::Ban)) => no("you are banned from this room"),
            (Self::Leave, None) => no("you are not in this room"),
            (Self::Invite, Some(M::Join)) => no("the user is in the room already"),
            (Self::Invite, Some(M::Ban)) => no("the user is banned from the room"),
            (Self::Kick, Some(M::Ban)) => no("the user is banned; lift the ban instead"),
            (Self::Kick, None | Some(M::Leave)) => no("the user is not in the room"),
            (Self::Unban, current) if current != Some(&M::Ban) => no("the user is not banned"),
            _ => Ok(Step::Send),
        }
    }

    /// The membership the change leads to.
    pub fn membership(self) -> MembershipState {
        match self {
            Self::Invite => MembershipState::Invite,
            Self::Join => MembershipState::Join,
            Self::Leave | Self::Kick | Self::Unban => MembershipState::Leave,
            Self::Ban => MembershipState::Ban,
            Self::Knock => MembershipState::Knock,
        }
    }
}

/// Whether a user may forget a room: not while joined, invited or knocking.
///
/// # Errors
///
/// `InvalidParam`: the user has to leave first.
pub fn check_forget(current: Option<&MembershipState>) -> Result<(), RoomError> {
    match current {
        Some(MembershipState::Join | MembershipState::Invite | MembershipState::Knock) => {
            Err(RoomError::InvalidParam("leave the room before you forget it".into()))
        }
        _ => Ok(()),
    }
}

/// Everything that goes into a member event.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The change.
    pub action: Action,
    /// Who sends the event.
    pub sender: &'a UserId,
    /// Whose membership changes.
    pub target: &'a UserId,
    /// The target's profile; used for join, invite and knock.
    pub profile: Profile,
    /// Why.
    pub reason: Option<&'a str>,
    /// For an invitation: whether it opens a direct chat.
    pub is_direct: bool,
    /// For a restricted join: the member who vouches.
    pub voucher: Option<&'a UserId>,
    /// The time, in milliseconds since 1970.
    pub origin_server_ts: u64,
}

#[derive(Serialize)]
struct MemberContent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_direct: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    join_authorised_via_users_server: Option<&'a UserId>,
    membership: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// A user's own change: join, leave or knock.
    pub fn own(action: Action, user: &'a UserId, profile: Profile, origin_server_ts: u64) -> Self {
        Self {
            action,
            sender: user,
            target: user,
            profile,
            reason: None,
            is_direct: false,
            voucher: None,
            origin_server_ts,
        }
    }

    /// The member event to send.
    pub fn template(&self) -> EventTemplate {
        let membership = self.action.membership();
        let shows_profile = matches!(self.action, Action::Invite | Action::Join | Action::Knock);
        let content = MemberContent {
            avatar_url: self.profile.avatar_url.as_deref().filter(|_| shows_profile),
            displayname: self.profile.displayname.as_deref().filter(|_| shows_profile),
            is_direct: self.is_direct && self.action == Action::Invite,
            join_authorised_via_users_server: self.voucher.filter(|_| self.action == Action::Join),
            membership: membership.as_str(),
            reason: self.reason,
        };
        EventTemplate::state(
            self.sender,
            "m.room.member",
            self.target.as_str(),
            super::raw(&content),
            self.origin_server_ts,
        )
    }
}

/// Who may enter a room, as `m.room.join_rules` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRule {
    /// The rule, such as `invite` or `restricted`. Without an event it is `invite`.
    pub rule: String,
    /// For restricted rooms: the rooms whose members may join.
    pub allowed_rooms: Vec<OwnedRoomId>,
}

impl JoinRule {
    /// Reads the join rules event; entries that are not understood are left out.
    pub fn read(event: Option<&Pdu>) -> Self {
        #[derive(Deserialize)]
        struct Allow {
            #[serde(rename = "type")]
            kind: Option<String>,
            room_id: Option<OwnedRoomId>,
        }
        let rule = event.and_then(|e| e.content_field("join_rule"));
        let allow: Vec<serde_json::Value> = event.and_then(|e| e.content_field("allow")).unwrap_or_default();
        Self {
            rule: rule.unwrap_or_else(|| "invite".to_owned()),
            allowed_rooms: allow
                .into_iter()
                .filter_map(|entry| serde_json::from_value::<Allow>(entry).ok())
                .filter(|entry| entry.kind.as_deref() == Some("m.room_membership"))
                .filter_map(|entry| entry.room_id)
                .collect(),
        }
    }

    /// Whether members of other rooms may join by themselves.
    pub fn is_restricted(&self) -> bool {
        matches!(self.rule.as_str(), "restricted" | "knock_restricted")
    }

    /// Whether anybody may join.
    pub fn is_public(&self) -> bool {
        self.rule == "public"
    }

    /// Whether a restricted join needs a vouching member: only without an invitation.
    pub fn needs_voucher(&self, current: Option<&MembershipState>) -> bool {
        self.is_restricted() && !matches!(current, Some(MembershipState::Join | MembershipState::Invite))
    }
}

/// A user's membership and where it stands, for a lookup in the room state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Whose.
    pub user: OwnedUserId,
    /// The membership.
    pub state: MembershipState,
}

impl Membership {
    /// Reads a member event; `None` if it is not one.
    pub fn read(event: &Pdu) -> Option<Self> {
        Some(Self { user: UserId::parse(event.state_key()?).ok()?, state: event.membership()? })
    }
}

/// The membership of a user by a state lookup, `leave` if there is none.
pub fn membership_of(event: Option<&Pdu>) -> MembershipState {
    event.and_then(Pdu::membership).unwrap_or(MembershipState::Leave)
}
