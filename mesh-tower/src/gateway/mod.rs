//! An ingress inside the process: the HTTP servers of the Gateways that select this workload.
//!
//! The workload's labels decide which Gateways those are. Each port for HTTP or HTTPS becomes a
//! listener whose requests are routed by the VirtualServices bound to the Gateway. On one with TLS the name
//! that the client asks for chooses the server, and with it certificate and routes. The certificate is that of a Secret
//! among the documents, of a directory ([`credentials`](GatewayBuilder::credentials)), or of files; a server without one
//! refuses its connections while the others serve, until it has one. Other servers are reported as not served. Ports can be mapped, so that nobody needs to be root
//! to serve port 80:
//!
//! ```no_run
//! # async fn f(mesh: mesh_tower::Mesh) -> std::io::Result<()> {
//! let gateway = mesh.gateway().map_port(80, 8080).map_port(443, 8443).start().await?;
//! for (port, address) in gateway.addresses() {
//!     println!("port {port} of the Gateways is served at {address}");
//! }
//! # Ok(()) }
//! ```
//!
//! Policies at a server of mode `MUTUAL` see who the client's certificate says that it is (one URI that is a SPIFFE id),
//! as Envoy does. Whom the server's authorities vouch for is their matter; but with `Profile::Safe` nobody passes for one
//! of the mesh there, whatever they sign: for that there is `ISTIO_MUTUAL`. A connection whose certificate its server would
//! not take any more, after a change of authorities, pins or names, is answered 421: on a new one it may be served.
//!
//! A change of the configuration opens the listeners of new ports and closes those of ports that are
//! gone; routes change with the version like everybody's.

mod server;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_config::{Code, Diagnostic, Kind};
use mesh_core::snapshot::GatewayServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Keeper;
use crate::identity::{GatewayTls, IdentityHandle};
use crate::outbound::Shared;
use crate::serve::{self, DrainWatch, Manner, Security, ServeOptions};

pub(crate) use self::server::GatewayService;

/// Describes an ingress; from [`Mesh::gateway`](crate::Mesh::gateway).
#[derive(Debug)]
pub struct GatewayBuilder {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    drain: DrainWatch,
    ports: BTreeMap<u16, u16>,
    address: IpAddr,
    options: ServeOptions,
    identity: IdentityHandle,
    credentials: Option<PathBuf>,
}

impl GatewayBuilder {
    pub(crate) fn new(shared: Arc<Shared>, keeper: Arc<Keeper>, drain: DrainWatch, identity: IdentityHandle) -> Self {
        Self {
            shared,
            keeper,
            drain,
            ports: BTreeMap::new(),
            address: Ipv4Addr::UNSPECIFIED.into(),
            options: ServeOptions::default(),
            identity,
            credentials: None,
        }
    }

    /// Serves `port` of the Gateways at another port; 0 for any that is free.
    #[must_use]
    pub fn map_port(mut self, port: u16, to: u16) -> Self {
        self.ports.insert(port, to);
        self
    }

    /// The address to listen at where a server names none in `bind`, or all of them (`0.0.0.0`);
    /// `0.0.0.0` unless set.
    #[must_use]
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// A directory for credentials that no Secret among the documents is: `credentialName: web` means the files
    /// `web/tls.crt` and `web/tls.key` in it, and `web/ca.crt` for the authorities of clients. Followed as they change.
    /// [That of the mesh](crate::MeshBuilder::credentials) unless set.
    #[must_use]
    pub fn credentials(mut self, directory: impl Into<PathBuf>) -> Self {
        self.credentials = Some(directory.into());
        self
    }

    /// Limits and switches of the connections.
    #[must_use]
    pub fn serve_options(mut self, options: ServeOptions) -> Self {
        self.options = options;
        self
    }

    /// Opens the listeners and serves until the mesh shuts down.
    ///
    /// # Errors
    /// If a port of the configuration in use cannot be opened.
    pub async fn start(self) -> io::Result<Gateway> {
        let mut listeners = Listeners { builder: self, open: BTreeMap::new() };
        let addresses: Arc<Mutex<Addresses>> = Arc::default();
        let keeper = Arc::clone(&listeners.builder.keeper);
        // Before the first look, so that no version falls in between.
        let mut versions = keeper.versions();
        listeners.follow(&addresses).await?;
        let published = Arc::clone(&addresses);
        let task = tokio::spawn(async move {
            while versions.changed().await.is_ok() {
                if let Err(error) = listeners.follow(&published).await {
                    tracing::error!(%error, "a port of a Gateway cannot be opened; the others work");
                }
            }
        });
        Ok(Gateway { addresses, keeper, task })
    }
}

