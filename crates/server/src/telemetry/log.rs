//! The log: text for people or JSON for collectors, with the trace that a line belongs to, and the spans that are exported.

use std::fmt;

use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent,
        format::{DefaultFields, Format, Full, Json, JsonFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use super::Providers;
use crate::{
    ServerError,
    config::{Log, LogFormat},
};

/// Whose spans are exported: those of requests and what they do.
const SPANS: [&str; 3] = ["olmstead_http", "olmstead_service", "olmstead_telemetry"];

/// Installs the log of this process on standard error.
///
/// # Errors
/// [`ServerError::Config`] for a filter that is none, or if there is a log already.
pub fn start(log: &Log, providers: Option<&Providers>) -> Result<(), ServerError> {
    // The authorisation rules tell of every event they allow; a setting that names them still has its way.
    let filter = EnvFilter::try_new(format!("ruma_state_res=warn,{}", log.filter))
        .map_err(|error| ServerError::Config(format!("log.filter is not right: {error}")))?;
    let lines = tracing_subscriber::fmt::layer::<Registry>().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.event_format(Traced(Format::default())).with_filter(filter).boxed(),
        LogFormat::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(Traced(Format::default().json()))
            .with_filter(filter)
            .boxed(),
    };
    let tracer = providers.and_then(Providers::tracer);
    let spans = tracer.map(|tracer| {
        let of = SPANS.into_iter().fold(Targets::new(), |of, target| of.with_target(target, Level::DEBUG));
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(of)
    });
    let installed = tracing_subscriber::registry().with(lines).with(spans).try_init();
    installed.map_err(|error| ServerError::Config(format!("the log: {error}")))
}

/// Lines with the id of the trace that they belong to.
struct Traced<F>(Format<F>);

fn trace_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

impl<S> FormatEvent<S, DefaultFields> for Traced<Full>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    Format<Full>: FormatEvent<S, DefaultFields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if let Some(id) = trace_id() {
            write!(writer, "[{id}] ")?;
        }
        self.0.format_event(context, writer, event)
    }
}

impl<S> FormatEvent<S, JsonFields> for Traced<Json>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    Format<Json>: FormatEvent<S, JsonFields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(id) = trace_id() else { return self.0.format_event(context, writer, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // An object with members, as the formatter writes it.
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, "{{\"trace_id\":\"{id}\",{rest}"),
            None => writer.write_str(&line),
        }
    }
}
