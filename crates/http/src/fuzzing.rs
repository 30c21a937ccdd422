//! What fuzzers ask of this crate; part of no interface.

use axum::{
    http::{HeaderMap, Uri},
    response::IntoResponse as _,
};
use bytes::Bytes;
use olmstead_domain::json::RawJson;
use serde_json::Value;

use crate::{
    auth, client,
    error::ApiError,
    extract::{Missing, parse_json},
};

fn is_the_clients_fault(error: ApiError) {
    let status = error.into_response().status();
    assert!(status.is_client_error(), "{status}");
}

/// A body is read or refused.
pub fn body(data: &[u8]) {
    for missing in [Missing::MissingParam, Missing::BadJson] {
        if let Err(error) = parse_json::<Value>(data, missing) {
            is_the_clients_fault(error);
        }
        match parse_json::<RawJson>(data, missing) {
            Ok(raw) => assert!(!raw.get().trim_start().starts_with('[')),
            Err(error) => is_the_clients_fault(error),
        }
    }
}

/// A query is read or refused, by the endpoint that takes most of them.
pub fn query(text: &str) {
    let Ok(uri) = format!("/_matrix/client/v3/sync?{text}").parse::<Uri>() else { return };
    drop(auth::access_token(&HeaderMap::new(), &uri));
    client::fuzz_query(&uri);
}

/// What is said of content is one line, and shows in place only what is harmless.
pub fn media_headers(kind: &str, name: &str) {
    let name = (!name.is_empty()).then(|| name.to_owned());
    let response = client::fuzz_media(Bytes::new(), kind, name);
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let disposition = header("content-disposition");
    assert!(disposition.is_some_and(|text| text.starts_with("inline") || text.starts_with("attachment")));
    assert!(disposition.is_some_and(|text| !text.chars().any(char::is_control) && !text.contains('/')));
    let inline = disposition.is_some_and(|text| text.starts_with("inline"));
    let html = header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    assert!(!(inline && html));
}
