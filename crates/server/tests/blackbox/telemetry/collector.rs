//! A stand-in for a collector: takes OTLP over HTTP and keeps what comes.

use std::collections::BTreeMap;

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{net::TcpListener, sync::mpsc};

use crate::harness::{deadline, within};

/// A span, and the node that it is from.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) node: String,
    pub(super) span: Span,
}

impl Sent {
    /// An attribute as text.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.span.attributes, name)
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == name).and_then(|attribute| text(attribute.value.as_ref()?))
}

fn text(value: &AnyValue) -> Option<String> {
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

enum Came {
    Spans(Vec<Sent>),
    Metrics(Vec<String>),
}

/// What came to it.
pub(super) struct Collector {
    pub(super) url: String,
    coming: mpsc::UnboundedReceiver<Came>,
    spans: Vec<Sent>,
    metrics: BTreeMap<String, usize>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (come, coming) = mpsc::unbounded_channel();
        let router =
            Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics)).with_state(come);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, coming, spans: Vec::new(), metrics: BTreeMap::new() }
    }

    /// Waits until what came says so.
    async fn until<T>(&mut self, what: &str, mut enough: impl FnMut(&Self) -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = enough(self) {
                    return found;
                }
                match self.coming.recv().await.expect("the collector runs") {
                    Came::Spans(spans) => self.spans.extend(spans),
                    Came::Metrics(names) => {
                        for name in names {
                            *self.metrics.entry(name).or_default() += 1;
                        }
                    }
                }
            }
        };
        within(what, deadline(), waiting).await
    }

    /// The spans of a trace, as soon as there is one with this name.
    pub(super) async fn trace(&mut self, id: &str, name: &str) -> Vec<Sent> {
        let is_of = |sent: &&Sent| hex(&sent.span.trace_id) == id;
        self.until(&format!("a span named {name}"), |this| {
            let spans: Vec<_> = this.spans.iter().filter(is_of).cloned().collect();
            spans.iter().any(|sent| sent.span.name == name).then_some(spans)
        })
        .await
    }

    /// Waits for a metric.
    pub(super) async fn metric(&mut self, name: &str) {
        self.until(&format!("the metric {name}"), |this| this.metrics.contains_key(name).then_some(())).await;
    }

    /// All spans so far.
    pub(super) fn spans(&self) -> &[Sent] {
        &self.spans
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn node(resource: Option<Resource>) -> String {
    resource.and_then(|resource| attribute(&resource.attributes, "service.instance.id")).expect("the node's id")
}

async fn traces(State(come): State<mpsc::UnboundedSender<Came>>, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    for of_resource in request.resource_spans {
        let node = node(of_resource.resource);
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let spans = spans.map(|span| Sent { node: node.clone(), span }).collect();
        // The test may have seen enough.
        let _ = come.send(Came::Spans(spans));
    }
    StatusCode::OK
}

async fn metrics(State(come): State<mpsc::UnboundedSender<Came>>, body: Bytes) -> StatusCode {
    let request = ExportMetricsServiceRequest::decode(body).expect("OTLP");
    let scopes = request.resource_metrics.into_iter().flat_map(|of_resource| of_resource.scope_metrics);
    let names = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect();
    let _ = come.send(Came::Metrics(names));
    StatusCode::OK
}
