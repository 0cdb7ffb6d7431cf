//! Metrics as a collector gets them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsService;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use tonic::{Request, Response, Status};

use super::collector::attributes;

/// A figure that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) kind: Kind,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Of a histogram how many were counted.
    pub(crate) value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// It grows, from when the process began.
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(Vec<f64>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Points(Arc<Mutex<Vec<Point>>>);

impl Points {
    /// The last of a name that have these attributes, by all that they have.
    pub(crate) fn last(&self, name: &str, wanted: &[(&str, &str)]) -> Vec<Point> {
        let points = self.0.lock().unwrap();
        let has =
            |point: &Point| wanted.iter().all(|(key, value)| point.attributes.get(*key).is_some_and(|is| is == value));
        let found = points.iter().filter(|point| point.name == name && has(point));
        let last: BTreeMap<_, _> = found.map(|point| (point.attributes.clone(), point.clone())).collect();
        last.into_values().collect()
    }

    fn add(&self, service: &str, metric: Metric) {
        let Metric { name, unit, data: Some(data), .. } = metric else { return };
        let number = |point: &NumberDataPoint| match point.value {
            Some(Value::AsInt(number)) => number as f64,
            Some(Value::AsDouble(number)) => number,
            None => f64::NAN,
        };
        let points: Vec<_> = match data {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
                sum.data_points
                    .iter()
                    .map(|point| (Kind::Counter, attributes(&point.attributes), number(point)))
                    .collect()
            }
            Data::Gauge(gauge) => gauge
                .data_points
                .iter()
                .map(|point| (Kind::Gauge, attributes(&point.attributes), number(point)))
                .collect(),
            Data::Histogram(histogram) => {
                let points = histogram.data_points.into_iter();
                let kind = |bounds| Kind::Histogram(bounds);
                points
                    .map(|point| (kind(point.explicit_bounds), attributes(&point.attributes), point.count as f64))
                    .collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        self.0.lock().unwrap().extend(points.into_iter().map(|(kind, attributes, value)| {
            let (service, name, unit) = (service.to_owned(), name.clone(), unit.clone());
            Point { service, name, unit, kind, attributes, value }
        }));
    }
}

#[tonic::async_trait]
impl MetricsService for Points {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for resource in request.into_inner().resource_metrics {
            let about = attributes(&resource.resource.unwrap_or_default().attributes);
            let service = about.get("service.name").cloned().unwrap_or_default();
            let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            metrics.for_each(|metric| self.add(&service, metric));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
