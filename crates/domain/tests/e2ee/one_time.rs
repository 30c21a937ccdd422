use olmstead_domain::{
    error::ErrorKind,
    json::RawJson,
    keys::{
        StoredFallback,
        fallback::{FallbackUpload, parse_fallback_keys, replace},
        one_time::{Admit, admit, conflict, parse_one_time_keys, same_key},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    json::any_json,
    support::{raw, text},
};

fn key(key: &str, signature: &str) -> RawJson {
    raw(&json!({"key": key, "signatures": {"@a:x.org": {"ed25519:A": signature}}}))
}

/// OTK-4
#[test]
fn forms() {
    let uploaded = text(
        r#"{"signed_curve25519:AAAB": {"signatures": {"@a:x.org": {"ed25519:A": "s"}}, "key": "k", "x": 1}, "curve25519:AAAA:1": "k2"}"#,
    );
    let keys = parse_one_time_keys(&uploaded).unwrap();
    assert_eq!(keys[0].name(), "signed_curve25519:AAAB");
    // OTK-9: the text is that of the upload.
    assert_eq!(keys[0].value.get(), r#"{"signatures": {"@a:x.org": {"ed25519:A": "s"}}, "key": "k", "x": 1}"#);
    assert_eq!((keys[1].algorithm.as_str(), keys[1].key_id.as_str()), ("curve25519", "AAAA:1"));
    assert!(parse_one_time_keys(&text("{}")).unwrap().is_empty());

    for bad in [
        json!([]),
        json!({"noname": "k"}),
        json!({":id": "k"}),
        json!({"alg:": "k"}),
        json!({"alg:id": 1}),
        json!({"alg:id": null}),
        json!({"alg:id": {"key": "k"}}),
        json!({"alg:id": {"signatures": {}}}),
        json!({"alg:id": {"key": 1, "signatures": {}}}),
        json!({"alg:id": {"key": "k", "signatures": {}, "x": 0.5}}),
    ] {
        assert_eq!(parse_one_time_keys(&raw(&bad)).unwrap_err().kind(), ErrorKind::BadJson, "{bad}");
    }
    let twice = text(r#"{"alg:id": "a", "alg:id": "b"}"#);
    assert_eq!(parse_one_time_keys(&twice).unwrap_err().kind(), ErrorKind::BadJson);
    let large = raw(&json!({"alg:id": "k".repeat(10_000)}));
    assert_eq!(parse_one_time_keys(&large).unwrap_err().kind(), ErrorKind::TooLarge);
}

/// OTK-3, OTK-5, OTK-6
#[test]
fn known_names() {
    let (old, again, other) = (key("k", "s1"), key("k", "s2"), key("other", "s1"));
    assert_eq!(admit(None, false, &old), Admit::Store);
    assert_eq!(admit(None, true, &old), Admit::AlreadyClaimed);
    assert_eq!(admit(Some(&old), false, &again), Admit::AlreadyThere);
    assert_eq!(admit(Some(&old), false, &other), Admit::Conflict);
    assert_eq!(admit(Some(&text(r#""k""#)), false, &text(r#""\u006b""#)), Admit::AlreadyThere);
    assert_eq!(admit(Some(&old), false, &text(r#""k""#)), Admit::Conflict);

    let error = conflict("signed_curve25519:AAAA", &old, &other);
    assert!(error.to_string().starts_with("One time key signed_curve25519:AAAA already exists. Old key: {"));
    assert_eq!(error.kind(), ErrorKind::InvalidParam);
}

/// FBK-2, FBK-6
#[test]
fn fallback_forms() {
    let fallback = json!({"key": "k", "fallback": true, "signatures": {}});
    let two = json!({"signed_curve25519:A": fallback, "other:A": "k"});
    let keys = parse_fallback_keys(&raw(&two)).unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys.iter().find(|key| key.algorithm != "other").unwrap().value, raw(&fallback));

    let same_algorithm = json!({"signed_curve25519:A": fallback, "signed_curve25519:B": fallback});
    assert_eq!(parse_fallback_keys(&raw(&same_algorithm)).unwrap_err().kind(), ErrorKind::InvalidParam);
    let not_true = json!({"signed_curve25519:A": {"key": "k", "fallback": false, "signatures": {}}});
    assert_eq!(parse_fallback_keys(&raw(&not_true)).unwrap_err().kind(), ErrorKind::InvalidParam);
    let absent = json!({"signed_curve25519:A": {"key": "k", "signatures": {}}});
    assert!(parse_fallback_keys(&raw(&absent)).is_ok());
}

/// FBK-1, FBK-5
#[test]
fn fallback_replacement() {
    let stored = StoredFallback { key_id: "A".to_owned(), value: key("k", "s1"), used: true };
    assert_eq!(replace(Some(&stored), "A", &key("k", "s2")), FallbackUpload::Unchanged);
    for (old, key_id, value) in
        [(None, "A", key("k", "s1")), (Some(&stored), "B", key("k", "s1")), (Some(&stored), "A", key("other", "s1"))]
    {
        let new = StoredFallback { key_id: key_id.to_owned(), value: value.clone(), used: false };
        assert_eq!(replace(old, key_id, &value), FallbackUpload::Replace(new));
    }
}

proptest! {
    /// OTK-5: signatures alone never make two keys of one.
    #[test]
    fn same_key_ignores_signatures(extra in any_json(), a in any_json(), b in any_json(), key in ".{0,8}") {
        let build = |signatures: &Value| raw(&json!({"key": key, "extra": extra, "signatures": signatures}));
        prop_assert!(same_key(&build(&a), &build(&b)));
        let other = raw(&json!({"key": format!("{key}x"), "extra": extra, "signatures": a}));
        prop_assert!(!same_key(&build(&a), &other));
        prop_assert_eq!(admit(Some(&build(&a)), false, &other), Admit::Conflict);
    }

    #[test]
    fn nothing_panics(value in any_json()) {
        let _ = parse_one_time_keys(&raw(&value));
        let _ = parse_fallback_keys(&raw(&json!({"a:b": value})));
    }
}
