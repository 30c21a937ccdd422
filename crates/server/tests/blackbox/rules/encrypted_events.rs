//! Encrypted events: what the server does with them, and what it leaves alone.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Server, at, joined_room, timeline, unique};

const ENCRYPTED: &str = "m.room.encrypted";
const MEGOLM: &str = "m.megolm.v1.aes-sha2";

/// Content as megolm makes it, with what is said in the clear beside it.
fn ciphertext(clear: Value) -> Value {
    let mut content = json!({"algorithm": MEGOLM, "ciphertext": format!("AwgAE{}", unique()), "session_id": "s+/="});
    content.as_object_mut().unwrap().extend(clear.as_object().expect("an object").clone());
    content
}

fn relation(rel_type: &str, to: &str) -> Value {
    json!({"m.relates_to": {"rel_type": rel_type, "event_id": to}})
}

async fn event(by: &Client, room: &str, id: &str) -> Value {
    by.get(at!("/rooms/{}/event/{}", room, id)).await.ok()
}

async fn related(by: &Client, room: &str, id: &str, rest: &str) -> Vec<String> {
    let answer = by.get(at!("/_matrix/client/v1/rooms/{}/relations/{}", room, id) + rest).await.ok();
    let chunk = answer["chunk"].as_array().expect("a chunk");
    chunk.iter().map(|event| event["event_id"].as_str().expect("an id").to_owned()).collect()
}

/// ENC-8: an event has at most 65,536 bytes in all, encrypted or not; a larger one is refused.
#[tokio::test]
async fn events_have_a_largest_size() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.encrypted_room(&[]).await;
    for kind in [ENCRYPTED, "m.room.message", "io.example.state"] {
        let path = |transaction: &str| match kind {
            "io.example.state" => at!("/rooms/{}/state/{}/k", room, kind),
            _ => at!("/rooms/{}/send/{}/{}", room, kind, transaction),
        };
        let put = async |length: usize| alice.put(path(&unique()), json!({"ciphertext": "x".repeat(length)})).await;
        // The limit is of the whole event: what is around the content counts.
        let (mut fits, mut over) = (60_000_usize, 65_536_usize);
        put(fits).await.ok();
        while over - fits > 1 {
            let middle = fits.midpoint(over);
            match put(middle).await.status {
                200 => fits = middle,
                413 => over = middle,
                other => panic!("{kind} of {middle}: {other}"),
            }
        }
        put(over).await.error(413, "M_TOO_LARGE");
        // Events of the same form and of 700 bytes around their content: hashes, signatures, names, references.
        assert!((64_000..65_400).contains(&fits), "{kind}: {fits}");
        // Characters that take more bytes count as such.
        let wide = json!({"ciphertext": "€".repeat(30_000)});
        alice.put(path(&unique()), wide).await.error(413, "M_TOO_LARGE");
        put(1_000_000).await.error(413, "M_TOO_LARGE");
        let transaction = unique();
        alice.put(path(&transaction), json!({"x": "x".repeat(70_000)})).await.error(413, "M_TOO_LARGE");
        alice.put(path(&transaction), json!({"x": "fits"})).await.ok();
    }
}

/// ENC-9: there is no search on this server, so nothing of an encrypted room is found by one.
#[tokio::test]
async fn nothing_encrypted_is_searched() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.encrypted_room(&[]).await;
    alice.send_text(&room, "needle").await;
    let body = json!({"search_categories": {"room_events": {"search_term": "needle"}}});
    let reply = alice.post("/search", body).await;
    reply.error(404, "M_UNRECOGNIZED");
    assert!(!reply.text().contains(&room));
}

/// ENC-10: the rules of an account notify of encrypted events as they are, since nothing of them can be read.
#[tokio::test]
async fn encrypted_events_notify_by_default() {
    let server = Server::shared().await;
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let is_encrypted = json!({"kind": "event_match", "key": "type", "pattern": ENCRYPTED});
    let one_to_one = json!({
        "rule_id": ".m.rule.encrypted_room_one_to_one", "default": true, "enabled": true,
        "conditions": [{"kind": "room_member_count", "is": "2"}, is_encrypted],
        "actions": ["notify", {"set_tweak": "sound", "value": "default"}],
    });
    let group = json!({
        "rule_id": ".m.rule.encrypted", "default": true, "enabled": true,
        "conditions": [is_encrypted], "actions": ["notify"],
    });
    let rules = bob.get("/pushrules/").await.ok()["global"]["underride"].as_array().unwrap().clone();
    for expected in [&one_to_one, &group] {
        let id = expected["rule_id"].as_str().unwrap();
        let rule = rules.iter().find(|rule| rule["rule_id"] == id).expect("the rule");
        let conditions = |rule: &Value| {
            let mut list: Vec<_> = rule["conditions"].as_array().unwrap().iter().map(Value::to_string).collect();
            list.sort_unstable();
            list
        };
        assert_eq!(conditions(rule), conditions(expected), "{id}");
        for member in ["default", "enabled", "actions"] {
            assert_eq!(rule[member], expected[member], "{id}");
        }
        assert_eq!(bob.get(at!("/pushrules/global/underride/{}", id)).await.ok(), *rule);
    }
    let place = |id: &str| rules.iter().position(|rule| rule["rule_id"] == id).expect("the rule");
    assert!(place(".m.rule.encrypted_room_one_to_one") < place(".m.rule.encrypted"));

    // And they do.
    for others in [vec![&bob], vec![&bob, &carol]] {
        let room = alice.encrypted_room(&others).await;
        alice.send(&room, ENCRYPTED, ciphertext(json!({}))).await;
        let counts = joined_room(&bob.sync(None).await, &room)["unread_notifications"].clone();
        assert_eq!(counts, json!({"notification_count": 1, "highlight_count": 0}), "with {}", others.len());
    }
}

