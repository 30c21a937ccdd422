//! Providers of metrics and traces, and the log, for the binary: a program that embeds the server brings its own.

mod collector;
mod log;

use std::{sync::Arc, time::Duration};

use olmstead_telemetry::{SCOPE, Telemetry};
use opentelemetry::{KeyValue, metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{Sampler, SdkTracerProvider},
};
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio::runtime::Handle;

use self::collector::Collector;
use crate::{Config, ServerError};

pub use self::log::start as start_log;

/// What is measured, and where it goes to.
#[derive(Debug)]
pub struct Providers {
    telemetry: Telemetry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    registry: Registry,
}

impl Providers {
    /// As a configuration says. What is sent is sent by this runtime.
    ///
    /// # Errors
    /// [`ServerError::Config`] for an endpoint that is none.
    pub fn new(config: &Config, runtime: Handle) -> Result<Self, ServerError> {
        let settings = &config.telemetry;
        let refused = |error: &dyn std::fmt::Display| ServerError::Config(format!("telemetry: {error}"));
        let registry = Registry::new();
        // What has no label is easier to read, and all here is of one server.
        let exporter: PrometheusExporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| refused(&error))?;
        let resource = resource(config);
        let mut meters = SdkMeterProvider::builder().with_reader(exporter).with_resource(resource.clone());
        let mut tracers = None;
        if let Some(endpoint) = settings.otlp_endpoint.as_deref().map(|endpoint| endpoint.trim_end_matches('/')) {
            let collector = Arc::new(Collector::new(runtime));
            let metrics = MetricExporter::builder()
                .with_http()
                .with_shared_http_client(collector.clone())
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/metrics"))
                .build()
                .map_err(|error| refused(&error))?;
            let interval = Duration::from_secs(settings.interval_seconds.into());
            meters = meters.with_reader(PeriodicReader::builder(metrics).with_interval(interval).build());
            let spans = SpanExporter::builder()
                .with_http()
                .with_shared_http_client(collector)
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/traces"))
                .build()
                .map_err(|error| refused(&error))?;
            let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sampled)));
            let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
            tracers = Some(builder.with_batch_exporter(spans).build());
        }
        let meters = meters.build();
        let salt = settings.salt.as_ref().map_or_else(random_salt, |salt| salt.reveal().as_bytes().to_vec());
        // Nobody would see it.
        let is_seen = settings.otlp_endpoint.is_some() || !config.admin.listen.is_empty();
        let telemetry = if is_seen { Telemetry::new(&meters.meter(SCOPE), &salt) } else { Telemetry::none() };
        Ok(Self { telemetry, meters, tracers, registry })
    }

    /// For [`crate::ServerBuilder::telemetry`].
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// For the log, whose spans are exported.
    fn tracer(&self) -> Option<opentelemetry_sdk::trace::SdkTracer> {
        self.tracers.as_ref().map(|tracers| tracers.tracer(SCOPE))
    }

    /// All that is measured, as text for Prometheus.
    ///
    /// # Errors
    /// If something cannot be written as such, in words.
    pub fn prometheus(&self) -> Result<String, String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).map_err(|error| error.to_string())?;
        String::from_utf8(text).map_err(|error| error.to_string())
    }

    /// Sends what was not sent yet. Blocks for some seconds at most.
    pub fn end(&self) {
        let tracers = self.tracers.as_ref().map_or(Ok(()), SdkTracerProvider::shutdown);
        for error in [tracers, self.meters.shutdown()].into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "the last metrics and traces could not be sent");
        }
    }
}

/// Who tells of itself.
fn resource(config: &Config) -> Resource {
    let mut node = [0; 8];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut node);
    Resource::builder_empty()
        .with_service_name("olmstead")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.namespace", config.server_name.clone()),
            KeyValue::new("service.instance.id", node.iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"))),
        ])
        .build()
}

fn random_salt() -> Vec<u8> {
    let mut salt = vec![0; 16];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut salt);
    salt
}
