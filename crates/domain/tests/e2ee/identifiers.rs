use olmstead_domain::{
    error::ErrorKind,
    identifiers::{
        IdError, check_device_id, check_event_type, check_transaction_id, is_listable_user, parse_user_id,
        split_key_name,
    },
};
use proptest::prelude::*;

/// DEV-21
#[test]
fn device_ids() {
    assert!(check_device_id(&"x".repeat(512)).is_ok());
    assert!(check_device_id(&"日".repeat(512)).is_ok());
    assert!(check_device_id("a/b+c=%").is_ok());
    let error = check_device_id(&"x".repeat(513)).unwrap_err();
    assert!(matches!(error, IdError::TooLong { max: 512, .. }));
    assert_eq!(error.kind(), ErrorKind::InvalidParam);
    assert!(check_device_id("").is_err());
}

#[test]
fn other_ids() {
    for check in [check_event_type, check_transaction_id] {
        assert!(check(&"x".repeat(255)).is_ok());
        assert!(check(&"x".repeat(256)).is_err());
        assert!(check("").is_err());
    }
    assert_eq!(split_key_name("signed_curve25519:AAAA:B").unwrap(), ("signed_curve25519", "AAAA:B"));
    for name in ["", "a", ":", "a:", ":b", &format!("a:{}", "b".repeat(254))] {
        assert!(split_key_name(name).is_err(), "{name}");
    }
}

/// GEN-14, DL-21
#[test]
fn historical_users() {
    for (id, listable) in [
        ("@alice:example.org", true),
        ("@Al!ce|$:example.org", true),
        ("@alíce:example.org", false),
        ("@日本:example.org", false),
        ("@with space:example.org", false),
        ("@:example.org", false),
    ] {
        assert_eq!(is_listable_user(&parse_user_id(id).unwrap()), listable, "{id}");
    }
    for id in ["", "@", "alice:example.org", "@alice", "@a\0b:example.org", &format!("@{}:x.org", "a".repeat(250))] {
        assert!(parse_user_id(id).is_err(), "{id}");
    }
}

proptest! {
    /// DL-21
    #[test]
    fn listable_is_printable(localpart in "[^:\0]{0,20}") {
        let id = format!("@{localpart}:example.org");
        if let Ok(id) = parse_user_id(&id) {
            let printable = localpart.bytes().all(|byte| byte.is_ascii_graphic());
            prop_assert_eq!(is_listable_user(&id), printable && !localpart.is_empty());
        }
    }
}
