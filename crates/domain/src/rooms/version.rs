//! Room versions this server knows (ENC-7).

use std::fmt;

use ruma::{RoomVersionId, room_version_rules::RoomVersionRules};
use serde::{Deserialize, Serialize};

use super::RoomError;

static RULES_10: RoomVersionRules = RoomVersionRules::V10;
static RULES_11: RoomVersionRules = RoomVersionRules::V11;
static RULES_12: RoomVersionRules = RoomVersionRules::V12;

/// A supported room version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoomVersion {
    /// Version 10: integer power levels, `knock_restricted`.
    #[serde(rename = "10")]
    V10,
    /// Version 11: `redacts` in the content, the creator is the sender.
    #[serde(rename = "11")]
    V11,
    /// Version 12: the room id is the hash of the create event, creators cannot be demoted.
    #[serde(rename = "12")]
    V12,
}

impl RoomVersion {
    /// Every supported version, oldest first.
    pub const ALL: [Self; 3] = [Self::V10, Self::V11, Self::V12];
    /// The version of a room whose creator does not choose.
    pub const DEFAULT: Self = Self::V12;

    /// Reads a version string; an unknown one is `UnsupportedRoomVersion`.
    pub fn parse(version: &str) -> Result<Self, RoomError> {
        match version {
            "10" => Ok(Self::V10),
            "11" => Ok(Self::V11),
            "12" => Ok(Self::V12),
            other => Err(RoomError::UnsupportedRoomVersion(other.to_owned())),
        }
    }

    /// The version as it stands in `m.room.create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V10 => "10",
            Self::V11 => "11",
            Self::V12 => "12",
        }
    }

    /// The version as the protocol library names it.
    pub fn id(self) -> RoomVersionId {
        match self {
            Self::V10 => RoomVersionId::V10,
            Self::V11 => RoomVersionId::V11,
            Self::V12 => RoomVersionId::V12,
        }
    }

    /// The rules of this version.
    pub fn rules(self) -> &'static RoomVersionRules {
        match self {
            Self::V10 => &RULES_10,
            Self::V11 => &RULES_11,
            Self::V12 => &RULES_12,
        }
    }

    /// Whether `m.room.redaction` names its target in the content (from version 11).
    pub fn redacts_in_content(self) -> bool {
        self >= Self::V11
    }

    /// Whether `m.room.create` must carry `creator` in its content (up to version 10).
    pub fn creator_in_content(self) -> bool {
        self == Self::V10
    }

    /// Whether the room id is the hash of the create event, and its creators stand above all
    /// power levels (from version 12).
    pub fn is_create_hash(self) -> bool {
        self >= Self::V12
    }
}

impl Default for RoomVersion {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
