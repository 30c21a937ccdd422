//! Rooms, and how much there is of everything.

use serde_json::{Value, json};

use super::support::Managed;
use crate::harness::{deadline, keys::DeviceKeys, within};

/// All rooms are listed, in pages of any size, with what is known of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_are_listed_and_shown() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob] = managed.server.users(["alice", "bob"]).await;
    let plain = alice.create_room(json!({"name": "Plain talk", "topic": "weather", "invite": [bob.user_id()]})).await;
    let encrypted = alice.encrypted_room(&[&bob]).await;
    let empty = alice.create_room(json!({"room_version": "10"})).await;
    alice.leave(&empty).await;
    let mut ids = [&plain, &encrypted, &empty];
    ids.sort_unstable();
    let listed = managed.json("room", &["list"]).await;
    let found = |answer: &Value| -> Vec<String> {
        answer["rooms"]
            .as_array()
            .expect("rooms")
            .iter()
            .map(|room| room["room_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found(&listed).iter().collect::<Vec<_>>(), ids);
    let of = |id: &str| listed["rooms"].as_array().unwrap().iter().find(|room| room["room_id"] == id).unwrap().clone();
    assert_eq!((&of(&plain)["name"], &of(&plain)["encrypted"]), (&json!("Plain talk"), &json!(false)));
    assert_eq!((&of(&plain)["joined"], &of(&plain)["invited"]), (&json!(1), &json!(1)));
    assert_eq!((&of(&encrypted)["joined"], &of(&encrypted)["encrypted"]), (&json!(2), &json!(true)));
    assert_eq!(
        (&of(&empty)["joined"], &of(&empty)["version"], &of(&empty)["name"]),
        (&json!(0), &json!("10"), &Value::Null)
    );
    for limit in [1, 2, 3, 4] {
        let (mut all, mut from) = (Vec::new(), String::new());
        loop {
            let (status, page) = managed.ask("GET", &format!("/rooms?limit={limit}{from}"), None).await;
            assert_eq!(status, 200, "{page}");
            all.extend(found(&page));
            let Some(next) = page["next"].as_str() else { break };
            from = format!("&from={next}");
        }
        assert_eq!(all, found(&listed), "in pages of {limit}");
    }
    let before = of(&plain)["last_activity"].as_u64().unwrap();
    managed.clock.forward(std::time::Duration::from_secs(3_600));
    alice.send_text(&plain, "still there").await;
    let shown = managed.json("room", &["show", &plain]).await;
    assert!(shown["last_activity"].as_u64().unwrap() >= before + 3_600_000, "{shown}");
    assert_eq!((&shown["topic"], &shown["members"]), (&json!("weather"), &json!([alice.user_id()])));
    let shown = managed.json("room", &["show", &encrypted]).await;
    assert_eq!(shown["algorithm"], "m.megolm.v1.aes-sha2");
    assert_eq!(shown["members"].as_array().unwrap().len(), 2);
    let text = managed.run(&["room", "show", &encrypted]).await.ok();
    assert!(text.contains("m.megolm.v1.aes-sha2") && text.contains(bob.user_id()), "{text}");
    let text = managed.run(&["room", "list"]).await.ok();
    assert!(text.starts_with("ROOM ") && text.contains("Plain talk"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");

    let (status, answer) = managed.ask("GET", "/rooms/!none:localhost", None).await;
    assert_eq!((status, answer["errcode"].as_str()), (404, Some("M_NOT_FOUND")));
    for path in ["/rooms/none", "/rooms?from=none", "/rooms?limit=x"] {
        let (status, answer) = managed.ask("GET", path, None).await;
        assert_eq!((status, answer["errcode"].as_str()), (400, Some("M_INVALID_PARAM")), "{path}");
    }
}

/// The numbers are those of a census, which comes by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_is_counted() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob, gone] = managed.server.users(["alice", "bob", "gone"]).await;
    DeviceKeys::new(&alice).upload(&alice, 2, true).await;
    DeviceKeys::new(&bob).upload(&bob, 0, true).await;
    alice.create_room(json!({})).await;
    bob.send_to_device("org.example", json!({alice.user_id(): {"*": {}}, bob.user_id(): {"*": {}}})).await;
    managed.run(&["user", "deactivate", gone.user_id(), "--yes"]).await.ok();
    let expected = json!({
        "users": 2, "deactivated_users": 1, "rooms": 1, "devices": 2, "devices_with_keys": 2, "empty_pools": 1,
        "waiting_messages": 2, "longest_inbox": 1,
    });
    let counted = async {
        let mut again = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            again.tick().await;
            let (status, stats) = managed.ask("GET", "/stats", None).await;
            assert_eq!(status, 200, "{stats}");
            let census = &stats["census"];
            if expected.as_object().unwrap().iter().all(|(name, number)| census[name] == *number) {
                return stats;
            }
        }
    };
    let stats = within("a census", deadline(), counted).await;
    assert_eq!((&stats["server_name"], &stats["engine"]), (&json!("localhost"), &json!(managed.storage.engine())));
    assert!(stats["store_bytes"].as_u64().unwrap() > 0 && stats["uptime_ms"].is_u64(), "{stats}");
    assert_eq!(stats["epoch"], managed.storage.store_facts().await.unwrap().epoch.0);
    assert!(stats["census"]["age_ms"].as_u64().unwrap() < 60_000);
    let text = managed.run(&["stats"]).await.ok();
    assert!(text.contains("store size") && text.contains("empty pools"), "{text}");
}
