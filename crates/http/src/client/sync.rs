//! `GET /sync` (SYNC-1…18).

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::get,
};
use olmstead_service::{
    Refusal,
    sync::{SetPresence, StateAfter, SyncRequest, sync},
};
use serde::Deserialize;

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::{ApiError, ApiResult},
    extract::Query,
    routes::ClientRoutes as _,
};

pub(super) fn routes() -> Router<App> {
    Router::new().v3("/sync", get(handler))
}

/// The query as text; parameters that are not known are ignored.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    filter: Option<String>,
    since: Option<String>,
    full_state: Option<String>,
    set_presence: Option<String>,
    timeout: Option<String>,
    use_state_after: Option<String>,
    #[serde(rename = "org.matrix.msc4222.use_state_after")]
    use_state_after_unstable: Option<String>,
}

/// Reads a query, for fuzzers.
pub(super) fn fuzz_query(uri: &axum::http::Uri) {
    if let Ok(query) = axum::extract::Query::<Parameters>::try_from_uri(uri) {
        assert!(query.0.since.is_none_or(|since| since.len() <= uri.to_string().len()));
    }
}

async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<impl IntoResponse> {
    let body = sync(&app.cx, &auth.device, request(parameters)?).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body))
}

fn request(parameters: Parameters) -> Result<SyncRequest, ApiError> {
    Ok(SyncRequest {
        full_state: flag("full_state", parameters.full_state.as_deref())?,
        set_presence: match parameters.set_presence.as_deref() {
            None | Some("online") => SetPresence::Online,
            Some("unavailable") => SetPresence::Unavailable,
            Some("offline") => SetPresence::Offline,
            Some(_) => return Err(wrong("set_presence", "one of online, unavailable and offline")),
        },
        timeout_ms: match parameters.timeout.as_deref() {
            None => 0,
            Some(text) => text.parse().map_err(|_| wrong("timeout", "a number of milliseconds"))?,
        },
        state_after: StateAfter {
            stable: flag("use_state_after", parameters.use_state_after.as_deref())?,
            unstable: flag("org.matrix.msc4222.use_state_after", parameters.use_state_after_unstable.as_deref())?,
        },
        filter: parameters.filter,
        since: parameters.since,
    })
}

fn flag(name: &str, text: Option<&str>) -> Result<bool, ApiError> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong(name, "true or false")),
    }
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::refused(Refusal::InvalidParam, format!("`{name}` must be {expected}."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(query: &str) -> Result<SyncRequest, ApiError> {
        let uri = format!("/sync?{query}").parse().unwrap();
        request(axum::extract::Query::<Parameters>::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn nothing_asked_is_an_immediate_first_sync() {
        let request = parse("_cacheBuster=1").unwrap();
        assert_eq!((request.timeout_ms, request.since, request.full_state), (0, None, false));
        assert_eq!((request.set_presence, request.state_after), (SetPresence::Online, StateAfter::default()));
    }

    #[test]
    fn both_names_of_state_after_are_known() {
        let state_after = |query| parse(query).unwrap().state_after;
        assert_eq!(state_after("use_state_after=true"), StateAfter { stable: true, unstable: false });
        assert_eq!(
            state_after("org.matrix.msc4222.use_state_after=true"),
            StateAfter { stable: false, unstable: true }
        );
        assert_eq!(state_after("use_state_after=false"), StateAfter::default());
    }

    #[test]
    fn wrong_values_are_refused() {
        for query in
            ["timeout=soon", "timeout=-1", "timeout=", "full_state=1", "set_presence=away", "use_state_after=yes"]
        {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
