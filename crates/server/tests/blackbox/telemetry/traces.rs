//! One trace follows a message from the request that sends it to the sync that delivers it, on whatever node.

use http::Method;
use serde_json::json;

use super::{
    collector::{Collector, Sent, hex},
    nodes,
};
use crate::harness::{Engine, at, to_device};

const SENT: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
const READ: (&str, &str) = ("1bf7651916cd43dd8448eb211c80319c", "c7ad6b7169203331");
const DELIVERY: &str = "deliver to-device message";

fn traceparent((trace, span): (&str, &str)) -> String {
    format!("00-{trace}-{span}-01")
}

fn named<'a>(spans: &'a [Sent], name: &str) -> &'a Sent {
    spans.iter().find(|sent| sent.span.name == name).unwrap_or_else(|| panic!("no span {name} in {spans:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_follows_a_message_from_node_to_node() {
    let mut collector = Collector::start().await;
    let url = collector.url.clone();
    let settings = move |_| {
        vec![
            ("OLMSTEAD_TELEMETRY__OTLP_ENDPOINT", url.clone()),
            // Only what is traced by the client.
            ("OLMSTEAD_TELEMETRY__SAMPLED", "0".to_owned()),
            ("OLMSTEAD_TELEMETRY__INTERVAL_SECONDS", "1".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
        ]
    };
    let Some(nodes) = nodes(settings).await else { return };
    let (here, there) = (&nodes[0], &nodes[nodes.len() - 1]);
    let [alice, bob] = here.users(["alice", "bob"]).await;
    let bob = bob.via(there);

    let path = at!("/sendToDevice/org.example.trace/{}", "t1");
    let body = json!({"messages": {bob.user_id(): {bob.device_id(): {"secret": "hidden in content"}}}});
    alice.call(Method::PUT, path).header("traceparent", &traceparent(SENT)).json(body).await.ok();
    let answer = bob.get("/sync").header("traceparent", &traceparent(READ)).await.ok();
    // What the client reads has nothing of it.
    let expected =
        json!([{"type": "org.example.trace", "sender": alice.user_id(), "content": {"secret": "hidden in content"}}]);
    assert_eq!(json!(to_device(&answer)), expected);

    // Each node sends what it has when it likes to.
    let put = "PUT /_matrix/client/v3/sendToDevice/{event_type}/{transaction_id}";
    collector.trace(SENT.0, put).await;
    let spans = collector.trace(SENT.0, DELIVERY).await;
    let request = named(&spans, put);
    assert_eq!(hex(&request.span.parent_span_id), SENT.1);
    assert_eq!(request.attribute("http.response.status_code").as_deref(), Some("200"));
    assert!(request.attribute("enduser.pseudo.id").is_some_and(|user| !user.is_empty()));
    let command = named(&spans, "send_to_device");
    assert_eq!(command.span.parent_span_id, request.span.span_id);
    let engine = if Engine::chosen() == Engine::Postgres { "postgres" } else { "rocksdb" };
    assert_eq!(command.attribute("db.system.name").as_deref(), Some(engine));
    let delivery = named(&spans, DELIVERY);
    assert_eq!(delivery.span.parent_span_id, request.span.span_id);
    assert_eq!(delivery.node == request.node, nodes.len() == 1, "the nodes have names of their own");
    let links: Vec<_> = delivery.span.links.iter().map(|link| hex(&link.trace_id)).collect();
    assert_eq!(links, [READ.0], "the delivery names the request it was in");

    let spans = collector.trace(READ.0, "GET /_matrix/client/v3/sync").await;
    assert_eq!(hex(&named(&spans, "GET /_matrix/client/v3/sync").span.parent_span_id), READ.1);
    assert_eq!(named(&spans, "sync_facts").span.name, "sync_facts");
    collector.metric("olmstead.to_device.sent").await;
    collector.metric("http.server.request.duration").await;

    for sent in collector.spans() {
        let trace = hex(&sent.span.trace_id);
        assert!([SENT.0, READ.0].contains(&trace.as_str()), "recorded though nobody asked for it: {sent:?}");
        let all = format!("{sent:?}");
        for secret in [alice.user_id(), bob.user_id(), bob.device_id(), "hidden in content", alice.token().unwrap()] {
            assert!(!all.contains(secret), "{secret} is in {all}");
        }
    }
}