/// ENC-11: replies, threads, edits and reactions of encrypted events are found by their clear relation.
#[tokio::test]
async fn relations_of_encrypted_events_are_read() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let root = alice.send(&room, ENCRYPTED, ciphertext(json!({}))).await;
    let reference = bob.send(&room, ENCRYPTED, ciphertext(relation("m.reference", &root))).await;
    let first = bob.send(&room, ENCRYPTED, ciphertext(relation("m.thread", &root))).await;
    let last = alice.send(&room, ENCRYPTED, ciphertext(relation("m.thread", &root))).await;
    let edit = alice.send(&room, ENCRYPTED, ciphertext(relation("m.replace", &root))).await;
    let annotation = json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "👍"}});
    let reaction = bob.send(&room, "m.reaction", annotation).await;
    // A relation that only the ciphertext knows is none.
    bob.send(&room, ENCRYPTED, ciphertext(json!({"hidden": relation("m.thread", &root)}))).await;

    let all = [&*reaction, &*edit, &*last, &*first, &*reference];
    assert_eq!(related(&bob, &room, &root, "").await, all);
    assert_eq!(related(&bob, &room, &root, "?dir=f&limit=2").await, [&*reference, &*first]);
    assert_eq!(related(&bob, &room, &root, "/m.thread").await, [&*last, &*first]);
    assert_eq!(related(&bob, &room, &root, "/m.thread/m.room.encrypted").await, [&*last, &*first]);
    assert_eq!(related(&bob, &room, &root, "/m.thread/m.room.message").await, Vec::<String>::new());
    assert_eq!(related(&bob, &room, &root, "/m.replace").await, [&*edit]);

    let bundle = event(&bob, &room, &root).await["unsigned"]["m.relations"].clone();
    assert_eq!(bundle["m.replace"]["event_id"], edit.as_str(), "{bundle}");
    assert_eq!(
        (&bundle["m.thread"]["count"], &bundle["m.thread"]["current_user_participated"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(bundle["m.thread"]["latest_event"]["event_id"], last.as_str());
    let sync = bob.sync(None).await;
    let shown = timeline(&sync, &room).into_iter().find(|event| event["event_id"] == root.as_str()).expect("the root");
    assert_eq!(shown["unsigned"]["m.relations"]["m.replace"]["event_id"], edit.as_str());
    let threads = bob.get(at!("/_matrix/client/v1/rooms/{}/threads", room)).await.ok()["chunk"].clone();
    assert_eq!((threads.as_array().unwrap().len(), &threads[0]["event_id"]), (1, &json!(root)));
}

/// ENC-11: an encrypted event is redacted as any other, its relation with it.
#[tokio::test]
async fn encrypted_events_are_redacted() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let root = alice.send(&room, ENCRYPTED, ciphertext(json!({}))).await;
    let answer = bob.send(&room, ENCRYPTED, ciphertext(relation("m.thread", &root))).await;
    let edit = alice.send(&room, ENCRYPTED, ciphertext(relation("m.replace", &root))).await;
    let redact = |by: &Client, id: &str| by.put(at!("/rooms/{}/redact/{}/{}", room, id, unique()), json!({}));
    redact(&bob, &root).await.error(403, "M_FORBIDDEN");
    redact(&bob, &answer).await.ok();
    redact(&alice, &edit).await.ok();
    let seen = event(&alice, &room, &answer).await;
    assert_eq!((&seen["content"], &seen["type"]), (&json!({}), &json!(ENCRYPTED)));
    assert_eq!(related(&alice, &room, &root, "").await, Vec::<String>::new());
    let seen = event(&alice, &room, &root).await;
    assert!(seen["unsigned"].get("m.relations").is_none(), "{seen}");
    assert!(seen["content"]["ciphertext"].is_string());
}

/// ENC-16: content of an encrypted event goes through unread: whatever algorithm it names, whatever is in it.
#[tokio::test]
async fn encrypted_content_is_not_touched() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let contents = [
        ciphertext(json!({"sender_key": "a/b+c", "device_id": "D"})),
        json!({"algorithm": "io.example.unknown", "ciphertext": {"any": {"body": "x", "type": 0}}}),
        json!({"algorithm": 7, "ciphertext": [null, true, -9_007_199_254_740_991_i64]}),
        json!({}),
        json!({"": {"": ""}, "\u{0}": "\u{1}", "z": "\u{1d11e}\u{2028}", "a": "\\u0041 \" / </script>"}),
        json!({"m.relates_to": "nonsense", "session_id": null}),
        json!({"m.relates_to": {"rel_type": 1, "event_id": {}}}),
    ];
    for content in &contents {
        let id = alice.send(&room, ENCRYPTED, content.clone()).await;
        assert_eq!(event(&bob, &room, &id).await["content"], *content);
        let filter = json!({"room": {"timeline": {"limit": 1}}});
        let sync = bob.syncing().filter(&filter).now().await;
        assert_eq!(timeline(&sync, &room)[0]["content"], *content);
        let page = bob.get(at!("/rooms/{}/messages", room)).query("dir", "b").query("limit", 1).await.ok();
        assert_eq!(page["chunk"][0]["content"], *content);
        let context = bob.get(at!("/rooms/{}/context/{}", room, id)).await.ok();
        assert_eq!(context["event"]["content"], *content);
    }
    for bad in ["[]", "\"text\"", "null"] {
        let path = at!("/rooms/{}/send/m.room.encrypted/{}", room, unique());
        alice.call(Method::PUT, path).bytes(bad, "application/json").await.error(400, "M_BAD_JSON");
    }
}
