//! The mesh of this process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_config::Report;
use mesh_core::authn::MtlsMode;
use mesh_core::explain::{Explanation, Question};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::client::MeshClient;
use crate::config::Keeper;
use crate::gateway::GatewayBuilder;
use crate::identity::{IdentityHandle, WorkloadTls};
use crate::inbound::InboundLayer;
use crate::live::Live;
use crate::outbound::{Listener as Route, Shared};
use crate::serve::{self, Drain, DrainWatch, Listener, Manner, Security, ServeOptions};
use crate::source::{Applied, Apply as _};
use crate::telemetry::Tap;
use crate::{Body, BoxError, Gauges, MeshBuilder};

/// The mesh of this process: its configuration, its clients and its servers. Clones share it.
///
/// ```no_run
/// # async fn f() -> Result<(), mesh_tower::BoxError> {
/// use mesh_tower::Mesh;
///
/// let mesh = Mesh::builder().config_dir("mesh/").workload("default/reviews").build().await?;
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// mesh.serve(tokio::net::TcpListener::bind("0.0.0.0:9080").await?, app).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Mesh {
    inner: Arc<Inner>,
    #[cfg(feature = "admin")]
    admin: Option<std::net::SocketAddr>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    drain: Drain,
    watch: DrainWatch,
    identity: IdentityHandle,
    /// End with the mesh.
    _sources: tokio::task::JoinSet<()>,
}

/// How long the end of serving waits for lines of access logs to be written.
const LOGGED_WITHIN: Duration = Duration::from_secs(1);

impl Mesh {
    /// Begins to describe a mesh.
    pub fn builder() -> MeshBuilder {
        MeshBuilder::new()
    }

    pub(crate) fn new(
        shared: Arc<Shared>,
        keeper: Arc<Keeper>,
        identity: IdentityHandle,
        (drain, watch): (Drain, DrainWatch),
        sources: tokio::task::JoinSet<()>,
    ) -> Self {
        let inner = Inner { shared, keeper, drain, watch, identity, _sources: sources };
        Self {
            inner: Arc::new(inner),
            #[cfg(feature = "admin")]
            admin: None,
        }
    }

    #[cfg(feature = "admin")]
    pub(crate) fn administered_at(self, admin: Option<std::net::SocketAddr>) -> Self {
        Self { admin, ..self }
    }

    /// The address of the [admin server](crate::admin), where there is one.
    #[cfg(feature = "admin")]
    pub fn admin_address(&self) -> Option<std::net::SocketAddr> {
        self.admin
    }

    /// A client; the port of a request's URI is the port that the mesh's rules see.
    pub fn client(&self) -> MeshClient {
        MeshClient::new(Arc::clone(&self.inner.shared), Route::Mesh { port: None })
    }

    /// One listener of the gateway, as its port is named in the configuration.
    #[cfg(feature = "testing")]
    pub(crate) fn gateway_listener(&self, port: u16) -> Option<crate::gateway::GatewayService> {
        let live = self.snapshot();
        let server = live.snapshot().gateway_servers().iter().find(|server| server.port == port)?;
        Some(crate::gateway::GatewayService::new(Arc::clone(&self.inner.shared), (port, server.bind)))
    }

