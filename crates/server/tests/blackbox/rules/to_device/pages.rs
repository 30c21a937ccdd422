//! Many messages at once, and when they are taken for delivered.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{next_batch, numbers, put, send};
use crate::harness::{Server, at, deadline, to_device};

/// TD-5, TD-6, TD-7, TD-8, TD-9: at most a hundred at a time, in order, again until acknowledged, and never after.
#[tokio::test]
async fn messages_come_in_pages_and_in_order() {
    const COUNT: usize = 250;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut since = next_batch(&bob.sync(None).await);
    for number in 0..COUNT {
        send(&alice, &format!("t{number}"), &bob, number).await;
    }
    let mut seen = Vec::new();
    while seen.len() < COUNT {
        let page = bob.sync(Some(&since)).await;
        let repeated = bob.sync(Some(&since)).await;
        assert_eq!(to_device(&page), to_device(&repeated), "again, in the same order");
        let expected = (COUNT - seen.len()).min(100);
        assert_eq!(numbers(&page).len(), expected, "a page is full if there is enough");
        seen.extend(numbers(&page));
        since = next_batch(&page);
    }
    assert_eq!(seen, (0..COUNT).collect::<Vec<_>>());
    assert!(numbers(&bob.sync(Some(&since)).await).is_empty(), "all was told");
    assert!(numbers(&bob.sync(None).await).is_empty(), "what was acknowledged is gone");
}

/// TD-9: whoever waits although more messages are there does not wait.
#[tokio::test]
async fn a_further_page_comes_at_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    for number in 0..201 {
        send(&alice, &format!("t{number}"), &bob, number).await;
    }
    let began = Instant::now();
    for expected in [100, 100, 1] {
        assert_eq!(numbers(&sync.step(deadline() * 2).await).len(), expected);
    }
    assert!(began.elapsed() < deadline(), "no page was waited for");
}

/// TD-6, TD-8: a first sync begins with what was not acknowledged, whatever was told before; and acknowledges nothing.
#[tokio::test]
async fn a_first_sync_acknowledges_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for number in 0..120 {
        send(&alice, &format!("t{number}"), &bob, number).await;
    }
    let first = bob.sync(None).await;
    assert_eq!(numbers(&first), (0..100).collect::<Vec<_>>());
    assert_eq!(numbers(&bob.sync(None).await), numbers(&first), "nothing was acknowledged");
    let second = bob.sync(Some(&next_batch(&first))).await;
    assert_eq!(numbers(&second), (100..120).collect::<Vec<_>>());
    assert_eq!(numbers(&bob.sync(None).await), (100..120).collect::<Vec<_>>(), "the first page was acknowledged");
    bob.sync(Some(&next_batch(&second))).await;
    assert!(numbers(&bob.sync(None).await).is_empty());
}

/// TD-6, TD-7, TD-8: a token acknowledges what its own answer had, and nothing that came later.
#[tokio::test]
async fn a_token_acknowledges_its_own_answer_only() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let before = bob.sync(None).await;
    let nothing = next_batch(&before);
    send(&alice, "t0", &bob, 0).await;
    let one = bob.sync(Some(&nothing)).await;
    send(&alice, "t1", &bob, 1).await;
    let both = bob.sync(Some(&nothing)).await;
    assert_eq!((numbers(&one), numbers(&both)), (vec![0], vec![0, 1]));
    // The second answer was lost; the client goes on from the first.
    let rest = bob.sync(Some(&next_batch(&one))).await;
    assert_eq!(numbers(&rest), [1]);
    send(&alice, "t2", &bob, 2).await;
    assert_eq!(numbers(&bob.sync(Some(&next_batch(&one))).await), [1, 2], "the rest was not acknowledged");
    assert_eq!(numbers(&bob.sync(Some(&nothing)).await), [1, 2], "nor is what an older token asks for");
    assert_eq!(numbers(&bob.sync(Some(&next_batch(&both))).await), [2], "now it is");
    assert_eq!(numbers(&bob.sync(Some(&next_batch(&rest))).await), [2]);
    // A token of an answer without messages acknowledges none.
    assert_eq!(numbers(&bob.sync(None).await), [2]);
    assert_eq!(numbers(&bob.sync(Some(&nothing)).await), [2]);
    assert_eq!(numbers(&bob.sync(None).await), [2]);
}

/// TD-6, TD-8: a token that another device was given acknowledges nothing here, and passes nothing over.
#[tokio::test]
async fn a_token_of_another_device_acknowledges_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let tablet = bob.another_device().await;
    for number in 0..3 {
        put(&alice, super::KIND, &format!("t{number}"), json!({bob.user_id(): {"*": {"number": number}}})).await.ok();
    }
    let told = bob.sync(None).await;
    assert_eq!(numbers(&told), [0, 1, 2]);
    let acknowledged = next_batch(&bob.sync(Some(&next_batch(&told))).await);
    for token in [next_batch(&told), acknowledged] {
        assert_eq!(numbers(&tablet.sync(Some(&token)).await), [0, 1, 2]);
        assert_eq!(numbers(&tablet.sync(None).await), [0, 1, 2]);
    }
}

