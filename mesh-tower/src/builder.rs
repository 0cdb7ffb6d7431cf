//! Describes a mesh before it runs.

mod build;
mod error;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_config::{Document, ParseOptions, Report};
use mesh_core::network::Network as AddressBlock;
use mesh_core::{Profile, Site};
use opentelemetry::global::BoxedTracer;
use opentelemetry::logs::LoggerProvider;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Tracer, TracerProvider};

use crate::clock::WallClock;
use crate::discovery::Discovery;
use crate::endpoint::Network;
use crate::identity::{self, IdentitySource};
use crate::inbound::ExternalAuthorizer;
use crate::outbound::{AddedHeader, Options};
use crate::source::ConfigSource;
use crate::telemetry::{self, AccessLog, LineExporter, Propagator, Propagators};

pub use self::error::BuildError;

/// What a mesh is made of; begun with [`Mesh::builder`](crate::Mesh::builder).
#[derive(Debug)]
pub struct MeshBuilder {
    site: Site,
    texts: Vec<(String, String)>,
    directories: Vec<PathBuf>,
    sources: Vec<AnySource>,
    mesh_config: Option<String>,
    discovery: Option<Arc<dyn Discovery>>,
    lenient: bool,
    keep_good: bool,
    seed: Option<u64>,
    meter: Option<Meter>,
    introduces: bool,
    tracer: Option<BoxedTracer>,
    exporter: Option<LineExporter>,
    propagators: Option<Propagators>,
    workload_name: Option<String>,
    carry_deadline: Option<bool>,
    options: Options,
    /// Documents that were read already.
    documents: Vec<(String, Vec<Document>, Report)>,
    network: Network,
    identity: Option<AnyIdentity>,
    identity_options: identity::Options,
    #[cfg(feature = "admin")]
    admin: Option<crate::admin::Admin>,
}

struct AnyIdentity(Box<dyn IdentitySource>);

impl fmt::Debug for AnyIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentitySource({})", self.0.name())
    }
}

struct AnySource(Box<dyn ConfigSource>);

impl fmt::Debug for AnySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigSource({})", self.0.name())
    }
}

impl MeshBuilder {
    pub(crate) fn new() -> Self {
        Self {
            site: Site::default(),
            texts: Vec::new(),
            directories: Vec::new(),
            sources: Vec::new(),
            mesh_config: None,
            discovery: None,
            lenient: false,
            keep_good: false,
            seed: None,
            meter: None,
            introduces: false,
            tracer: None,
            exporter: None,
            propagators: None,
            workload_name: None,
            carry_deadline: None,
            options: Options::default(),
            documents: Vec::new(),
            network: Network::System,
            identity: None,
            identity_options: identity::Options::default(),
            #[cfg(feature = "admin")]
            admin: None,
        }
    }

