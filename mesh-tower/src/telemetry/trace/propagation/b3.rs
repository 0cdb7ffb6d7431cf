//! B3, Zipkin's headers: one line, or one for each part.

use bytes::BufMut as _;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceId, TraceState};

use super::Incoming;
use super::value::{hex, put_hex, written};

const B3: HeaderName = HeaderName::from_static("b3");
const TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// Trace, span and decision, with a dash between two.
const LENGTH: usize = 51;

/// What was decided, and whether for this very request.
type Decision = (Option<bool>, bool);

pub(super) fn extract_single(headers: &HeaderMap) -> Option<Incoming> {
    let line = headers.get(B3)?.as_bytes();
    let mut parts = line.split(|byte| *byte == b'-');
    let first = parts.next()?;
    let Some(span) = parts.next() else { return Some(undecided_by_ids(decision(first)?)) };
    let decided = parts.next().map_or(Some((None, false)), decision)?;
    let parent = parts.next().is_none_or(|parent| hex::<8>(parent).is_some());
    (parent && parts.next().is_none()).then(|| with_ids(first, span, decided))?
}

fn decision(text: &[u8]) -> Option<Decision> {
    match text {
        b"0" => Some((Some(false), false)),
        b"1" => Some((Some(true), false)),
        b"d" => Some((Some(true), true)),
        _ => None,
    }
}

pub(super) fn extract_multi(headers: &HeaderMap) -> Option<Incoming> {
    let value = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let sampled = match value(SAMPLED) {
        Some(b"1" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        _ => None,
    };
    let decided = if value(FLAGS) == Some(b"1") { (Some(true), true) } else { (sampled, false) };
    match (value(TRACE), value(SPAN)) {
        (Some(trace), Some(span)) => with_ids(trace, span, decided),
        _ => decided.0.map(|_| undecided_by_ids(decided)),
    }
}

/// A decision without a trace that it is about: the next one to begin.
const fn undecided_by_ids((sampled, debug): Decision) -> Incoming {
    Incoming { parent: None, sampled, debug }
}

/// The id of a trace may have half as many digits.
fn with_ids(trace: &[u8], span: &[u8], (sampled, debug): Decision) -> Option<Incoming> {
    let (mut long, mut short) = ([0; 32], [0; 16]);
    let trace = lower(trace, &mut long)?;
    let trace =
        if trace.len() == 16 { u64::from_be_bytes(hex(trace)?).into() } else { u128::from_be_bytes(hex(trace)?) };
    let (trace, span) = (TraceId::from(trace), SpanId::from_bytes(hex(lower(span, &mut short)?)?));
    (trace != TraceId::INVALID && span != SpanId::INVALID)
        .then(|| Incoming { debug, ..Incoming::of((trace, span), sampled, TraceState::default()) })
}

/// Digits may be upper case, other than in W3C's.
fn lower<'b, const N: usize>(digits: &[u8], buffer: &'b mut [u8; N]) -> Option<&'b [u8]> {
    let lower = buffer.get_mut(..digits.len())?;
    lower.copy_from_slice(digits);
    lower.make_ascii_lowercase();
    Some(lower)
}

pub(super) fn inject_single(context: &SpanContext, debug: bool, headers: &mut HeaderMap) {
    let value = written(LENGTH, |buffer| {
        put_hex(buffer, &context.trace_id().to_bytes());
        buffer.put_u8(b'-');
        put_hex(buffer, &context.span_id().to_bytes());
        buffer.put_u8(b'-');
        buffer.put_u8(match (debug, context.is_sampled()) {
            (true, true) => b'd',
            (false, true) => b'1',
            (_, false) => b'0',
        });
    });
    value.into_iter().for_each(|value| drop(headers.insert(B3, value)));
}

