//! Requests that are sent again.

use futures_util::future::join_all;
use serde_json::json;

use super::{KIND, numbers, put, send};
use crate::harness::{Server, to_device};

/// TD-10, GEN-19: one transaction id of one device and path sends once, whatever it is said to send the second time; it is
/// told apart from the same id under another type or of another device.
#[tokio::test]
async fn a_repeated_request_sends_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let messages = |number| json!({bob.user_id(): {bob.device_id(): {"number": number}}});
    let first = put(&alice, KIND, "same", messages(1)).await;
    for _ in 0..2 {
        let again = put(&alice, KIND, "same", messages(1)).await;
        assert_eq!((again.status, again.ok()), (200, first.ok()));
    }
    put(&alice, KIND, "same", messages(5)).await.ok();
    // Another path and another device are other transactions.
    put(&alice, "io.example.other", "same", messages(1)).await.ok();
    send(&alice.another_device().await, "same", &bob, 2).await;
    send(&bob, "same", &bob, 3).await;
    let sync = bob.sync(None).await;
    assert_eq!(numbers(&sync), [1, 2, 3]);
    assert_eq!(to_device(&sync).len(), 4);
    // Still so after it was delivered and acknowledged.
    bob.sync(sync["next_batch"].as_str()).await;
    put(&alice, KIND, "same", messages(1)).await.ok();
    assert!(to_device(&bob.sync(None).await).is_empty());
    // By its older names the path is the same endpoint.
    for version in ["r0", "unstable"] {
        let path = format!("/_matrix/client/{version}/sendToDevice/{KIND}/same");
        alice.put(path, json!({"messages": messages(1)})).await.ok();
    }
    assert!(to_device(&bob.sync(None).await).is_empty());
}

/// TD-10: repeats at the same time, as by a client that gives up too early, send once as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_at_the_same_time_send_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for round in 0..5 {
        let messages = json!({"messages": {bob.user_id(): {"*": {"number": round}}}});
        let path = format!("/sendToDevice/{KIND}/race{round}");
        let answers = join_all((0..8).map(|_| alice.put(&path, messages.clone()).into_future())).await;
        for answer in answers {
            assert_eq!(answer.ok(), json!({}));
        }
    }
    assert_eq!(numbers(&bob.sync(None).await), [0, 1, 2, 3, 4]);
}

/// TD-10: a request that was refused is none: corrected, it may use its transaction id.
#[tokio::test]
async fn a_refused_request_does_not_use_up_its_id() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    put(&alice, KIND, "t", json!({bob.user_id(): {bob.device_id(): "text"}})).await.error(400, "M_BAD_JSON");
    send(&alice, "t", &bob, 1).await;
    assert_eq!(numbers(&bob.sync(None).await), [1]);
}

/// TD-10: new tokens are the same device; a device that logs in anew is another, though its name be the same.
#[tokio::test]
async fn transactions_belong_to_a_life_of_a_device() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    send(&alice, "t", &bob, 1).await;
    let again = alice.login(alice.device_id()).await;
    send(&again, "t", &bob, 2).await;
    assert_eq!(numbers(&bob.sync(None).await), [1], "the device was not gone");
    again.logout().await;
    let anew = alice.login(alice.device_id()).await;
    send(&anew, "t", &bob, 3).await;
    assert_eq!(numbers(&bob.sync(None).await), [1, 3]);
}

/// TD-4, TD-7, TD-8, TD-10: a request that is sent again, and messages that are asked for again, at whichever node; a node
/// that is killed loses none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_agree_on_what_was_sent_and_delivered() {
    let Some(server) = Server::nodes(2).await else { return };
    let nodes = [server.node(0), server.node(1)];
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let mut since = bob.via(&nodes[0]).sync(None).await["next_batch"].as_str().unwrap().to_owned();
    for round in 0..6 {
        for node in &nodes {
            send(&alice.via(node), &format!("t{round}"), &bob, round).await;
        }
        let (here, there) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        if round == 4 {
            server.kill_node(round % 2).await;
            server.restart_node(round % 2).await;
        }
        let one = bob.via(here).sync(Some(&since)).await;
        let other = bob.via(there).sync(Some(&since)).await;
        assert_eq!((numbers(&one), numbers(&other)), (vec![round], vec![round]));
        since = one["next_batch"].as_str().unwrap().to_owned();
        assert!(numbers(&bob.via(there).sync(Some(&since)).await).is_empty(), "acknowledged at the other node");
    }
}