/// TD-7, TD-8: syncs at the same time get the same, or each what came after its own token; none takes from the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_at_the_same_time_do_not_take_from_each_other() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let first = next_batch(&bob.sync(None).await);
    for number in 0..150 {
        send(&alice, &format!("t{number}"), &bob, number).await;
    }
    let same = || bob.sync(Some(&first));
    let (a, b, c) = tokio::join!(same(), same(), same());
    assert_eq!(numbers(&a), (0..100).collect::<Vec<_>>());
    assert_eq!((numbers(&a), numbers(&a)), (numbers(&b), numbers(&c)));
    let second = next_batch(&a);
    // One acknowledges while the other asks once more for what it acknowledges.
    let (old, new) = tokio::join!(bob.sync(Some(&first)), bob.sync(Some(&second)));
    assert_eq!(numbers(&new), (100..150).collect::<Vec<_>>());
    let old = numbers(&old);
    let whole = old == (0..100).collect::<Vec<_>>();
    assert!(whole || old == (100..150).collect::<Vec<_>>(), "before or after the acknowledgement: {old:?}");
    assert_eq!(numbers(&bob.sync(Some(&second)).await), (100..150).collect::<Vec<_>>());
    assert!(numbers(&bob.sync(Some(&next_batch(&new))).await).is_empty());
}

/// TD-5, TD-8: senders at the same time: each message once, and those of one sender in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_lose_nothing() {
    const EACH: usize = 40;
    let server = Server::shared().await;
    let bob = server.user("bob").await;
    let senders = server.users(["a", "b", "c", "d"]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let sending = futures_util::future::join_all(senders.iter().map(|sender| {
        let bob = bob.clone();
        async move {
            for number in 0..EACH {
                send(sender, &format!("t{number}"), &bob, number).await;
            }
        }
    }));
    let mut came = Vec::new();
    let receiving = async {
        while came.len() < EACH * senders.len() {
            came.extend(to_device(&sync.step(deadline()).await));
        }
    };
    let both = async { tokio::join!(sending, receiving) };
    crate::harness::within("all messages", deadline() * 3, both).await;
    for sender in &senders {
        let of_sender = came.iter().filter(|event| event["sender"] == sender.user_id());
        let numbers: Vec<_> = of_sender.map(|event| event["content"]["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..EACH as u64).collect::<Vec<_>>());
    }
    assert!(to_device(&sync.now().await).is_empty());
}

/// TD-16: whatever a filter says of rooms, messages come, and in the same pages.
#[tokio::test]
async fn filters_do_not_hide_messages() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    for number in 0..101 {
        send(&alice, &format!("t{number}"), &bob, number).await;
    }
    let filters = [
        json!({"room": {"rooms": []}}),
        json!({"room": {"not_rooms": [room], "timeline": {"limit": 1, "types": []}, "state": {"types": []}}}),
        json!({"room": {"timeline": {"limit": 0, "senders": []}, "state": {"lazy_load_members": true}}}),
        json!({"presence": {"types": []}, "account_data": {"types": [], "not_types": ["*"]}}),
        json!({"event_fields": ["room_id"], "event_format": "federation"}),
        json!({"to_device": {"types": []}, "room": {"include_leave": true}}),
    ];
    for filter in &filters {
        let mut sync = bob.syncing().filter(filter);
        let answer = sync.now().await;
        assert_eq!(numbers(&answer), (0..100).collect::<Vec<_>>(), "{filter}");
        let event = &to_device(&answer)[0];
        assert_eq!(*event, json!({"type": super::KIND, "sender": alice.user_id(), "content": {"number": 0}}));
        let stored = bob.post(at!("/user/{}/filter", bob.user_id()), filter.clone()).await.ok();
        let answer = bob.syncing().filter(&stored["filter_id"]).now().await;
        assert_eq!(numbers(&answer), (0..100).collect::<Vec<_>>(), "{filter}");
    }
}

/// TD-15: a message, to the device or to all of them, wakes each that waits, and no page is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_wakes_a_waiting_sync() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let tablet = bob.another_device().await;
    let filter = json!({"room": {"rooms": []}, "presence": {"types": []}});
    let (mut first, mut second) = (bob.syncing().filter(&filter), tablet.syncing().filter(&filter));
    first.now().await;
    second.now().await;
    for (number, target) in [bob.device_id(), "*", "*"].into_iter().enumerate() {
        let waiting = async {
            let wait = deadline() * 2;
            let one = first.step(wait).await;
            let other = if target == "*" { Some(second.step(wait).await) } else { None };
            (one, other)
        };
        let messages = json!({bob.user_id(): {target: {"number": number}}});
        let transaction = format!("w{number}");
        let sending = put(&alice, super::KIND, &transaction, messages);
        let both = async { tokio::join!(waiting, sending) };
        let ((one, other), sent) = crate::harness::within("waking", deadline(), both).await;
        sent.ok();
        assert_eq!(numbers(&one), [number]);
        assert!(other.is_none_or(|other| numbers(&other) == [number]));
    }
    let quiet = first.step(Duration::ZERO).await;
    assert!(to_device(&quiet).is_empty());
}
