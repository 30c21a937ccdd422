//! What the endpoints of rooms take in paths and queries.

use std::str::FromStr;

use olmstead_domain::{identifiers::MAX_ID_BYTES, position::TimelineToken};
use olmstead_service::{Refusal, ServiceError};
use olmstead_storage::rooms::Direction;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IntoDeserializer as _},
};

use crate::error::ApiError;

/// An identifier of at most 255 bytes; anything else in its place is `M_INVALID_PARAM`.
#[derive(Debug, Clone)]
pub(super) struct Id<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX_ID_BYTES {
            return Err(D::Error::custom("an identifier is longer than 255 bytes"));
        }
        let deserializer: serde::de::value::StringDeserializer<D::Error> = text.into_deserializer();
        T::deserialize(deserializer).map(Self)
    }
}

/// Parses an identifier of a body.
pub(super) fn id<T: FromStr>(what: &str, text: &str) -> Result<T, ApiError> {
    text.parse()
        .ok()
        .filter(|_| text.len() <= MAX_ID_BYTES)
        .ok_or_else(|| ApiError::refused(Refusal::InvalidParam, format!("{text:?} is not a {what}.")))
}

/// A pagination token; an empty one counts as none.
pub(super) fn token(text: Option<&str>) -> Result<Option<TimelineToken>, ApiError> {
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|_| ServiceError::invalid_param("The pagination token was not issued by this server.").into())
        })
        .transpose()
}

/// A direction, `b` or `f`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Dir {
    #[serde(rename = "b")]
    Backward,
    #[serde(rename = "f")]
    Forward,
}

impl From<Dir> for Direction {
    fn from(dir: Dir) -> Self {
        match dir {
            Dir::Backward => Self::Backward,
            Dir::Forward => Self::Forward,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ruma::OwnedRoomId;

    use super::*;

    #[test]
    fn identifiers_have_a_form_and_a_length() {
        let read = |text: &str| serde_json::from_value::<Id<OwnedRoomId>>(text.into());
        assert_eq!(read("!a:b.c").unwrap().0, "!a:b.c");
        assert!(read("$a:b.c").is_err());
        assert!(read(&format!("!{}:b.c", "a".repeat(251))).is_err());
        assert!(id::<OwnedRoomId>("room id", &format!("!{}", "a".repeat(255))).is_err());
        assert!(id::<OwnedRoomId>("room id", "a").is_err());
    }

    #[test]
    fn tokens_are_ours_or_none() {
        assert!(token(None).unwrap().is_none());
        assert!(token(Some("")).unwrap().is_none());
        assert!(token(Some("t7.2")).unwrap().is_some());
        assert!(token(Some("s1_7_3")).unwrap().is_some());
        assert!(token(Some("7")).is_err());
    }
}
