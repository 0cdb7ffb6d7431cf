//! The instruments of a mesh, and their handles for one set of labels.

use mesh_core::telemetry::standard::{BUCKETS, Instrument, REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};

/// The instruments of a mesh.
#[derive(Debug)]
pub(super) struct Instruments {
    requests: Counter<u64>,
    duration: Histogram<f64>,
    request_bytes: Histogram<f64>,
    response_bytes: Histogram<f64>,
}

/// What is measured of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) milliseconds: f64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

/// One series of each instrument: to record is a few atomic additions.
#[derive(Debug)]
pub(super) struct Series {
    requests: BoundCounter<u64>,
    duration: BoundHistogram<f64>,
    request_bytes: BoundHistogram<f64>,
    response_bytes: BoundHistogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let histogram = |what: Instrument| {
            let builder = meter.f64_histogram(what.name).with_description(what.description);
            builder.with_boundaries(BUCKETS.to_vec()).build()
        };
        Self {
            requests: meter.u64_counter(REQUESTS.name).with_description(REQUESTS.description).build(),
            duration: histogram(REQUEST_DURATION),
            request_bytes: histogram(REQUEST_BYTES),
            response_bytes: histogram(RESPONSE_BYTES),
        }
    }

    pub(super) fn bind(&self, labels: &[KeyValue]) -> Series {
        Series {
            requests: self.requests.bind(labels),
            duration: self.duration.bind(labels),
            request_bytes: self.request_bytes.bind(labels),
            response_bytes: self.response_bytes.bind(labels),
        }
    }
}

impl Series {
    pub(super) fn record(&self, sizes: Sizes) {
        self.requests.add(1);
        self.duration.record(sizes.milliseconds);
        // Exact up to petabytes.
        self.request_bytes.record(sizes.request_bytes as f64);
        self.response_bytes.record(sizes.response_bytes as f64);
    }
}
