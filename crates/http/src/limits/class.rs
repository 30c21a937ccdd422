//! What kind of work a request asks for, by its method, path and query alone.

use axum::http::{Method, Uri};

/// Requests that count against the same quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Everything there is: a first sync, a whole backup.
    Whole,
    /// Files.
    Upload,
    /// Anything else that may change something.
    Write,
    /// Anything else.
    Read,
}

/// Requests with a body that only ask.
const ASKING: [&str; 5] =
    ["/keys/query", "/user_directory/search", "/search", "/publicRooms", "/org.matrix.simplified_msc3575/sync"];

impl Class {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let path = uri.path().trim_end_matches('/');
        if *method == Method::GET || *method == Method::HEAD {
            let is_first_sync = path.ends_with("/sync") && parameter(uri, "since").is_none();
            return if is_first_sync || path.ends_with("/room_keys/keys") { Self::Whole } else { Self::Read };
        }
        let is_upload = path.starts_with("/_matrix/media/") && path.contains("/upload");
        match method {
            _ if is_upload => Self::Upload,
            &Method::POST if ASKING.iter().any(|end| path.ends_with(end)) => Self::Read,
            _ => Self::Write,
        }
    }
}

/// Whether the request may bring keys for a backup.
pub(super) fn is_backup(uri: &Uri) -> bool {
    uri.path().contains("/room_keys/keys")
}

/// Whether the request may wait for something to happen.
pub(super) fn is_long_poll(uri: &Uri) -> bool {
    uri.path().ends_with("/sync") && parameter(uri, "timeout").is_some_and(|timeout| timeout != "0")
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query()?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(method: Method, uri: &'static str) -> Class {
        Class::of(&method, &Uri::from_static(uri))
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(class(Method::GET, "/_matrix/client/v3/sync"), Class::Whole);
        assert_eq!(class(Method::GET, "/_matrix/client/v3/sync?timeout=0&since=s1"), Class::Read);
        assert_eq!(class(Method::GET, "/_matrix/client/v3/room_keys/keys?version=1"), Class::Whole);
        assert_eq!(class(Method::PUT, "/_matrix/client/v3/room_keys/keys?version=1"), Class::Write);
        assert_eq!(class(Method::POST, "/_matrix/client/v3/keys/query"), Class::Read);
        assert_eq!(class(Method::POST, "/_matrix/client/v3/keys/claim"), Class::Write);
        assert_eq!(class(Method::POST, "/_matrix/media/v3/upload?filename=a"), Class::Upload);
        assert_eq!(class(Method::PUT, "/_matrix/media/v3/upload/example.org/abc"), Class::Upload);
        assert_eq!(class(Method::GET, "/_matrix/client/v1/media/download/a/b"), Class::Read);
    }

    #[test]
    fn who_waits_says_how_long() {
        let waits = |uri: &'static str| is_long_poll(&Uri::from_static(uri));
        assert!(waits("/_matrix/client/v3/sync?since=s&timeout=30000"));
        assert!(!waits("/_matrix/client/v3/sync?since=s&timeout=0"));
        assert!(!waits("/_matrix/client/v3/sync"));
    }
}
