//! Who gets a message.

use serde_json::{Value, json};

use super::{KIND, next_batch, numbers, put, send};
use crate::harness::{Server, to_device};

/// TD-2, TD-3, TD-12: `*` is every device once; unknown ones are passed over.
#[tokio::test]
async fn a_star_is_every_device() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let tablet = bob.another_device().await;
    let nobody = format!("@nobody-here:{}", server.name().await);
    let messages = json!({bob.user_id(): {"*": {"number": 7}, "NOPE": {"number": 8}}, nobody: {"*": {}, "X": {}}});
    assert_eq!(put(&alice, KIND, "t", messages).await.ok(), json!({}));
    for device in [&bob, &tablet] {
        let events = to_device(&device.sync(None).await);
        let expected = json!({"sender": alice.user_id(), "type": KIND, "content": {"number": 7}});
        assert_eq!(events, [expected]);
    }
    // A device that comes later was not known then.
    assert!(to_device(&bob.another_device().await.sync(None).await).is_empty());
    assert!(to_device(&alice.sync(None).await).is_empty(), "the sender is not meant");
}

/// TD-2: one's own devices are among them, also the one that sends.
#[tokio::test]
async fn a_star_to_oneself_is_every_own_device() {
    let alice = Server::shared().await.user("alice").await;
    let tablet = alice.another_device().await;
    put(&alice, KIND, "t", json!({alice.user_id(): {"*": {"number": 1}}})).await.ok();
    for device in [&alice, &tablet] {
        assert_eq!(numbers(&device.sync(None).await), [1]);
    }
}

/// TD-12: users and devices that are not there, here or elsewhere, change nothing for those that are.
#[tokio::test]
async fn who_is_not_there_is_passed_over() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let name = server.name().await;
    let messages = json!({
        format!("@nobody:{name}"): {"*": {}, "DEV": {}},
        format!("@:{name}"): {"DEV": {}},
        format!("@\u{fc}ber:{name}"): {"*": {}},
        bob.user_id(): {"": {}, "NOPE": {}, "a/b \u{0}": {}, bob.device_id(): {"number": 1}},
        alice.user_id(): {},
    });
    assert_eq!(put(&alice, KIND, "t", messages).await.ok(), json!({}));
    assert_eq!(put(&alice, KIND, "u", json!({})).await.ok(), json!({}), "to nobody at all");
    assert_eq!(numbers(&bob.sync(None).await), [1]);
}

/// TD-5, TD-19: only the device that is meant gets a message, and gets them in the order they were sent, whoever sent them
/// and whether to it alone or to all.
#[tokio::test]
async fn each_device_gets_its_own_in_order() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let tablet = bob.another_device().await;
    let mut since = next_batch(&bob.sync(None).await);
    let mut expected = Vec::new();
    for number in 0..30 {
        let sender = if number % 2 == 0 { &alice } else { &carol };
        match number % 3 {
            0 => {
                let messages = json!({bob.user_id(): {"*": {"number": number}}});
                put(sender, KIND, &format!("t{number}"), messages).await.ok();
            }
            1 => send(sender, &format!("t{number}"), &bob, number).await,
            _ => send(sender, &format!("t{number}"), &tablet, number).await,
        }
        if number % 3 != 2 {
            expected.push((number, sender.user_id().to_owned()));
        }
    }
    let sync = bob.sync(Some(&since)).await;
    let came = |sync: &Value| -> Vec<(usize, String)> {
        let senders = to_device(sync).into_iter().map(|event| event["sender"].as_str().unwrap().to_owned());
        numbers(sync).into_iter().zip(senders).collect()
    };
    assert_eq!(came(&sync), expected);
    since = next_batch(&sync);
    assert!(numbers(&bob.sync(Some(&since)).await).is_empty());
    let of_tablet: Vec<_> = (0..30).filter(|number| number % 3 != 1).collect();
    assert_eq!(numbers(&tablet.sync(None).await), of_tablet, "what one device acknowledged waits for the other");
}
