use olmstead_domain::{
    error::ErrorKind,
    to_device::{DeviceTarget, MAX_EDU_BYTES, MAX_MESSAGES, ToDeviceError, UserMessages, parse_messages},
};
use proptest::prelude::*;
use ruma::user_id;
use serde_json::{Map, Value, json};

use crate::{
    json::any_json,
    support::{parsed, raw, text},
};

fn parse(messages: &Value) -> Result<Vec<UserMessages>, ToDeviceError> {
    parse_messages(user_id!("@alice:x.org"), "m.room.encrypted", "1", raw(messages).as_raw())
}

/// TD-1, TD-2, TD-3, TD-14
#[test]
fn forms() {
    let messages = text(r#"{"@bob:x.org": {"B": {"n": 1.50, "m":  {}}, "*": {}}, "@日:x.org": {}}"#);
    let parsed = parse_messages(user_id!("@alice:x.org"), "org.example", "1", messages.as_raw()).unwrap();
    assert_eq!(parsed[0].user_id, "@bob:x.org");
    assert_eq!(parsed[0].messages[0].0, DeviceTarget::One("B".into()));
    assert_eq!(parsed[0].messages[0].1.get(), r#"{"n": 1.50, "m":  {}}"#);
    assert_eq!(parsed[0].messages[1].0, DeviceTarget::All);
    assert!(parsed[1].messages.is_empty());
    assert!(parse(&json!({})).unwrap().is_empty());

    for bad in [
        json!([]),
        json!({"bob": {}}),
        json!({"@bob:x.org": []}),
        json!({"@bob:x.org": {"B": "text"}}),
        json!({"@bob:x.org": {"B": null}}),
    ] {
        assert_eq!(parse(&bad).unwrap_err().kind(), ErrorKind::BadJson, "{bad}");
    }
    for bad in [
        r#"{"@bob:x.org": {"B": {}}, "@bob:x.org": {"C": {}}}"#,
        r#"{"@bob:x.org": {"B": {}, "B": {}}}"#,
        &format!(r#"{{"@bob:x.org": {{"B": {{"a": {}{} }} }} }}"#, "[".repeat(500), "]".repeat(500)),
    ] {
        let result = parse_messages(user_id!("@alice:x.org"), "org.example", "1", text(bad).as_raw());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::BadJson, "{bad}");
    }
}

#[test]
fn identifiers_are_bounded() {
    let long = "x".repeat(256);
    for (event_type, transaction) in [("", "1"), ("a", ""), (long.as_str(), "1"), ("a", long.as_str())] {
        let result = parse_messages(user_id!("@alice:x.org"), event_type, transaction, text("{}").as_raw());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidParam);
    }
}

/// TD-17
#[test]
fn size_is_that_of_the_edu() {
    let fits = |length: usize| parse(&json!({"@bob:x.org": {"B": {"ciphertext": "x".repeat(length)}}})).is_ok();
    let largest = (60_000..MAX_EDU_BYTES).rfind(|length| fits(*length)).unwrap();
    let edu = json!({
        "edu_type": "m.direct_to_device",
        "content": {
            "sender": "@alice:x.org", "type": "m.room.encrypted", "message_id": "x".repeat(255),
            "messages": {"@bob:x.org": {"B": {"ciphertext": "x".repeat(largest)}}},
        },
    });
    assert_eq!(edu.to_string().len(), MAX_EDU_BYTES);
    let too_large = json!({"@bob:x.org": {"B": {"ciphertext": "x".repeat(largest + 1)}, "C": {}}});
    assert_eq!(parse(&too_large).unwrap_err().kind(), ErrorKind::TooLarge);
    // Spaces and escapes do not count.
    let spaced = format!(r#"{{"@bob:x.org": {{"B": {{ "ciphertext":   "{}" }} }} }}"#, "\\u0078".repeat(largest));
    let spaced = text(&spaced);
    assert!(parse_messages(user_id!("@alice:x.org"), "m.room.encrypted", "1", spaced.as_raw()).is_ok());
}

#[test]
fn messages_are_bounded() {
    let devices = |count: usize| (0..count).map(|n| (n.to_string(), json!({}))).collect::<Map<_, _>>();
    assert!(parse(&json!({"@bob:x.org": devices(MAX_MESSAGES)})).is_ok());
    let over = json!({"@bob:x.org": devices(MAX_MESSAGES), "@carol:x.org": devices(1)});
    assert_eq!(parse(&over).unwrap_err().kind(), ErrorKind::TooLarge);
}

proptest! {
    /// TD-3
    #[test]
    fn content_is_unchanged(content in any_json(), event_type in "[a-z.]{1,20}") {
        prop_assume!(content.is_object());
        let messages = raw(&json!({"@bob:x.org": {"B": content}}));
        let result = parse_messages(user_id!("@alice:x.org"), &event_type, "1", messages.as_raw()).unwrap();
        prop_assert_eq!(parsed(&result[0].messages[0].1), content);
    }

    #[test]
    fn nothing_panics(value in any_json()) {
        let _ = parse(&value);
        let _ = parse(&json!({"@bob:x.org": value}));
    }
}
