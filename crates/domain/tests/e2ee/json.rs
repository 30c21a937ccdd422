use base64::Engine;
use olmstead_domain::{
    error::ErrorKind,
    json::{self, Fields, MAX_DEPTH, RawJson, canonical, canonical_len},
    keys::verify_signed_by,
};
use proptest::prelude::*;
use ruma::user_id;
use serde_json::{Value, json};

use crate::support::{Key, parsed, raw, text};

/// GEN-11: the vectors of the appendices.
#[test]
fn canonical_vectors() {
    let cases = [
        ("{}", "{}"),
        ("{\n \"one\": 1,\n \"two\": \"Two\"\n}", r#"{"one":1,"two":"Two"}"#),
        (r#"{"b": "2", "a": "1"}"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe",
                "three_pids": [{"medium": "email", "address": "john.doe@example.org"},
                {"medium": "msisdn", "address": "123456789"}]}}}"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#),
        (r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#),
        (r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#),
        // By code points: UTF-16 has the second name first.
        (r#"{"\ud83d\ude00": 2, "\ue000": 1}"#, "{\"\u{e000}\":1,\"\u{1f600}\":2}"),
        (r#"{"a": null}"#, r#"{"a":null}"#),
        (r#"{"a": -0, "b": 1e10}"#, r#"{"a":0,"b":10000000000}"#),
    ];
    for (input, expected) in cases {
        assert_eq!(canonical(text(input).as_raw()).unwrap(), expected);
    }
}

/// GEN-12: the signing vectors of the appendices, made and verified.
#[test]
fn signing_vectors() {
    let seed = base64::engine::general_purpose::STANDARD_NO_PAD;
    let seed = seed.decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap_or_else(|_| {
        // The vector leaves bits after its last byte.
        let lenient = base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
        let lenient = lenient.with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
        base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, lenient)
            .decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")
            .unwrap()
    });
    let key = Key::from_seed(seed.try_into().unwrap());
    assert_eq!(key.public, "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
    let cases = [
        (json!({}), "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
        (
            json!({"one": 1, "two": "Two"}),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ];
    let user = user_id!("@domain:domain");
    for (object, signature) in cases {
        assert_eq!(key.signature(&object), signature);
        let verify = |signature: &str, public: &str| {
            let mut signed = object.clone();
            signed["signatures"]["@domain:domain"]["ed25519:1"] = signature.into();
            signed["unsigned"] = json!({"age_ts": 1_000_000});
            verify_signed_by(&json::object(raw(&signed).as_raw()).unwrap(), user, "1", public)
        };
        assert!(verify(signature, &key.public));
        // GEN-13: padded input.
        assert!(verify(&format!("{signature}=="), &format!("{}=", key.public)));
        assert!(!verify(signature, &Key::new(9).public));
        assert!(!verify("", &key.public));
        assert!(!verify(signature, "not base64!"));
    }
}

/// GEN-11: what has no canonical form is refused.
#[test]
fn not_canonical() {
    let refused = [
        r#"{"a": 1.5}"#,
        r#"{"a": 9007199254740992}"#,
        r#"{"a": -9007199254740992}"#,
        r#"{"a": 18446744073709551615}"#,
        r#"{"a": 1e300}"#,
        r#"{"a": 1, "a": 1}"#,
        r#"{"b": {"\u0061": 1, "a": 2}}"#,
        r#"{"a": "\ud800"}"#,
    ];
    for input in refused {
        let error = canonical(text(input).as_raw()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadJson, "{input}");
    }
    for (input, expected) in [
        ("9007199254740991", "9007199254740991"),
        ("-9007199254740991", "-9007199254740991"),
        ("1.0", "1"),
        (r#""\u0001\t\"\/""#, r#""\u0001\t\"/""#),
    ] {
        assert_eq!(canonical(text(input).as_raw()).unwrap(), expected);
    }
    assert!(json::object(text("[]").as_raw()).is_err());
    assert!(RawJson::from_text("{".to_owned()).is_err());
}

#[test]
fn deep_nesting_is_refused_without_overflow() {
    let nested = |depth: usize| text(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(canonical_len(nested(MAX_DEPTH).as_raw()).is_ok());
    assert!(canonical_len(nested(MAX_DEPTH + 1).as_raw()).is_err());
    assert!(canonical_len(nested(100_000).as_raw()).is_err());
    assert!(canonical(nested(100_000).as_raw()).is_err());
}

#[test]
fn lone_surrogates_are_refused() {
    for input in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\ud800\n""#] {
        // Some are refused as text already.
        if let Ok(value) = RawJson::from_text(input.to_owned()) {
            assert!(canonical_len(value.as_raw()).is_err(), "{input}");
        }
    }
    assert_eq!(canonical_len(text(r#""\ud83d\ude00""#).as_raw()).unwrap(), 6);
}

#[test]
fn fields_keep_text_and_order() {
    let input = text("{ \"z\": [1.50, 2 ],\n \"a\\u0062\":\"\\u65e5\", \"signatures\": {} }");
    let mut fields = Fields::parse(input.as_raw()).unwrap();
    assert_eq!(fields.get("ab").unwrap().get(), "\"\\u65e5\"");
    fields.set("signatures", &json!({"x": 1})).unwrap();
    fields.set("new", "value").unwrap();
    assert!(!fields.remove("absent"));
    let expected = r#"{"z":[1.50, 2 ],"ab":"\u65e5","signatures":{"x":1},"new":"value"}"#;
    assert_eq!(fields.to_raw().unwrap().get(), expected);
    assert!(Fields::parse(text(r#"{"a":1,"\u0061":2}"#).as_raw()).is_err());
    assert!(Fields::parse(text("3").as_raw()).is_err());
}

#[test]
fn raw_json_is_itself_in_serde() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Body {
        keys: Option<RawJson>,
        other: Option<RawJson>,
    }
    let body: Body = serde_json::from_str(r#"{"keys":{"b" : 1.50},"other":null}"#).unwrap();
    assert_eq!(body.keys.as_ref().unwrap().get(), r#"{"b" : 1.50}"#);
    assert!(body.other.is_none());
    assert_eq!(serde_json::to_string(&body).unwrap(), r#"{"keys":{"b" : 1.50},"other":null}"#);
}

/// Any JSON value that has a canonical form.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same value in another text: spaces, and every character of every string escaped.
fn disguise(value: &Value) -> String {
    let escape = |text: &str| {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{units}\"")
    };
    match value {
        Value::String(text) => escape(text),
        Value::Array(values) => format!("[ {}\n]", values.iter().map(disguise).collect::<Vec<_>>().join(" ,\t")),
        Value::Object(map) => {
            let members = map.iter().rev().map(|(name, value)| format!("{} : {}", escape(name), disguise(value)));
            format!("{{\r{} }}", members.collect::<Vec<_>>().join(" , "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn canonical_is_one_text_per_value(value in any_json()) {
        let plain = raw(&value);
        let disguised = text(&disguise(&value));
        let form = canonical(plain.as_raw()).unwrap();
        prop_assert_eq!(&form, &canonical(disguised.as_raw()).unwrap());
        prop_assert_eq!(&form, &canonical(text(&form).as_raw()).unwrap());
        prop_assert_eq!(parsed(&text(&form)), value);
        prop_assert_eq!(canonical_len(plain.as_raw()).unwrap(), form.len());
        prop_assert_eq!(canonical_len(disguised.as_raw()).unwrap(), form.len());
    }

    #[test]
    fn no_text_panics(input in any::<String>()) {
        if let Ok(value) = RawJson::from_text(input) {
            let _ = canonical(value.as_raw());
            let _ = canonical_len(value.as_raw());
            let _ = Fields::parse(value.as_raw());
        }
    }

    #[test]
    fn fields_change_nothing_else(value in any_json()) {
        if let Value::Object(map) = &value {
            let stored = raw(&value);
            let fields = Fields::parse(stored.as_raw()).unwrap();
            prop_assert_eq!(parsed(&fields.to_raw().unwrap()), value.clone());
            prop_assert_eq!(fields.len(), map.len());
        }
    }
}
