//! W3C trace context: taken from requests, and handed on with what they leave behind.

pub use opentelemetry::trace::SpanContext;
use opentelemetry::{
    Context,
    trace::{SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The length of a `traceparent` of version 00.
pub const LENGTH: usize = 55;

/// Reads a `traceparent`: version, trace, span and flags in hexadecimal digits. A later version may have more after these
/// parts. `None` for anything else; a wrong one is treated as none, as the recommendation wants it.
#[must_use]
pub fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let fits = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !(fits && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2)) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// Writes a `traceparent`.
#[must_use]
pub fn format(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

/// What is to be handed on from here: the present span, if it is recorded.
#[must_use]
pub fn current() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let context = span.span_context();
    (context.is_valid() && context.is_sampled()).then(|| format(context))
}

/// Makes a span, which was not entered yet, a child of one elsewhere.
pub fn continue_from(span: &Span, parent: SpanContext) {
    // An error means that nobody exports spans, or that the span was entered already: then it stays as it is.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Says that a span has to do with another trace.
pub fn link(span: &Span, other: SpanContext) {
    span.add_link(other);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let context = parse(GOOD);
        assert_eq!(context.as_ref().map(format).as_deref(), Some(GOOD));
        assert!(context.is_some_and(|context| context.is_sampled() && context.is_remote()));
        assert!(parse(&GOOD.replace("-01", "-00")).is_some_and(|context| !context.is_sampled()));
        assert!(parse(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some());
        assert_eq!(GOOD.len(), LENGTH);
    }

    #[test]
    fn what_is_none_is_passed_over() {
        for text in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