    /// Why a request would go where it goes: the whole decision by the configuration in use, with files and lines, and
    /// the endpoints as they are now. The same is told of each request by `tracing` events of the target `mesh::explain`
    /// at level `TRACE`. Either costs far more than a request.
    ///
    /// ```no_run
    /// # fn f(mesh: mesh_tower::Mesh) -> Result<(), mesh_tower::BoxError> {
    /// use mesh_tower::mesh_core::explain::Question;
    ///
    /// println!("{}", mesh.explain(&Question::get("http://reviews:9080/1")?.header("end-user", "jason")?));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn explain(&self, question: &Question) -> Explanation {
        self.snapshot().explain(question)
    }

    /// A client whose requests all count as sent to `port`, whatever their URIs say.
    pub fn client_for_port(&self, port: u16) -> MeshClient {
        MeshClient::new(Arc::clone(&self.inner.shared), Route::Mesh { port: Some(port) })
    }

    /// The server side as a layer, for who keeps a server of another kind: put it around the
    /// finished application, since a route that is added later would stand outside. It does not know where it is
    /// served: where policies speak of our port or address, say it by [`InboundLayer::at`]. What is not said counts
    /// against the caller.
    ///
    /// Connections are the other server's, and a caller has the identity that the server says it has
    /// ([`PeerIdentity`](crate::inbound::PeerIdentity)), or none. So of `PeerAuthentication` only this acts here: where it
    /// says `STRICT`, requests without an identity are answered 403, and the log says so once. Under
    /// [`Profile::Istio`](crate::Profile::Istio) they are let in, and the log says that. The mode is that of the port of
    /// [`InboundLayer::at`], else the strictest of this workload's ports. Which connections are begun with TLS, and whose
    /// certificates count, is up to the other server.
    pub fn inbound(&self) -> InboundLayer {
        let layer = InboundLayer::new().carry(self.inner.shared.options.carried.iter().cloned());
        layer.guarded(Arc::clone(&self.inner.shared))
    }

    /// Serves an application, an axum `Router`, tonic's `Routes` or any other tower service, until
    /// [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// None at present: what goes wrong with one connection ends that connection.
    pub async fn serve<L, S, R>(&self, listener: L, app: S) -> io::Result<()>
    where
        L: Listener,
        S: Service<http::Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        self.serve_with(listener, app, ServeOptions::default()).await
    }

    /// As [`serve`](Self::serve), with limits and switches of one's own.
    ///
    /// # Errors
    /// As for [`serve`](Self::serve).
    pub async fn serve_with<L, S, R>(&self, listener: L, app: S, options: ServeOptions) -> io::Result<()>
    where
        L: Listener,
        S: Service<http::Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let bound = listener.local_addr().ok().and_then(|address| address.socket());
        let mut seen = options.seen_address().or(bound);
        if let Some(port) = options.workload_port {
            // A unix socket has none of its own.
            seen.get_or_insert((std::net::Ipv4Addr::UNSPECIFIED, 0).into()).set_port(port);
        }
        let port = options.workload_port.or(seen.map(|address| address.port())).unwrap_or(0);
        let (live, identity) = (self.inner.shared.live.clone(), self.inner.identity.clone());
        let tls = WorkloadTls::new(live, identity, port);
        if tls.mode() == MtlsMode::Strict && !tls.has_certificate() {
            tracing::error!(port, "the mode is STRICT and there is no certificate: every connection will be refused");
        }
        let security = Security::Workload(Arc::new(tls));
        let inbound = match seen {
            Some(address) => self.inbound().at(address),
            None => self.inbound(),
        };
        let manner = Manner { options, profile: self.inner.shared.options.profile, security };
        serve::run(listener, inbound.layer(app), self.inner.watch.clone(), manner).await;
        self.inner.shared.sinks.logs.flush(LOGGED_WITHIN).await;
        Ok(())
    }

    /// Serves health probes in plaintext on a listener of their own, whatever the mode of the workload is: whoever probes
    /// has no certificate. No policy stands in front of it, so give it an application that does nothing else.
    ///
    /// # Errors
    /// None at present, as for [`serve`](Self::serve).
    pub async fn probes<L, S, R>(&self, listener: L, app: S) -> io::Result<()>
    where
        L: Listener,
        S: Service<http::Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let (options, profile) = (ServeOptions::default(), self.inner.shared.options.profile);
        let manner = Manner { options, profile, security: Security::Plaintext };
        serve::run(listener, app, self.inner.watch.clone(), manner).await;
        Ok(())
    }

    /// An ingress for the Gateways that select this workload.
    pub fn gateway(&self) -> GatewayBuilder {
        GatewayBuilder::new(
            Arc::clone(&self.inner.shared),
            Arc::clone(&self.inner.keeper),
            self.inner.watch.clone(),
            self.inner.identity.clone(),
        )
    }

    /// Gives documents under a name, replacing those given under it before.
    ///
    /// The whole set is judged: with an error in it nothing changes, and the answer says why.
    pub fn apply_yaml(&self, name: &str, text: &str) -> Applied {
        let (documents, report) = mesh_config::parse_with(name, text, self.inner.keeper.parse_options());
        self.inner.keeper.apply(name, documents, report)
    }

    /// The findings of the last set of documents, whether it was taken or not.
    pub fn report(&self) -> Arc<Report> {
        self.inner.keeper.report()
    }

    /// Counts the configurations that were put into use; 0 before the first.
    pub fn version(&self) -> u64 {
        self.snapshot().version()
    }

    /// The version in use.
    pub fn snapshot(&self) -> Arc<Live> {
        self.inner.shared.live.current()
    }

    /// What is in use at this moment.
    pub fn gauges(&self) -> Gauges {
        Gauges::of(&self.inner.shared)
    }

    /// Hears of each request that comes to its end, on either side, from now on. Without a listener it costs nothing.
    ///
    /// A record has the request's headers as they were sent, tokens and cookies included: show those that are nobody's
    /// secret.
    ///
    /// ```no_run
    /// # async fn f(mesh: mesh_tower::Mesh) {
    /// let mut tap = mesh.tap();
    /// while let Some(record) = tap.next().await {
    ///     println!("{} {} {} {:?}", record.method, record.url_path(), record.status, record.duration);
    /// }
    /// # }
    /// ```
    pub fn tap(&self) -> Tap {
        self.inner.shared.sinks.taps.listen()
    }

    /// Waits until a configuration is in use to which every [source](crate::source) has delivered something good. Before
    /// that every request, in or out, is answered 503: a policy may be missing that keeps somebody out.
    pub async fn ready(&self) {
        let mut versions = self.inner.keeper.versions();
        // The sender lives in the keeper, which this mesh holds.
        let _closed = versions.wait_for(|_| self.inner.shared.live.current().is_complete()).await;
    }

    /// Stops accepting, lets what is under way end for up to `grace`, then cuts off the rest. Lines of access logs are
    /// written when this ends, unless that takes more than a second.
    pub async fn shutdown(&self, grace: Duration) {
        self.inner.drain.shutdown(grace).await;
        self.inner.shared.sinks.logs.flush(LOGGED_WITHIN).await;
    }
}