pub(super) fn inject_multi(context: &SpanContext, debug: bool, headers: &mut HeaderMap) {
    let trace = written(32, |buffer| put_hex(buffer, &context.trace_id().to_bytes()));
    let span = written(16, |buffer| put_hex(buffer, &context.span_id().to_bytes()));
    let (Some(trace), Some(span)) = (trace, span) else { return };
    headers.insert(TRACE, trace);
    headers.insert(SPAN, span);
    // It is that of the span before this one.
    headers.remove(PARENT);
    if debug && context.is_sampled() {
        headers.remove(SAMPLED);
        headers.insert(FLAGS, HeaderValue::from_static("1"));
    } else {
        headers.remove(FLAGS);
        headers.insert(SAMPLED, HeaderValue::from_static(if context.is_sampled() { "1" } else { "0" }));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::Context;
    use opentelemetry::propagation::TextMapPropagator as _;
    use opentelemetry::trace::TraceContextExt as _;
    use opentelemetry_propagator_b3::{B3Encoding, Propagator};

    use super::super::tests_support::Carrier;
    use super::*;

    const T: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const S: &str = "e457b5a2e4d86bd1";

    fn known(incoming: Option<&Incoming>) -> (SpanContext, Option<bool>) {
        let parent = incoming.and_then(|incoming| incoming.parent.clone()).unwrap_or(SpanContext::NONE);
        (parent, incoming.and_then(|incoming| incoming.sampled))
    }

    fn theirs(encoding: B3Encoding, lines: &[(&'static str, &str)]) -> SpanContext {
        let propagator = Propagator::with_encoding(encoding);
        let context = propagator.extract_with_context(&Context::new(), &Carrier::of(lines));
        context.span().span_context().clone()
    }

    #[test]
    fn one_line_is_read_as_the_crate_of_opentelemetry_reads_it() {
        for (line, sampled) in [
            (format!("{T}-{S}-1"), Some(true)),
            (format!("{T}-{S}-0"), Some(false)),
            (format!("{T}-{S}-1-05e3ac9a4f6e3b90"), Some(true)),
            (format!("{}-{S}-0", &T[16..]), Some(false)),
            (format!("{T}-{S}"), None),
            (format!("{T}-{S}-x"), None),
            (format!("{T}-1"), None),
            (format!("{T}x-{S}-1"), None),
            ("nonsense".to_owned(), None),
        ] {
            let lines = [("b3", line.as_str())];
            let ours = extract_single(&Carrier::of(&lines).0);
            let (context, decided) = known(ours.as_ref());
            let theirs = theirs(B3Encoding::SingleHeader, &lines);
            assert_eq!((context.trace_id(), context.span_id()), (theirs.trace_id(), theirs.span_id()), "{line}");
            assert_eq!((decided, context.is_sampled()), (sampled, theirs.is_sampled()), "{line}");
        }
    }

    #[test]
    fn several_lines_are_read_as_the_crate_of_opentelemetry_reads_them() {
        let ids = [("x-b3-traceid", T), ("x-b3-spanid", S)];
        for more in [&[("x-b3-sampled", "1")][..], &[("x-b3-sampled", "0")], &[("x-b3-flags", "1")], &[]] {
            let lines = [&ids, more].concat();
            let ours = extract_multi(&Carrier::of(&lines).0);
            let (context, _) = known(ours.as_ref());
            let theirs = theirs(B3Encoding::MultipleHeader, &lines);
            assert_eq!((context.trace_id(), context.span_id()), (theirs.trace_id(), theirs.span_id()), "{more:?}");
            assert_eq!(context.is_sampled(), theirs.is_sampled(), "{more:?}");
        }
    }

    #[test]
    fn a_decision_may_come_without_a_trace() {
        for (line, sampled, debug) in [("0", false, false), ("1", true, false), ("d", true, true)] {
            let incoming = extract_single(&Carrier::of(&[("b3", line)]).0).unwrap();
            assert_eq!((incoming.sampled, incoming.debug, incoming.parent.is_none()), (Some(sampled), debug, true));
        }
        assert_eq!(extract_multi(&Carrier::of(&[("x-b3-sampled", "0")]).0).unwrap().sampled, Some(false));
        assert!(extract_multi(&Carrier::of(&[]).0).is_none());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (flags, debug) in [("1", false), ("0", false), ("d", true)] {
            let line = format!("{T}-{S}-{flags}");
            let incoming = extract_single(&Carrier::of(&[("b3", line.as_str())]).0).unwrap();
            let context = incoming.parent.unwrap();
            let mut headers = Carrier::of(&[("x-b3-parentspanid", S), ("x-b3-sampled", "1"), ("x-b3-flags", "1")]).0;
            inject_single(&context, incoming.debug, &mut headers);
            assert_eq!(headers["b3"], line);
            inject_multi(&context, incoming.debug, &mut headers);
            let again = extract_multi(&headers).unwrap();
            assert_eq!((again.parent, again.sampled, again.debug), (Some(context), Some(flags != "0"), debug));
            assert!(!headers.contains_key("x-b3-parentspanid"));
        }
    }
}
