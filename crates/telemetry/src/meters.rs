//! Measurements of requests and of storage commands.

use std::time::Instant;

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, UpDownCounter},
};

/// Seconds, from what a read in memory takes to what a client waits for at most.
const SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Instruments of requests and storage commands.
#[derive(Debug)]
pub struct Meters {
    pub(crate) storage: Histogram<f64>,
    requests: Histogram<f64>,
    open: UpDownCounter<i64>,
}

impl Meters {
    pub(crate) fn new(meter: &Meter) -> Self {
        let seconds = |name, about| {
            meter.f64_histogram(name).with_unit("s").with_description(about).with_boundaries(SECONDS.to_vec()).build()
        };
        Self {
            storage: seconds("olmstead.storage.command.duration", "Time of storage commands and reads"),
            requests: seconds("http.server.request.duration", "Time of requests, waiting for news included"),
            open: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_description("Requests that are worked on or wait for news")
                .build(),
        }
    }

    /// A request begins; it is open until the answer is dropped.
    #[must_use]
    pub fn request<'a>(&'a self, method: &str, route: &str) -> Request<'a> {
        self.open.add(1, &[]);
        let labels = [method_label(method), KeyValue::new("http.route", route.to_owned())];
        Request { meters: self, began: Instant::now(), labels }
    }
}

/// The method as a label: one of those that HTTP has, for a client may send any word.
fn method_label(method: &str) -> KeyValue {
    let known = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"];
    KeyValue::new("http.request.method", known.into_iter().find(|known| *known == method).unwrap_or("_OTHER"))
}

/// An open request.
#[derive(Debug)]
pub struct Request<'a> {
    meters: &'a Meters,
    began: Instant,
    labels: [KeyValue; 2],
}

impl Request<'_> {
    /// It is answered with this status.
    pub fn answered(self, status: u16) {
        let [method, route] = self.labels.clone();
        let labels = [method, route, KeyValue::new("http.response.status_code", i64::from(status))];
        self.meters.requests.record(self.began.elapsed().as_secs_f64(), &labels);
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.meters.open.add(-1, &[]);
    }
}
