//! What a user set that changes how their events are shown or counted.

use std::{
    collections::BTreeSet,
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use olmstead_domain::{json::RawJson, position::Position, push::rules_of};
use olmstead_storage::account_data::{IGNORED_USERS, PUSH_RULES};
use ruma::{OwnedUserId, UserId, push::Ruleset};
use serde::Deserialize;

use crate::{Context, Result};

/// A user's push rules and ignored users.
#[derive(Debug)]
pub(crate) struct UserSettings {
    /// Changes below this position are in it.
    pub(crate) as_of: Position,
    /// Changes with the settings.
    pub(crate) version: u64,
    /// The push rules.
    pub(crate) rules: Ruleset,
    /// Users whose messages and invitations are not shown.
    pub(crate) ignored: BTreeSet<OwnedUserId>,
}

impl UserSettings {
    /// The settings as of `horizon` or later. `changed` is where they were last set, from the read that the answer began
    /// with: so what this node keeps is never older than what another node has answered with.
    pub(crate) async fn load(
        cx: &Context,
        user_id: &UserId,
        changed: Position,
        horizon: Position,
    ) -> Result<Arc<Self>> {
        if let Some(settings) = cx.caches.settings.get(user_id).filter(|settings| changed < settings.as_of) {
            return Ok(settings);
        }
        let (rules, ignored) = tokio::try_join!(
            cx.storage.account_data(user_id, None, PUSH_RULES),
            cx.storage.account_data(user_id, None, IGNORED_USERS),
        )?;
        let mut version = std::hash::DefaultHasher::new();
        rules.as_ref().map(RawJson::get).hash(&mut version);
        ignored.as_ref().map(RawJson::get).hash(&mut version);
        let settings = Arc::new(Self {
            as_of: horizon,
            version: version.finish(),
            rules: rules_of(user_id, rules.as_ref().map(RawJson::as_raw)),
            ignored: ignored.map(|content| ignored_users(&content)).unwrap_or_default(),
        });
        cx.caches.settings.insert(user_id.to_owned(), Arc::clone(&settings));
        Ok(settings)
    }
}

/// The keys of `ignored_users`; what is not a user id, or the whole of another shape, ignores nobody.
fn ignored_users(content: &RawJson) -> BTreeSet<OwnedUserId> {
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        ignored_users: std::collections::BTreeMap<String, serde::de::IgnoredAny>,
    }
    let content: Result<Content, _> = content.read();
    content.map_or_else(
        |_| BTreeSet::new(),
        |content| content.ignored_users.into_keys().filter_map(|user_id| user_id.parse().ok()).collect(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ignored_users_are_read_leniently() {
        let read = |text: &str| ignored_users(&RawJson::from_text(text.to_owned()).unwrap());
        assert_eq!(read(r#"{"ignored_users":{"@a:b":{},"nobody":{},"@c:d":1}}"#).len(), 2);
        for text in ["{}", "[]", "3", r#"{"ignored_users":[]}"#] {
            assert!(read(text).is_empty(), "{text}");
        }
    }
}
