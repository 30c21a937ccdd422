//! `GET /_olmstead/admin/v1/users`: accounts, some at a time or those that are searched for.

use olmstead_storage::accounts::Account;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{
    Context, Result,
    admin::{e2ee::inspect::standing, page_size},
};

/// The query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Users after this one, in order of ids. Of no meaning for a search.
    pub from: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
    /// Users whose id or display name contains this, whatever the case. Deactivated ones are not found.
    pub search: Option<String>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub user_id: OwnedUserId,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Words for what is not ordinary: `deactivated`, `locked`, `suspended`, `guest`, `admin`.
    pub standing: Vec<String>,
}

/// The answer: a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// In order of ids.
    pub users: Vec<User>,
    /// For `from`, if there may be more users. A search has no further pages.
    pub next: Option<OwnedUserId>,
}

/// Reads a page.
///
/// # Errors
/// [`crate::Refusal::InvalidParam`] if `from` is no user of this server.
pub async fn list(cx: &Context, request: &Request) -> Result<Response> {
    let limit = page_size(request.limit);
    let mut response = Response::default();
    if let Some(term) = &request.search {
        for user_id in cx.storage.search_users(term, limit).await? {
            // It may be gone by now.
            response.users.extend(cx.storage.account(&user_id).await?.as_ref().map(user));
        }
        return Ok(response);
    }
    let from = request.from.as_deref().map(|text| super::local(cx, text)).transpose()?;
    let accounts = cx.storage.accounts_after(from.as_deref(), limit).await?;
    response.users = accounts.iter().map(user).collect();
    if accounts.len() == limit {
        response.next = accounts.last().map(|account| account.user_id.clone());
    }
    Ok(response)
}

fn user(account: &Account) -> User {
    User { user_id: account.user_id.clone(), created_at: account.created_at, standing: standing(account) }
}
