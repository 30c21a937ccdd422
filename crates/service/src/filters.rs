//! Stored filters.

use olmstead_domain::{
    filter::Filter,
    json::{self, RawJson},
};
use olmstead_storage::devices::Session;
use ruma::UserId;

use crate::{Context, Result, ServiceError, account_data::for_oneself};

/// Stores a filter and returns its id.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for another user; `BadJson` or `TooLarge` for what is not a filter.
pub async fn create(cx: &Context, session: &Session, user_id: &UserId, filter: RawJson) -> Result<String> {
    for_oneself(session, user_id)?;
    json::check_readable(filter.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    Filter::parse(filter.get()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    Ok(cx.storage.put_filter(user_id, filter).await?)
}

/// A stored filter as it was given.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for another user, `NotFound` for an unknown id.
pub async fn get(cx: &Context, session: &Session, user_id: &UserId, filter_id: &str) -> Result<RawJson> {
    for_oneself(session, user_id)?;
    let filter = cx.storage.filter(user_id, filter_id).await?;
    filter.ok_or_else(|| ServiceError::not_found("There is no such filter."))
}
