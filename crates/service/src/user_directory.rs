//! Searching for users. All active accounts of this server are considered, which includes everyone a user can see by
//! shared or public rooms: an operator who wants users hidden from each other needs another server.

use olmstead_storage::devices::Session;
use ruma::OwnedUserId;
use serde_json::Value;

use crate::{Context, Result, profile};

/// Results when the client does not say how many.
pub const DEFAULT_LIMIT: usize = 10;
/// The most results.
const MAX_LIMIT: usize = 100;

/// A user found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Who.
    pub user_id: OwnedUserId,
    /// The display name.
    pub display_name: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

/// Users whose id or display name contains the term, without the caller, and whether there were more.
///
/// # Errors
/// Only the store's.
pub async fn search(cx: &Context, session: &Session, term: &str, limit: usize) -> Result<(Vec<Found>, bool)> {
    let limit = limit.min(MAX_LIMIT);
    // One more tells whether there are more, another makes up for the caller.
    let mut users = cx.storage.search_users(term.trim(), limit + 2).await?;
    users.retain(|user_id| *user_id != session.device.user_id);
    let limited = users.len() > limit;
    users.truncate(limit);
    let mut found = Vec::with_capacity(users.len());
    for user_id in users {
        let fields = cx.storage.profile(&user_id).await?.unwrap_or_default();
        let text = |name: &str| match profile::field_of(&fields, name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (display_name, avatar_url) = (text(profile::DISPLAY_NAME), text(profile::AVATAR_URL));
        found.push(Found { user_id, display_name, avatar_url });
    }
    Ok((found, limited))
}
