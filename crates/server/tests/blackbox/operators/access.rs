//! Who is let in, and what is written down.

use serde_json::{Value, json};

use super::support::{Managed, OPERATOR, TOKEN, run};
use crate::harness::keys::DeviceKeys;

const PATHS: [&str; 9] = [
    "audit",
    "e2ee/doctor",
    "e2ee/users/alice",
    "no/such/path",
    "registration_tokens",
    "rooms",
    "stats",
    "users",
    "users/alice/devices",
];

async fn status(base: &str, path: &str, authorization: Option<&str>) -> (u16, Value) {
    let mut request = reqwest::Client::new().get(format!("{base}/_olmstead/admin/v1/{path}"));
    if let Some(text) = authorization {
        request = request.header("authorization", text);
    }
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_but_operators() {
    let Some(managed) = Managed::start().await else { return };
    let alice = managed.server.user("alice").await;
    let of_user = format!("Bearer {}", alice.token().unwrap());
    for path in PATHS {
        let (code, body) = status(&managed.admin, path, None).await;
        assert_eq!((code, &body["errcode"]), (401, &json!("M_MISSING_TOKEN")), "{path}");
        for wrong in ["Bearer", "Basic abc"] {
            assert_eq!(status(&managed.admin, path, Some(wrong)).await.0, 401, "{path} {wrong}");
        }
        for wrong in [&of_user, "Bearer x", &format!("Bearer {TOKEN}x"), &format!("Bearer {}", &TOKEN[1..])] {
            let (code, body) = status(&managed.admin, path, Some(wrong)).await;
            assert_eq!((code, &body["errcode"]), (401, &json!("M_UNKNOWN_TOKEN")), "{path} {wrong}");
        }
        let (code, body) = status(&managed.admin, &format!("{path}?access_token={TOKEN}"), None).await;
        assert_eq!((code, &body["errcode"]), (401, &json!("M_MISSING_TOKEN")), "{path} by query");
        // Clients do not find it at all.
        let (code, body) = status(managed.server.base(), path, Some(&format!("Bearer {TOKEN}"))).await;
        assert_eq!((code, &body["errcode"]), (404, &json!("M_UNRECOGNIZED")), "{path} where clients are");
    }
    let good = format!("bearer {TOKEN}");
    assert_eq!(status(&managed.admin, "audit", Some(&good)).await, (200, json!({"entries": [], "next": null})));
    let (code, body) = status(&managed.admin, "no/such/path", Some(&good)).await;
    assert_eq!((code, &body["errcode"]), (404, &json!("M_UNRECOGNIZED")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_is_written_down_and_what_is_not_is_not() {
    let Some(managed) = Managed::start().await else { return };
    let alice = managed.server.user("alice").await;
    DeviceKeys::new(&alice).upload(&alice, 5, true).await;
    let (user, device) = (alice.user_id(), alice.device_id());
    let drop = ["e2ee", "repair", "drop-one-time-keys", user, device];
    // A look, a wrong device, a wrong user, and no answer to the question change nothing.
    managed.run(&["e2ee", "repair", "drop-one-time-keys", user, device, "--dry-run"]).await.ok();
    assert!(managed.run(&drop).await.failed().contains("--yes"));
    let wrong = managed.run(&["e2ee", "repair", "drop-one-time-keys", user, "NONE", "--yes"]).await.failed();
    assert!(wrong.contains("has no device NONE") && wrong.contains("M_NOT_FOUND"), "{wrong}");
    let wrong = managed.run(&["e2ee", "repair", "announce-device-list", "@none:localhost", "--yes"]).await.failed();
    assert!(wrong.contains("no account @none:localhost"), "{wrong}");
    assert_eq!(managed.json("audit", &[]).await["entries"], json!([]));
    assert_eq!(crate::harness::keys::count(&alice).await, 5);

    managed.run(&[&drop[..], &["--yes"]].concat()).await.ok();
    managed.run(&["e2ee", "repair", "announce-device-list", user, "--yes"]).await.ok();
    let entries = managed.json("audit", &[]).await["entries"].clone();
    let short = |entry: &Value| (entry["action"].clone(), entry["target"].clone(), entry["operator"].clone());
    let found: Vec<_> = entries.as_array().unwrap().iter().map(short).collect();
    let expected = [
        (json!("e2ee.announce_device_list"), json!(user), json!(OPERATOR)),
        (json!("e2ee.drop_one_time_keys"), json!(format!("{user} {device}")), json!(OPERATOR)),
    ];
    assert_eq!(found, expected);
    let table = managed.run(&["audit", "--limit", "1"]).await.ok();
    assert!(table.contains("NUMBER") && table.contains("e2ee.announce_device_list"), "{table}");
    assert_eq!(table.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_says_why_it_cannot_ask() {
    let Some(managed) = Managed::start().await else { return };
    let silent =
        run(&["audit"], &[("OLMSTEAD_ADMIN_URL", "http://127.0.0.1:1"), ("OLMSTEAD_ADMIN_TOKEN", TOKEN)]).await;
    assert!(silent.failed().contains("http://127.0.0.1:1 does not answer"));
    let wrong = [("OLMSTEAD_ADMIN_URL", managed.admin.as_str()), ("OLMSTEAD_ADMIN_TOKEN", "wrong")];
    assert!(run(&["audit"], &wrong).await.failed().contains("M_UNKNOWN_TOKEN"));
    let nowhere = [("OLMSTEAD_SERVER_NAME", "localhost"), ("OLMSTEAD_ADMIN_TOKEN", TOKEN)];
    assert!(run(&["audit"], &nowhere).await.failed().contains("admin.listen"));
    // What `serve` reads is enough.
    let listen = managed.admin.trim_start_matches("http://");
    let settings = [
        ("OLMSTEAD_SERVER_NAME", "localhost"),
        ("OLMSTEAD_ADMIN__LISTEN", listen),
        ("OLMSTEAD_ADMIN__TOKENS__OLGA", TOKEN),
    ];
    run(&["audit"], &settings).await.ok();
    let short = [("OLMSTEAD_SERVER_NAME", "localhost"), ("OLMSTEAD_ADMIN__TOKENS__OLGA", "short")];
    assert!(run(&["serve"], &short).await.failed().contains("admin.tokens.olga is shorter"));
}
