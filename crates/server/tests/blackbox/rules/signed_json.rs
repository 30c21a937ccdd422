//! Signatures on JSON: what they cover, as far as the server checks them.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{
    Client, Server,
    keys::{CrossSigning, DeviceKeys, count, device_keys, query},
};

/// A device whose identity keys are written in an unusual way, of a user with cross-signing keys.
struct Scene {
    alice: Client,
    keys: DeviceKeys,
    identity: CrossSigning,
}

impl Scene {
    async fn new() -> Self {
        let alice = Server::shared().await.user("alice").await;
        let scene = Self { keys: DeviceKeys::new(&alice), identity: CrossSigning::new(alice.user_id()), alice };
        scene.alice.post("/keys/device_signing/upload", scene.identity.upload()).await.ok();
        let body = format!("{{\"device_keys\":{}}}", scene.written("", &json!({})));
        scene.alice.call(Method::POST, "/keys/upload").bytes(body, "application/json").await.ok();
        scene
    }

    /// The identity keys as a careless writer has them, with something more in between.
    fn written(&self, more: &str, signatures: &Value) -> String {
        let (user, device) = (self.alice.user_id(), self.alice.device_id());
        let (ed25519, curve25519) = (self.keys.ed25519(), self.keys.curve25519());
        format!(
            r#"{{ "zz" : [9007199254740991,  -9007199254740991, -0, 1e3 ], "\ud83d\ude00":2, "\ue000":1,
                "user_id":"{user}", "keys": {{"ed25519:{device}":"{ed25519}", "curve25519:{device}":"{curve25519}"}},
                "a\u0062":"\/\u00e9\u0001\t\"\\\u65E5", "algorithms":["m.olm.v1.curve25519-aes-sha2"], {more}
                "B":null, "device_id":"{device}", "signatures":{signatures} }}"#
        )
    }

    /// The one text that a signature on them covers.
    fn canonical(&self) -> String {
        let (user, device) = (self.alice.user_id(), self.alice.device_id());
        let (ed25519, curve25519) = (self.keys.ed25519(), self.keys.curve25519());
        let keys = format!(r#"{{"curve25519:{device}":"{curve25519}","ed25519:{device}":"{ed25519}"}}"#);
        format!(
            "{{\"B\":null,\"ab\":\"/é\\u0001\\t\\\"\\\\日\",\"algorithms\":[\"m.olm.v1.curve25519-aes-sha2\"],\
             \"device_id\":\"{device}\",\"keys\":{keys},\"user_id\":\"{user}\",\
             \"zz\":[9007199254740991,-9007199254740991,0,1000],\"\u{e000}\":1,\"😀\":2}}"
        )
    }

    /// Uploads signatures on the identity keys; what is wrong with them, null if nothing is.
    async fn offer(&self, more: &str, by_name: Value) -> Value {
        let (user, device) = (self.alice.user_id(), self.alice.device_id());
        let object = self.written(more, &json!({user: by_name}));
        let body = format!("{{\"{user}\":{{\"{device}\":{object}}}}}");
        let upload = self.alice.call(Method::POST, "/keys/signatures/upload").bytes(body, "application/json");
        upload.await.ok()["failures"][user][device]["errcode"].clone()
    }

    /// The name of the self-signing key, and its signature on a text.
    fn sign(&self, text: &str) -> (String, String) {
        let key = &self.identity.self_signing;
        (format!("ed25519:{}", key.public_key().to_base64()), key.sign(text.as_bytes()).to_base64())
    }

    /// The signatures that are stored on the identity keys.
    async fn stored(&self) -> Value {
        device_keys(&self.alice, &self.alice).await["signatures"][self.alice.user_id()].clone()
    }
}

/// GEN-11: a signature covers the canonical form: names in the order of code points, no spaces, no escapes but those that
/// must be, integers up to their limits; any other text is another text.
#[tokio::test]
async fn a_signature_covers_the_canonical_form() {
    let scene = Scene::new().await;
    let canonical = scene.canonical();
    let others = [
        scene.written("", &json!({})),
        canonical.replace("\"zz\"", " \"zz\""),
        canonical.replace("\\u0001\\t", "\\u0001\\u0009"),
        canonical.replace('é', "\\u00e9"),
        canonical.replace('/', "\\/"),
        canonical.replace("1000", "1e3"),
        canonical.replace(",0,", ",-0,"),
        // As UTF-16 has them.
        canonical.replace("\"\u{e000}\":1,\"😀\":2", "\"😀\":2,\"\u{e000}\":1"),
    ];
    for other in others {
        assert_ne!(other, canonical);
        let (name, signature) = scene.sign(&other);
        assert_eq!(scene.offer("", json!({name: signature})).await, "M_INVALID_SIGNATURE", "{other}");
    }
    assert_eq!(scene.stored().await, Value::Null);
    let (name, signature) = scene.sign(&canonical);
    assert_eq!(scene.offer("", json!({&name: signature})).await, Value::Null);
    assert_eq!(scene.stored().await, json!({name: signature}));
}

