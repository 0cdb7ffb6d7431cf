//! The instruments of a mesh, and their handles for one set of labels.

use mesh_config::api::telemetry::IstioMetric;
use mesh_core::telemetry::UNKNOWN;
use mesh_core::telemetry::policy::{MetricOverride, MetricsPolicy, Tag};
use mesh_core::telemetry::standard::{
    BUCKETS, Instrument, REQUEST_BYTES, REQUEST_DURATION, REQUEST_MESSAGES, REQUESTS, RESPONSE_BYTES, RESPONSE_MESSAGES,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};

/// The instruments of a mesh.
#[derive(Debug)]
pub(super) struct Instruments {
    requests: Counter<u64>,
    duration: Histogram<f64>,
    request_bytes: Histogram<f64>,
    response_bytes: Histogram<f64>,
    request_messages: Counter<u64>,
    response_messages: Counter<u64>,
}

/// What is measured of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) milliseconds: f64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

/// What is counted of messages between two workloads: one series of each of the two instruments.
#[derive(Debug)]
pub(super) struct MessageSeries {
    requests: Option<BoundCounter<u64>>,
    responses: Option<BoundCounter<u64>>,
}

/// One series of each instrument: to record is a few atomic additions.
#[derive(Debug)]
pub(super) struct Series {
    requests: Option<BoundCounter<u64>>,
    duration: Option<BoundHistogram<f64>>,
    request_bytes: Option<BoundHistogram<f64>>,
    response_bytes: Option<BoundHistogram<f64>>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let histogram = |what: Instrument| {
            let builder = meter.f64_histogram(what.name).with_description(what.description);
            builder.with_boundaries(BUCKETS.to_vec()).build()
        };
        let counter = |what: Instrument| meter.u64_counter(what.name).with_description(what.description).build();
        Self {
            requests: counter(REQUESTS),
            duration: histogram(REQUEST_DURATION),
            request_bytes: histogram(REQUEST_BYTES),
            response_bytes: histogram(RESPONSE_BYTES),
            request_messages: counter(REQUEST_MESSAGES),
            response_messages: counter(RESPONSE_MESSAGES),
        }
    }

    /// The series of a label set, of those metrics that a policy counts, with the labels that it leaves. `values`: what has
    /// come out of its expressions.
    pub(super) fn bind(&self, labels: &[KeyValue], policy: &MetricsPolicy, values: &[Box<str>]) -> Series {
        let labels = |metric| counted(metric, labels, policy, values);
        Series {
            requests: labels(IstioMetric::RequestCount).map(|labels| self.requests.bind(&labels)),
            duration: labels(IstioMetric::RequestDuration).map(|labels| self.duration.bind(&labels)),
            request_bytes: labels(IstioMetric::RequestSize).map(|labels| self.request_bytes.bind(&labels)),
            response_bytes: labels(IstioMetric::ResponseSize).map(|labels| self.response_bytes.bind(&labels)),
        }
    }

    /// The same of messages.
    pub(super) fn bind_messages(&self, labels: &[KeyValue], policy: &MetricsPolicy) -> MessageSeries {
        // Messages are counted while a call goes on, of which no expression can tell yet.
        let labels = |metric| counted(metric, labels, policy, &[]);
        MessageSeries {
            requests: labels(IstioMetric::GrpcRequestMessages).map(|labels| self.request_messages.bind(&labels)),
            responses: labels(IstioMetric::GrpcResponseMessages).map(|labels| self.response_messages.bind(&labels)),
        }
    }
}

impl Series {
    pub(super) fn record(&self, sizes: Sizes) {
        if let Some(requests) = &self.requests {
            requests.add(1);
        }
        let record = |histogram: &Option<BoundHistogram<f64>>, value| {
            if let Some(histogram) = histogram {
                histogram.record(value);
            }
        };
        record(&self.duration, sizes.milliseconds);
        // Exact up to petabytes.
        record(&self.request_bytes, sizes.request_bytes as f64);
        record(&self.response_bytes, sizes.response_bytes as f64);
    }
}

impl MessageSeries {
    /// Both are there as soon as one is, as in Istio.
    pub(super) fn add(&self, requests: u64, responses: u64) {
        for (counter, more) in [(&self.requests, requests), (&self.responses, responses)] {
            if let Some(counter) = counter {
                counter.add(more);
            }
        }
    }
}

/// The labels of a metric, if it is counted.
fn counted(
    metric: IstioMetric,
    labels: &[KeyValue],
    policy: &MetricsPolicy,
    values: &[Box<str>],
) -> Option<Vec<KeyValue>> {
    policy.counts(metric).then(|| changed(labels, policy.of(metric), values))
}

/// Labels as a metric has them: without those that are taken away, and with those that are set.
fn changed(labels: &[KeyValue], change: Option<&MetricOverride>, values: &[Box<str>]) -> Vec<KeyValue> {
    let Some(change) = change else { return labels.to_vec() };
    // Where no expression can tell yet a label keeps what it has.
    let is_kept = |name: &str| match change.tags.get(name) {
        Some(Tag::Expression(place)) => values.get(*place).is_none(),
        Some(Tag::Removed | Tag::Text(_)) => false,
        None => true,
    };
    let kept = labels.iter().filter(|label| is_kept(label.key.as_str())).cloned();
    let is_there = |name: &str| labels.iter().any(|label| label.key.as_str() == name);
    let set = change.tags.iter().filter_map(|(name, tag)| {
        let value = match tag {
            Tag::Removed => return None,
            Tag::Text(text) => text,
            Tag::Expression(place) => match values.get(*place) {
                Some(value) => &**value,
                None if is_there(name) => return None,
                None => UNKNOWN,
            },
        };
        Some(KeyValue::new(name.to_string(), value.to_owned()))
    });
    kept.chain(set).collect()
}
