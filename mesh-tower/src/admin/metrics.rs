//! A registry of the mesh's own, where nobody gave it a provider.

use http::StatusCode;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::reply::{Reply, text, typed};
use crate::BoxError;

/// What Prometheus may scrape.
#[derive(Clone, Debug)]
pub(super) struct Scraped {
    registry: Registry,
    pub(super) provider: SdkMeterProvider,
}

impl Scraped {
    pub(super) fn new() -> Result<Self, BoxError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_target_info();
        let provider = SdkMeterProvider::builder().with_reader(exporter.build()?).build();
        Ok(Self { registry, provider })
    }

    fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

pub(super) fn answer(scraped: Option<&Scraped>) -> Reply {
    match scraped.map(Scraped::text) {
        Some(Ok(metrics)) => typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics),
        Some(Err(problem)) => text(StatusCode::INTERNAL_SERVER_ERROR, problem.to_string()),
        None => text(
            StatusCode::NOT_FOUND,
            "this mesh counts through a meter provider of the application, which tells its figures itself",
        ),
    }
}
