//! `traceparent` and `tracestate`: the W3C's Trace Context.

use bytes::BufMut as _;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::Incoming;
use super::value::{hex, put_hex, written};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;

/// Most requests say so: of this the ids are not read.
pub(super) fn is_unsampled(headers: &HeaderMap) -> bool {
    let Some(line) = headers.get(TRACEPARENT).map(HeaderValue::as_bytes) else { return false };
    line.len() == LENGTH
        && line.starts_with(b"00-")
        && line[52] == b'-'
        && matches!(line[LENGTH - 1], b'0' | b'2' | b'4' | b'6' | b'8' | b'a' | b'c' | b'e')
}

pub(super) fn extract(headers: &HeaderMap) -> Option<Incoming> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (line, None) = (lines.next()?.as_bytes(), lines.next()) else { return None };
    let (trace, span, flags) = read(line)?;
    let sampled = Some(flags.is_sampled());
    Some(Incoming { sampled, ..Incoming::of((trace, span), sampled, state(headers)) })
}

/// Later versions may append fields behind another dash.
fn read(line: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (head, rest) = line.split_at_checked(LENGTH)?;
    let [version] = hex(&head[..2])?;
    let is_understood = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    if !is_understood || head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
        return None;
    }
    let trace = TraceId::from_bytes(hex(&head[3..35])?);
    let span = SpanId::from_bytes(hex(&head[36..52])?);
    let [flags] = hex(&head[53..])?;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then(|| (trace, span, TraceFlags::new(flags)))
}

/// One that cannot be read is none, and no reason to lose the trace.
fn state(headers: &HeaderMap) -> TraceState {
    let mut lines = headers.get_all(TRACESTATE).iter().filter_map(|line| line.to_str().ok());
    let Some(first) = lines.next() else { return TraceState::default() };
    let joined = lines.fold(first.to_owned(), |all, line| all + "," + line);
    joined.parse().unwrap_or_default()
}

pub(super) fn inject(context: &SpanContext, headers: &mut HeaderMap) {
    let value = written(LENGTH, |buffer| {
        buffer.put_slice(b"00-");
        put_hex(buffer, &context.trace_id().to_bytes());
        buffer.put_u8(b'-');
        put_hex(buffer, &context.span_id().to_bytes());
        buffer.put_u8(b'-');
        put_hex(buffer, &[context.trace_flags().to_u8()]);
    });
    let Some(value) = value else { return };
    headers.insert(TRACEPARENT, value);
    let state = context.trace_state();
    match (*state != TraceState::NONE).then(|| HeaderValue::from_str(&state.header())) {
        Some(Ok(state)) => drop(headers.insert(TRACESTATE, state)),
        _ => drop(headers.remove(TRACESTATE)),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;
    use opentelemetry::propagation::TextMapPropagator as _;
    use opentelemetry::trace::TraceContextExt as _;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use proptest::prelude::{ProptestConfig, proptest};

    use super::super::tests_support::Carrier;
    use super::*;

    fn ours(lines: &[(&'static str, &str)]) -> SpanContext {
        let headers = Carrier::of(lines).0;
        extract(&headers).and_then(|incoming| incoming.parent).unwrap_or(SpanContext::NONE)
    }

    /// What OpenTelemetry's SDK makes of it.
    fn theirs(lines: &[(&'static str, &str)]) -> SpanContext {
        TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &Carrier::of(lines))
            .span()
            .span_context()
            .clone()
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn it_is_read_as_the_sdk_reads_it() {
        for line in [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-00"),
            format!("cc-{TRACE}-{SPAN}-01-what-comes-later"),
            format!("cc-{TRACE}-{SPAN}-01.what"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}"),
            String::new(),
            "01".to_owned(),
        ] {
            let lines = [("traceparent", line.as_str()), ("tracestate", "a=1,b=2")];
            assert_eq!(ours(&lines), theirs(&lines), "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn whatever_comes_is_read_as_the_sdk_reads_it(
            line in "(0[01]|cc|ff)-[0-9a-f]{32}-[0-9a-fA-F]{16}-[0-9a-f]{2}(-x)?",
        ) {
            let lines = [("traceparent", line.as_str())];
            // Flags that are not known are dropped from later versions there, and only sampling counts here.
            let known = |context: SpanContext| {
                (context.trace_id(), context.span_id(), context.is_sampled(), context.is_remote())
            };
            assert_eq!(known(ours(&lines)), known(theirs(&lines)));
        }
    }

    #[test]
    fn it_is_written_as_the_sdk_writes_it() {
        for state in ["", "rojo=00f067aa0ba902b7,congo=t61"] {
            for flags in ["00", "01"] {
                let line = format!("00-{TRACE}-{SPAN}-{flags}");
                let context = ours(&[("traceparent", &line), ("tracestate", state)]);
                let mut own = Carrier::of(&[("traceparent", "old"), ("tracestate", "old=1")]);
                inject(&context, &mut own.0);
                let mut sdk = Carrier::of(&[]);
                let parent = Context::new().with_remote_span_context(context);
                TraceContextPropagator::new().inject_context(&parent, &mut sdk);
                assert_eq!(own.0[TRACEPARENT], sdk.0[TRACEPARENT]);
                let state = |headers: &HeaderMap| headers.get(TRACESTATE).filter(|state| !state.is_empty()).cloned();
                assert_eq!(state(&own.0), state(&sdk.0));
            }
        }
    }

    #[test]
    fn what_is_not_recorded_is_seen_at_a_glance() {
        for (flags, expected) in
            [("00", true), ("01", false), ("02", true), ("03", false), ("0f", false), ("xx", false)]
        {
            let headers = Carrier::of(&[("traceparent", &format!("00-{TRACE}-{SPAN}-{flags}"))]).0;
            assert_eq!(is_unsampled(&headers), expected, "{flags}");
        }
        for line in ["", "00", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"] {
            assert!(!is_unsampled(&Carrier::of(&[("traceparent", line)]).0), "{line}");
        }
        assert!(!is_unsampled(&HeaderMap::new()));
    }

    #[test]
    fn two_parents_are_none() {
        let mut headers = HeaderMap::new();
        for span in [SPAN, "00f067aa0ba902b7"] {
            headers.append(TRACEPARENT, format!("00-{TRACE}-{span}-01").parse().unwrap());
        }
        assert!(extract(&headers).is_none());
    }
}
