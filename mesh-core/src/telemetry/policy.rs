//! What Telemetry resources and MeshConfig come to for one workload: what is counted, logged and traced on each side.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_config::api::mesh_config::ExtensionProvider;
use mesh_config::api::telemetry::{CustomTag, IstioMetric};

use super::record::Wanted;
use crate::access_log::{Attributes, Format};
use crate::cel::Program;

/// Which side of a call this workload is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// The caller's (`CLIENT`): requests that go out, at a gateway too.
    #[default]
    Client,
    /// The callee's (`SERVER`): requests that come in.
    Server,
}

impl Side {
    /// As in `match.mode`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
        }
    }
}

/// The policies of both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetries {
    /// Of requests that go out.
    pub client: TelemetryPolicy,
    /// Of requests that come in.
    pub server: TelemetryPolicy,
    /// The name of the mesh, in spans: `defaultConfig.meshId`, else the trust domain.
    pub mesh_id: Box<str>,
    /// The Telemetry resources that took part, the widest first, as `namespace/name`.
    pub from: Vec<Box<str>>,
}

impl Telemetries {
    /// The policy of one side.
    pub const fn of(&self, side: Side) -> &TelemetryPolicy {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

/// What is told of the requests of one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryPolicy {
    /// Metrics.
    pub metrics: MetricsPolicy,
    /// Traces; `None` where nothing asks for them.
    pub tracing: Option<TracingPolicy>,
    /// Access logs.
    pub logs: LogPolicy,
    /// Headers that have to be in the records, for access logs and for tags of metrics.
    pub wanted: Option<Wanted>,
}

impl TelemetryPolicy {
    /// Of all three.
    pub fn new(metrics: MetricsPolicy, tracing: Option<TracingPolicy>, logs: LogPolicy) -> Self {
        let of_files = logs.files.iter().flat_map(|file| {
            let filter = file.filter.as_ref().map(|filter| filter.wanted());
            [Some(file.format.wanted()), filter].into_iter().flatten()
        });
        let of_exported = logs.exported.iter().flat_map(|log| {
            let filter = log.filter.as_ref().map(|filter| filter.wanted());
            [Some(log.body.wanted()), Some(log.attributes.wanted()), filter].into_iter().flatten()
        });
        let of_tags = metrics.expressions.iter().map(|expression| expression.wanted());
        let wanted = of_files.chain(of_exported).chain(of_tags).cloned().reduce(|mut all, more| {
            all.extend(&more);
            all
        });
        Self { metrics, tracing, logs, wanted }
    }
}

/// Where requests are logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPolicy {
    /// The files, in the order of their providers.
    pub files: Vec<LogFile>,
    /// The logs that are exported, in the order of their providers.
    pub exported: Vec<ExportedLog>,
}

impl LogPolicy {
    /// Whether there is a log.
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty() && self.exported.is_empty()
    }
}

/// A log that is exported through OpenTelemetry (`envoyOtelAls`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedLog {
    /// What it is called (`logName`): the attribute `log_name` of its lines.
    pub name: Box<str>,
    /// What the body of a line is made of; its line break is left out.
    pub body: Arc<Format>,
    /// Attributes of a line.
    pub attributes: Arc<Attributes>,
    /// Which requests are logged; all where there is none.
    pub filter: Option<Arc<Program>>,
}

/// A file that requests are logged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The file, such as `/dev/stdout`.
    pub path: Box<str>,
    /// What a line is made of.
    pub format: Arc<Format>,
    /// Which requests are logged (`filter.expression`); all where there is none.
    pub filter: Option<Arc<Program>>,
}

/// How requests are counted.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsPolicy {
    /// Whether anything is: no where all metrics are disabled, and where no provider takes them.
    pub is_enabled: bool,
    /// What differs from the usual, by metric. [`IstioMetric::AllMetrics`] is never a key.
    pub overrides: BTreeMap<&'static str, MetricOverride>,
    /// The expressions of [`Tag::Expression`], each once.
    pub expressions: Vec<Arc<Program>>,
}

impl Default for MetricsPolicy {
    fn default() -> Self {
        Self { is_enabled: true, overrides: BTreeMap::new(), expressions: Vec::new() }
    }
}

impl MetricsPolicy {
    /// What differs for a metric.
    pub fn of(&self, metric: IstioMetric) -> Option<&MetricOverride> {
        self.overrides.get(name_of(metric))
    }

    /// Whether a metric is counted.
    pub fn counts(&self, metric: IstioMetric) -> bool {
        self.is_enabled && self.of(metric).is_none_or(|change| !change.is_disabled)
    }
}

/// What differs from the usual for one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricOverride {
    /// It is not counted.
    pub is_disabled: bool,
    /// Labels that are set or left out.
    pub tags: BTreeMap<Box<str>, Tag>,
}

/// What becomes of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// It is left out (`operation: REMOVE`).
    Removed,
    /// It is this text.
    Text(Box<str>),
    /// It is what comes out of one of the [expressions](MetricsPolicy::expressions), by its place there.
    Expression(usize),
}

/// How calls are traced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracingPolicy {
    /// Where spans go: an extension provider of MeshConfig.
    pub provider: Option<Box<ExtensionProvider>>,
    /// Whether no spans are to be reported (`disableSpanReporting`). Context travels all the same. In Istio there are none
    /// for want of a [`provider`](Self::provider) either; in a process the program says where they go.
    pub is_disabled: bool,
    /// The share of calls that are traced where the caller has not decided, 0 to 100.
    pub sampling: f64,
    /// Further tags of spans.
    pub custom_tags: BTreeMap<String, CustomTag>,
    /// Those of them that are formatted.
    pub formatted_tags: Arc<Attributes>,
    /// Whether the decision is noted in `x-request-id` and read from it.
    pub uses_request_id: bool,
    /// Whether Istio's own tags are added.
    pub istio_tags: bool,
    /// Whether the trace headers of requests are left alone.
    pub keeps_context: bool,
}

/// The share of calls that are traced where nobody says anything, in percent.
pub const DEFAULT_SAMPLING: f64 = 1.0;

/// A metric of Istio's as Telemetry resources name it.
pub const fn name_of(metric: IstioMetric) -> &'static str {
    match metric {
        IstioMetric::AllMetrics => "ALL_METRICS",
        IstioMetric::RequestCount => "REQUEST_COUNT",
        IstioMetric::RequestDuration => "REQUEST_DURATION",
        IstioMetric::RequestSize => "REQUEST_SIZE",
        IstioMetric::ResponseSize => "RESPONSE_SIZE",
        IstioMetric::TcpOpenedConnections => "TCP_OPENED_CONNECTIONS",
        IstioMetric::TcpClosedConnections => "TCP_CLOSED_CONNECTIONS",
        IstioMetric::TcpSentBytes => "TCP_SENT_BYTES",
        IstioMetric::TcpReceivedBytes => "TCP_RECEIVED_BYTES",
        IstioMetric::GrpcRequestMessages => "GRPC_REQUEST_MESSAGES",
        IstioMetric::GrpcResponseMessages => "GRPC_RESPONSE_MESSAGES",
    }
}
