//! Finds the filter a request names.

use std::sync::Arc;

use olmstead_domain::filter::Filter;
use ruma::UserId;

use crate::{Context, Result, ServiceError};

/// The filter of a request: JSON if it starts with a brace, else the id of a stored one.
///
/// # Errors
/// `InvalidParam` for an unknown id or a filter of the wrong shape.
pub(super) async fn resolve(cx: &Context, user_id: &UserId, filter: Option<&str>) -> Result<Arc<Filter>> {
    let Some(text) = filter.filter(|text| !text.is_empty()) else { return Ok(Arc::default()) };
    if text.starts_with('{') {
        return parse(text);
    }
    let key = (user_id.to_owned(), text.to_owned());
    if let Some(filter) = cx.caches.filters.get(&key) {
        return Ok(filter);
    }
    let stored = cx.storage.filter(user_id, text).await?;
    let stored = stored.ok_or_else(|| ServiceError::invalid_param("There is no filter with this id."))?;
    let filter = parse(stored.get())?;
    cx.caches.filters.insert(key, Arc::clone(&filter));
    Ok(filter)
}

fn parse(text: &str) -> Result<Arc<Filter>> {
    Filter::parse(text).map(Arc::new).map_err(|error| ServiceError::invalid_param(error.to_string()))
}