    /// Reads the YAML and JSON files of a directory (or one file), and again whenever they change.
    ///
    /// A set with an error changes nothing: the last good one stays in use, whole.
    #[must_use]
    pub fn config_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.directories.push(path.into());
        self
    }

    /// Documents that are given once; `name` stands for a file name in findings.
    #[must_use]
    pub fn config_yaml(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.texts.push((name.into(), text.into()));
        self
    }

    /// A source of documents of one's own.
    #[must_use]
    pub fn source(mut self, source: impl ConfigSource) -> Self {
        self.sources.push(AnySource(Box::new(source)));
        self
    }

    /// The MeshConfig, which then counts before one that stands among the documents.
    #[must_use]
    pub fn mesh_config_yaml(mut self, text: impl Into<String>) -> Self {
        self.mesh_config = Some(text.into());
        self
    }

    /// Logs requests of both sides, beside what the configuration asks for; may be called for several logs.
    ///
    /// ```
    /// use mesh_tower::telemetry::AccessLog;
    ///
    /// let builder = mesh_tower::Mesh::builder().access_log(AccessLog::stdout().json());
    /// ```
    #[must_use]
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.site.access_logs.push(log.0);
        self
    }

    /// Who this workload is, as `namespace/service-account`; `default` is the namespace of a bare name.
    #[must_use]
    pub fn workload(mut self, name: &str) -> Self {
        let (namespace, account) = name.split_once('/').unwrap_or(("default", name));
        self.site.namespace = namespace.to_owned();
        self.site.service_account = Some(account.to_owned());
        self
    }

    /// The name of this workload in labels of metrics, such as that of its Deployment; by default that of its service:
    /// the label `service.istio.io/canonical-name`, else `app.kubernetes.io/name`, else `app`, else its service account.
    #[must_use]
    pub fn workload_name(mut self, name: impl Into<String>) -> Self {
        self.workload_name = Some(name.into());
        self
    }

    /// Counts requests in Istio's standard metrics, through this provider; see [`telemetry`](crate::telemetry).
    #[must_use]
    pub fn meter_provider(mut self, provider: &impl MeterProvider) -> Self {
        self.meter = Some(provider.meter("mesh"));
        self
    }

    /// Exports access logs of providers with `envoyOtelAls` through this provider; see
    /// [`telemetry`](crate::telemetry#access-logs).
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), mesh_tower::BoxError> {
    /// let provider = opentelemetry_sdk::logs::SdkLoggerProvider::builder().build();
    /// let mesh = mesh_tower::Mesh::builder().workload("shop/web").logger_provider(&provider).build().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn logger_provider<P>(mut self, provider: &P) -> Self
    where
        P: LoggerProvider<Logger: Send + Sync + 'static>,
    {
        self.exporter = Some(LineExporter::new(provider));
        self.site.exports_logs = true;
        self
    }

    /// Makes spans of requests through this provider; see [`telemetry`](crate::telemetry#traces).
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), mesh_tower::BoxError> {
    /// let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    /// let mesh = mesh_tower::Mesh::builder().workload("shop/web").tracer_provider(&provider).build().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider<Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static>,
    {
        self.tracer = Some(telemetry::tracer(provider));
        self
    }

    /// The headers by which requests say which trace they belong to, for a mesh with a
    /// [`tracer_provider`](Self::tracer_provider): the first of them that a request has is read, all are written. By default
    /// those that `OTEL_PROPAGATORS` names (`tracecontext`, `b3`, `b3multi`, `baggage`, `none`), else
    /// [`Propagator::TraceContext`]. The trace headers of others go on as they came.
    #[must_use]
    pub fn propagators(mut self, propagators: impl IntoIterator<Item = Propagator>) -> Self {
        self.propagators = Some(Propagators::new(propagators));
        self
    }

    /// Whether this workload and those that it calls, or that call it, tell each other what they are called, for the
    /// labels of [metrics](Self::meter_provider): `x-envoy-peer-metadata` and `x-envoy-peer-metadata-id`, as Istio's
    /// sidecars do and understand. Default: no.
    ///
    /// Without it a called workload is known by its endpoint's labels, and a calling one by its SPIFFE id alone
    /// (`source_workload="unknown"`). With it each message has some 300 bytes more, and a request takes about 15 % more
    /// instructions. What the other side tells proves nothing, and of what has no proof 64 names are kept apart. Services
    /// outside the mesh (`MESH_EXTERNAL`, hosts that nobody registered) are told nothing.
    #[must_use]
    pub fn exchange_metadata(mut self, exchange: bool) -> Self {
        self.introduces = exchange;
        self
    }

    /// The certificate by which this workload proves who it is, and the roots by which it believes others: what mutual TLS
    /// is made with, on both sides.
    ///
    /// Without one the workload takes and makes no mutual TLS: plaintext where the mode is `PERMISSIVE`, nothing where it is
    /// `STRICT` or a rule asks for `ISTIO_MUTUAL`.
    #[must_use]
    pub fn identity(mut self, source: impl IdentitySource) -> Self {
        self.identity = Some(AnyIdentity(Box::new(source)));
        self
    }

    /// A directory for credentials that no Secret among the documents is: `credentialName: web` of a DestinationRule means
    /// the files `web/ca.crt`, and for `MUTUAL` `web/tls.crt` and `web/tls.key`, in it; of a Gateway
    /// [the same](crate::gateway::GatewayBuilder::credentials). Followed as they change.
    ///
    /// Secrets are those of the workload's own namespace. In Istio a sidecar passes over `credentialName` unless the rule
    /// has a `workloadSelector`, and sends plaintext; here the credential acts wherever the process has it, and a request
    /// is answered 503 where it has not.
    #[must_use]
    pub fn credentials(self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.identity_options(|options| options.credentials(directory.into()))
    }

    pub(crate) fn identity_options(mut self, set: impl FnOnce(&mut identity::Options)) -> Self {
        set(&mut self.identity_options);
        self
    }

    /// The namespace of this workload, `default` unless set.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.site.namespace = namespace.into();
        self
    }

    /// A label of this workload. Labels decide which policies select it and which `sourceLabels` match.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.site.labels.insert(key.into(), value.into());
        self
    }

    /// Labels of this workload.
    #[must_use]
    pub fn labels<K: Into<String>, V: Into<String>>(mut self, labels: impl IntoIterator<Item = (K, V)>) -> Self {
        self.site.labels.extend(labels.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Where this workload runs, as `region/zone/subzone`.
    #[must_use]
    pub fn locality(mut self, locality: impl Into<String>) -> Self {
        self.site.locality = locality.into();
        self
    }

    /// The cluster's DNS domain, `cluster.local` unless set.
    #[must_use]
    pub fn cluster_domain(mut self, domain: impl Into<String>) -> Self {
        self.site.cluster_domain = domain.into();
        self
    }

    /// How close to Envoy to stay; [`Profile::Safe`] unless set.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.site.profile = profile;
        self
    }

    /// Takes fields that no kind has for warnings instead of errors.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Goes on with what is good where something has errors: a file with an error goes on saying what it
    /// said last, and of one that has never been good the documents without an error act. Everything
    /// else takes effect. A workload without labels where policies select by label remains an error of the
    /// whole: going on would leave a door open. Errors stay in the [report](crate::Mesh::report) until they are mended.
    #[must_use]
    pub fn keep_good_on_error(mut self) -> Self {
        self.keep_good = true;
        self
    }

    /// Makes every draw (splits, faults, balancing) come from one reproducible sequence; for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Finds the endpoints behind names in another way than by the system's resolver.
    #[must_use]
    pub fn discovery(mut self, discovery: impl Discovery) -> Self {
        self.discovery = Some(Arc::new(discovery));
        self
    }

    /// How many bytes of a request's body are kept for another try, 64 KiB unless set. A longer body still
    /// streams; the retry that would need it again is left out and
    /// [counted](crate::RouteInfo::skipped_retries).
    #[must_use]
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.options.replay_limit = bytes;
        self
    }

    /// How many bytes are kept of the bodies of all requests together, for other tries and for mirrors; 64 MiB
    /// unless set. Beyond that bodies stream on without a copy, as those that are too long do.
    #[must_use]
    pub fn replay_memory(mut self, bytes: usize) -> Self {
        self.options.replay_memory = bytes;
        self
    }

    /// How many bytes a mirror may lie behind the body that it follows, 4 MiB unless set. The body streams to
    /// both alike, however long it is; a mirror that falls back further is given up and
    /// [counted](crate::Gauges::mirrors_cut), where Envoy would hold the main request up.
    #[must_use]
    pub fn mirror_lag(mut self, bytes: usize) -> Self {
        self.options.mirror_lag = bytes;
        self
    }

    /// How many mirrored requests may be under way at once, beside the limits of their clusters; 1,024 unless
    /// set. Those that are due beyond that are left out and [counted](crate::Gauges::mirrors_skipped).
    #[must_use]
    pub fn max_mirrors(mut self, most: u32) -> Self {
        self.options.mirrors_at_once = most;
        self
    }

    /// How long a mirrored request may take where its route has no timeout; 15 s unless set.
    #[must_use]
    pub fn mirror_timeout(mut self, timeout: Duration) -> Self {
        self.options.mirror_timeout = timeout;
        self
    }

    /// Names headers that calls made while handling a request carry on from it without the handler's help, beside the
    /// request id and the trace headers, such as `end-user`. A call that sets one itself keeps its own.
    #[must_use]
    pub fn carry_headers(mut self, names: impl IntoIterator<Item = http::HeaderName>) -> Self {
        self.options.carried.extend(names);
        self
    }

    /// Leaves out a header that a sidecar would add to requests. Applications, and rules that match on it further on, may
    /// rely on it.
    #[must_use]
    pub fn without_header(mut self, header: AddedHeader) -> Self {
        self.options.left_out.add(header);
        self
    }

    /// Who is asked about the requests that a rule of an `AuthorizationPolicy` with the action `CUSTOM` matches, where the
    /// policy names this provider. A provider that nobody stands for denies.
    #[must_use]
    pub fn external_authorizer(mut self, provider: impl Into<String>, authorizer: impl ExternalAuthorizer) -> Self {
        self.options.authorizers.insert(provider.into(), authorizer);
        self
    }

    /// Addresses that keys of issuers (`jwksUri`) are never fetched from, whatever a name resolves to, such as
    /// `10.0.0.0/8`; as `BLOCKED_CIDRS_IN_JWKS_URIS` of istiod. Unless set, these are the link-local ones, where clouds
    /// tell machines their secrets; none under [`Profile::Istio`].
    #[must_use]
    pub fn block_key_addresses(mut self, blocks: impl IntoIterator<Item = AddressBlock>) -> Self {
        self.options.barred_keys = Some(blocks.into_iter().collect());
        self
    }

    /// The time of day by which the tokens of callers are judged; the system's unless set. For tests.
    #[must_use]
    pub fn token_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.options.wall = WallClock::of(clock);
        self
    }

    /// Whether a call made while handling a request ends by the deadline that the request came with (`grpc-timeout`,
    /// `x-envoy-expected-rq-timeout-ms`). Yes unless said otherwise, but not under [`Profile::Istio`], where nothing
    /// joins the two.
    #[must_use]
    pub fn carry_deadline(mut self, carry: bool) -> Self {
        self.carry_deadline = Some(carry);
        self
    }

    /// Waits before a retry as long as the answer before it asks for with `retry-after` (seconds or a date), up to half
    /// as long again, where that is not more than `most`. Off unless asked for, as in Istio, where no setting reaches
    /// Envoy's back-off for rate limits; what is off is the usual back-off.
    #[must_use]
    pub fn honor_retry_after(mut self, most: Duration) -> Self {
        self.options.retry_after = Some(most);
        self
    }

    /// Lets retries of gRPC calls see a `grpc-status` in trailers, where these come right behind the headers, as some
    /// servers answer errors. Envoy sees only what stands in the headers. Off unless asked for, since the headers of an
    /// answer then wait for its first frame. Outlier detection goes by the headers all the same.
    #[must_use]
    pub fn peek_grpc_trailers(mut self) -> Self {
        self.options.peek_trailers = true;
        self
    }

    /// Serves what this process knows of itself at an address such as `127.0.0.1:15000`; see [`admin`](crate::admin). Off
    /// unless asked for, here or, where nothing is said here, by `MESH_ADMIN_ADDR` in the environment. A mesh that was given no
    /// [`meter_provider`](Self::meter_provider) then counts for `/metrics`.
    #[cfg(feature = "admin")]
    #[must_use]
    pub fn admin(mut self, admin: impl Into<crate::admin::Admin>) -> Self {
        self.admin = Some(admin.into());
        self
    }

    /// Gives documents that were read already, and endpoints that are in this process.
    #[cfg(feature = "testing")]
    pub(crate) fn in_memory(
        mut self,
        documents: Vec<(String, Vec<Document>, Report)>,
        switchboard: Arc<crate::testing::Switchboard>,
    ) -> Self {
        self.documents.extend(documents);
        self.network = Network::InMemory(switchboard);
        self
    }

    #[cfg(feature = "testing")]
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn parse_options(&self) -> ParseOptions {
        let mut parse = ParseOptions::default().default_namespace(&self.site.namespace);
        parse.strict = !self.lenient;
        parse
    }
}