type Addresses = Vec<(u16, SocketAddr)>;

/// An ingress that runs; ends with its mesh, or when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    addresses: Arc<Mutex<Addresses>>,
    keeper: Arc<Keeper>,
    task: JoinHandle<()>,
}

impl Gateway {
    /// The ports of the Gateways that are served, and where.
    pub fn addresses(&self) -> Vec<(u16, SocketAddr)> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where a port of the Gateways is served; the first place, if servers bind it at several addresses.
    pub fn address_of(&self, port: u16) -> Option<SocketAddr> {
        self.addresses().iter().find(|(served, _)| *served == port).map(|(_, address)| *address)
    }

    /// The servers of the Gateways that are not opened, each with the reason.
    pub fn not_served(&self) -> Vec<String> {
        let report = self.keeper.report_in_use();
        let about = |finding: &&Diagnostic| {
            let kind = finding.resource.as_ref().map(|id| id.kind);
            [Code::NOT_ENFORCED, Code::SERVER_CONFLICT].contains(&finding.code) && kind == Some(Kind::Gateway)
        };
        report.iter().filter(about).map(ToString::to_string).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Listeners {
    builder: GatewayBuilder,
    open: BTreeMap<Place, Open>,
}

/// A port of the Gateways, the address where a server names one, and whether connections begin with TLS.
type Place = (u16, Option<IpAddr>, bool);

fn place_of(server: &GatewayServer) -> Place {
    (server.port, server.bind, !server.tls.is_empty())
}

/// A listener that is open; closes when dropped.
#[derive(Debug)]
struct Open {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Open {
    /// Closes it, and waits until its address is free.
    async fn close(mut self) {
        self.accepting.abort();
        // Aborted, or ended already.
        let _ended = (&mut self.accepting).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listeners {
    /// Opens what the configuration in use asks for and closes what it does not ask for any more.
    async fn follow(&mut self, addresses: &Mutex<Addresses>) -> io::Result<()> {
        let live = self.builder.shared.live.current();
        let wanted = live.snapshot().gateway_servers();
        let is_wanted = |place: &Place| wanted.iter().any(|server| place_of(server) == *place);
        let unwanted: Vec<_> = self.open.extract_if(.., |place, _| !is_wanted(place)).collect();
        for (_, open) in unwanted {
            open.close().await;
        }
        let mut failed = None;
        for server in wanted {
            let place = place_of(server);
            if !self.open.contains_key(&place) {
                match self.open(server).await {
                    Ok(open) => drop(self.open.insert(place, open)),
                    Err(error) => failed = Some(error),
                }
            }
        }
        let current = self.open.iter().map(|((port, ..), open)| (*port, open.address)).collect();
        *addresses.lock().unwrap_or_else(PoisonError::into_inner) = current;
        failed.map_or(Ok(()), Err)
    }

    async fn open(&self, server: &GatewayServer) -> io::Result<Open> {
        let builder = &self.builder;
        let ip = server.bind.unwrap_or(builder.address);
        let port = builder.ports.get(&server.port).copied().unwrap_or(server.port);
        let place = SocketAddr::new(ip, port);
        let listener = TcpListener::bind(place).await.map_err(|error| {
            let help = match error.kind() {
                io::ErrorKind::PermissionDenied => "; GatewayBuilder::map_port opens another one for it",
                _ => "",
            };
            let gateways = server.gateways.join(", ");
            io::Error::new(error.kind(), format!("port {} of {gateways}: {place}: {error}{help}", server.port))
        })?;
        let address = listener.local_addr()?;
        tracing::info!(port = server.port, %address, gateways = server.gateways.join(", "), "gateway listens");
        let place = (server.port, server.bind);
        let mut service = GatewayService::new(Arc::clone(&builder.shared), place);
        let (live, identity) = (builder.shared.live.clone(), builder.identity.clone());
        let profile = builder.shared.options.profile;
        let security = if server.tls.is_empty() {
            Security::Plaintext
        } else {
            let credentials = builder.credentials.clone();
            let tls = Arc::new(GatewayTls::new(live, identity, place, credentials, profile));
            service = service.with_tls(Arc::clone(&tls));
            Security::Gateway(tls)
        };
        let manner = Manner { options: builder.options.clone(), profile, security };
        let accepting = tokio::spawn(serve::run(listener, service, builder.drain.clone(), manner));
        Ok(Open { address, accepting })
    }
}
