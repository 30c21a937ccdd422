//! Content as an answer, with the headers that keep a browser from running it (MED-7).

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use olmstead_service::media::UNKNOWN_TYPE;
use ruma::http_headers::{ContentDisposition, ContentDispositionType};

/// Types a browser may show in place (module Content repository, Serving inline content).
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];
/// What a browser may do with content opened as a page: nothing.
const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; object-src 'self';";

/// The answer that carries content.
pub(in crate::client) fn content(content: Bytes, content_type: Option<&str>, file_name: Option<String>) -> Response {
    let kind = content_type.and_then(|kind| HeaderValue::from_str(kind).ok().map(|value| (kind, value)));
    let (kind, kind_header) = kind.unwrap_or((UNKNOWN_TYPE, HeaderValue::from_static(UNKNOWN_TYPE)));
    let headers = [
        (header::CONTENT_TYPE, kind_header),
        (header::CONTENT_DISPOSITION, disposition(kind, file_name)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
        // Content never changes under its id; only the caller may keep it.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=86400, immutable")),
    ];
    (headers, Body::from(content)).into_response()
}

fn disposition(kind: &str, file_name: Option<String>) -> HeaderValue {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let inline = INLINE.contains(&essence.as_str());
    let how = if inline { ContentDispositionType::Inline } else { ContentDispositionType::Attachment };
    let whole = ContentDisposition::new(how).with_filename(file_name.and_then(safe_name)).to_string();
    let bare = if inline { "inline" } else { "attachment" };
    HeaderValue::from_str(&whole).unwrap_or_else(|_| HeaderValue::from_static(bare))
}

/// A file name without what could make it mean another place or look like another name: control characters, direction
/// marks and separators of paths. `None` if nothing is left of it.
fn safe_name(name: String) -> Option<String> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = name.chars().filter(|c| !c.is_control() && !turns(*c));
    let safe: String = kept.map(|c| if matches!(c, '/' | '\\') { '_' } else { c }).collect();
    // A name of dots is a directory.
    safe.chars().any(|c| c != '.' && !c.is_whitespace()).then_some(safe)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::disposition;

    #[test]
    fn only_safe_types_are_shown_in_place() {
        assert_eq!(disposition("image/png", None), "inline");
        assert_eq!(disposition("Text/Plain; charset=utf-8", None), "inline");
        for kind in ["application/octet-stream", "text/html", "image/svg+xml", "", "application/javascript"] {
            assert_eq!(disposition(kind, None), "attachment", "{kind}");
        }
    }

    #[test]
    fn names_are_quoted_or_encoded() {
        assert_eq!(disposition("image/png", Some("a b.png".to_owned())), "inline; filename=\"a b.png\"");
        let name = disposition("image/png", Some("\u{e9}\r\nx: y".to_owned()));
        assert_eq!(name, "inline; filename*=utf-8''%C3%A9x%3A%20y");
        assert!(!disposition("image/png", Some("a\r\nb".to_owned())).to_str().unwrap().contains('\n'));
    }
}
