//! How requests say which trace they belong to.

mod b3;
mod value;
mod w3c;

use std::env;

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The variable that names the headers of traces, as for OpenTelemetry's SDKs.
const VARIABLE: &str = "OTEL_PROPAGATORS";

/// A way in which requests say which trace they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Propagator {
    /// `traceparent` and `tracestate`, as the W3C has them; `tracecontext` in `OTEL_PROPAGATORS`. The default.
    TraceContext,
    /// The header `b3`; `b3` in `OTEL_PROPAGATORS`.
    B3,
    /// The headers `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`; `b3multi` in `OTEL_PROPAGATORS`.
    B3Multi,
}

/// What a request brings with it.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The span that it was made in; whether that is sampled says [`sampled`](Self::sampled).
    pub(super) parent: Option<SpanContext>,
    /// Whether it was decided that its trace is recorded.
    pub(super) sampled: Option<bool>,
    /// Whether somebody is after this very request: a flag of B3 that is handed on.
    pub(super) debug: bool,
}

impl Incoming {
    /// What is made within a span.
    pub(super) fn within(context: &SpanContext) -> Self {
        Self { parent: Some(context.clone()), sampled: Some(context.is_sampled()), debug: false }
    }

    fn of(ids: (TraceId, SpanId), sampled: Option<bool>, state: TraceState) -> Self {
        let flags = TraceFlags::default().with_sampled(sampled == Some(true));
        Self { parent: Some(SpanContext::new(ids.0, ids.1, flags, true, state)), sampled, debug: false }
    }
}

/// The ways that a mesh reads and writes: the first that a request uses counts, all are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Propagators(Box<[Propagator]>);

impl Propagators {
    pub(crate) fn new(propagators: impl IntoIterator<Item = Propagator>) -> Self {
        Self(propagators.into_iter().collect())
    }

    /// Those that the environment names, and whether it names `baggage`.
    pub(crate) fn of_environment() -> (Self, bool) {
        Self::named(env::var(VARIABLE).ok().as_deref())
    }

    fn named(names: Option<&str>) -> (Self, bool) {
        let Some(names) = names.filter(|names| !names.trim().is_empty()) else {
            return (Self::new([Propagator::TraceContext]), false);
        };
        let (mut found, mut baggage) = (Vec::new(), false);
        for name in names.split(',').map(str::trim) {
            let propagator = match name {
                "tracecontext" => Propagator::TraceContext,
                "b3" => Propagator::B3,
                "b3multi" => Propagator::B3Multi,
                "baggage" => {
                    baggage = true;
                    continue;
                }
                "none" | "" => continue,
                other => {
                    tracing::warn!(name = other, "{VARIABLE}: not known here; it is left out");
                    continue;
                }
            };
            if !found.contains(&propagator) {
                found.push(propagator);
            }
        }
        (Self::new(found), baggage)
    }

    /// Whether a request says, at a glance, that its trace is not recorded. Nothing of it needs to be understood then: it
    /// goes on as it came.
    pub(super) fn is_unsampled(&self, headers: &HeaderMap) -> bool {
        self.0.first() == Some(&Propagator::TraceContext) && w3c::is_unsampled(headers)
    }

    /// What a request says; `None` if it says nothing that can be understood.
    pub(super) fn extract(&self, headers: &HeaderMap) -> Option<Incoming> {
        self.0.iter().find_map(|propagator| match propagator {
            Propagator::TraceContext => w3c::extract(headers),
            Propagator::B3 => b3::extract_single(headers),
            Propagator::B3Multi => b3::extract_multi(headers),
        })
    }

    /// Makes a request say that it was made in a span.
    pub(super) fn inject(&self, context: &SpanContext, debug: bool, headers: &mut HeaderMap) {
        for propagator in &self.0 {
            match propagator {
                Propagator::TraceContext => w3c::inject(context, headers),
                Propagator::B3 => b3::inject_single(context, debug, headers),
                Propagator::B3Multi => b3::inject_multi(context, debug, headers),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_them_as_for_other_sdks() {
        use Propagator::{B3, B3Multi, TraceContext};
        for (names, expected, baggage) in [
            (None, &[TraceContext][..], false),
            (Some(""), &[TraceContext], false),
            (Some("tracecontext,baggage"), &[TraceContext], true),
            (Some("b3, tracecontext ,b3,xray"), &[B3, TraceContext], false),
            (Some("b3multi"), &[B3Multi], false),
            (Some("none"), &[], false),
        ] {
            assert_eq!(Propagators::named(names), (Propagators::new(expected.iter().copied()), baggage), "{names:?}");
        }
    }
}

#[cfg(test)]
mod tests_support {
    use http::{HeaderMap, HeaderName};
    use opentelemetry::propagation::{Extractor, Injector};

    /// Headers, as OpenTelemetry's own propagators read and write them.
    pub(super) struct Carrier(pub(super) HeaderMap);

    impl Carrier {
        pub(super) fn of(lines: &[(&'static str, &str)]) -> Self {
            let line = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
            Self(lines.iter().map(line).collect())
        }
    }

    impl Extractor for Carrier {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key.to_ascii_lowercase()).and_then(|value| value.to_str().ok())
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(HeaderName::as_str).collect()
        }
    }

    impl Injector for Carrier {
        fn set(&mut self, key: &str, value: String) {
            self.0.insert(HeaderName::try_from(key).unwrap(), value.parse().unwrap());
        }
    }
}