/// GEN-11: what has no canonical form is refused wherever a signature would cover it, and nothing of it is stored.
#[tokio::test]
async fn what_has_no_canonical_form_is_refused() {
    let scene = Scene::new().await;
    let alice = &scene.alice;
    let before = query(alice, alice).await;
    for number in ["1.5", "9007199254740992", "-9007199254740992", "18446744073709551616", "1e300", "0.1e-3"] {
        for member in [format!("\"n\":{number},"), format!("\"n\":{{\"deep\":[{number}]}},")] {
            let device_keys = scene.written(&member, &json!({}));
            let key = format!(r#"{{{member} "key":"x","signatures":{{}}}}"#);
            let master = scene.identity.master_key().to_string().replacen('{', &format!("{{{member}"), 1);
            for (path, body) in [
                ("/keys/upload", format!("{{\"device_keys\":{device_keys}}}")),
                ("/keys/upload", format!("{{\"one_time_keys\":{{\"signed_curve25519:A\":{key}}}}}")),
                ("/keys/upload", format!("{{\"fallback_keys\":{{\"signed_curve25519:A\":{key}}}}}")),
                ("/keys/device_signing/upload", format!("{{\"master_key\":{master}}}")),
            ] {
                let upload = alice.call(Method::POST, path).bytes(body, "application/json");
                upload.await.error(400, "M_BAD_JSON");
            }
            let (name, signature) = scene.sign(&scene.canonical());
            assert_eq!(scene.offer(&member, json!({name: signature})).await, "M_BAD_JSON");
        }
    }
    assert_eq!(query(alice, alice).await, before);
    assert_eq!(count(alice).await, 0);
    assert_eq!(alice.sync(None).await["device_unused_fallback_key_types"], json!([]));
}

/// GEN-12: signatures do not cover `signatures` and `unsigned`; those of unknown algorithms are passed over, and where none
/// is left that can be checked, or one is wrong, the object is refused.
#[tokio::test]
async fn a_signature_is_checked_if_it_can_be() {
    let scene = Scene::new().await;
    let (name, good) = scene.sign(&scene.canonical());
    let unknown = name.replace("ed25519", "rsa");
    let (_, wrong) = scene.sign("{}");
    for refused in [
        json!({}),
        json!({&unknown: good}),
        json!({&name: wrong}),
        json!({&name: ""}),
        json!({&name: "not base64!"}),
        json!({&name: &good[..40]}),
        json!({&name: wrong, &unknown: good}),
    ] {
        assert_eq!(scene.offer("", refused).await, "M_INVALID_SIGNATURE");
    }
    assert_eq!(scene.stored().await, Value::Null);
    let unsigned = r#""unsigned": {"age": 1, "device_display_name": "x"},"#;
    assert_eq!(scene.offer(unsigned, json!({&unknown: "?", &name: good})).await, Value::Null);
    assert_eq!(scene.stored().await[&name], good);
}

/// GEN-13: signatures and keys are read with and without padding at their ends; what the server encodes itself has none.
#[tokio::test]
async fn base64_is_read_with_and_without_padding() {
    let scene = Scene::new().await;
    let (name, good) = scene.sign(&scene.canonical());
    assert_eq!(good.len() % 4, 2, "padding would be two characters");
    assert_eq!(scene.offer("", json!({&name: format!("{good}==")})).await, Value::Null);
    assert!(scene.stored().await[&name].as_str().unwrap().starts_with(&good));

    // A device that pads its own key vouches for the master key.
    let bob = Server::shared().await.user("bob").await;
    let keys = DeviceKeys::new(&bob);
    let mut padded = keys.signed();
    padded["keys"][format!("ed25519:{}", bob.device_id())] = json!(format!("{}=", keys.ed25519()));
    bob.post("/keys/upload", json!({"device_keys": padded})).await.ok();
    let mut upload = CrossSigning::new(bob.user_id()).upload();
    upload["master_key"] = keys.sign(upload["master_key"].clone());
    bob.post("/keys/device_signing/upload", upload.clone()).await.ok();
    assert_eq!(query(&bob, &bob).await["master_keys"][bob.user_id()], upload["master_key"]);

    let room = bob.create_room(json!({})).await;
    let event = bob.send_text(&room, "x").await;
    assert!(!event.contains('=') && event.len() == 44, "32 bytes and a sigil: {event}");
}
