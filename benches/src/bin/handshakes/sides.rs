//! The servers and clients: each of them bare, and of the mesh.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_tower::identity::MemoryIdentity;
use mesh_tower::{Body, Mesh, MeshClient};
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::BoxError;
use crate::certificates::{Authority, NAME};

/// Counts the sessions that were taken up again, as one side of a connection sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resumed(Arc<AtomicU64>);

impl Resumed {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self, kind: Option<HandshakeKind>) {
        self.0.fetch_add(u64::from(kind == Some(HandshakeKind::Resumed)), Ordering::Relaxed);
    }
}

/// Serves with tokio-rustls and hyper.
pub(crate) async fn bare_server(authority: &Authority, resumes: bool) -> Result<(SocketAddr, Resumed), BoxError> {
    let acceptor = TlsAcceptor::from(Arc::new(authority.server(resumes)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let resumed = Resumed::default();
    let counted = resumed.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let Ok(stream) = acceptor.accept(stream).await else { return };
                counted.note(stream.get_ref().1.handshake_kind());
                let answer = |_| async { Ok::<_, Infallible>(Response::new(Body::empty())) };
                let mut server = hyper::server::conn::http1::Builder::new();
                // As the mesh does: nobody else may hold a connection open.
                server.timer(TokioTimer::new());
                let _ended = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    });
    Ok((address, resumed))
}

/// Serves as a workload of the mesh, under `STRICT`.
pub(crate) async fn mesh_server(authority: &Authority) -> Result<(SocketAddr, Mesh), BoxError> {
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                  metadata: {name: strict, namespace: default}\nspec: {mtls: {mode: STRICT}}\n";
    let identity = MemoryIdentity::new(authority.material("server")?);
    let builder = Mesh::builder().workload("default/server").config_yaml("strict", strict);
    let mesh = builder.identity(identity).build().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let serving = mesh.clone();
    tokio::spawn(async move { serving.serve(listener, app).await });
    Ok((address, mesh))
}

/// Makes a connection for each request.
#[derive(Clone)]
pub(crate) enum Client {
    Bare { connector: TlsConnector, address: SocketAddr, name: ServerName<'static>, resumed: Resumed },
    Mesh { client: MeshClient, _mesh: Mesh },
}

impl Client {
    pub(crate) fn bare(authority: &Authority, address: SocketAddr, resumes: bool) -> Result<Self, BoxError> {
        let config: ClientConfig = authority.client(resumes)?;
        let (connector, name) = (TlsConnector::from(Arc::new(config)), ServerName::try_from(NAME)?);
        Ok(Self::Bare { connector, address, name, resumed: Resumed::default() })
    }

    pub(crate) async fn mesh(authority: &Authority, address: SocketAddr) -> Result<Self, BoxError> {
        let identity = MemoryIdentity::new(authority.material("client")?);
        let builder = Mesh::builder().workload("default/client").config_yaml("server", documents(address));
        let mesh = builder.identity(identity).build().await?;
        Ok(Self::Mesh { client: mesh.client(), _mesh: mesh })
    }

    pub(crate) fn resumed(&self) -> u64 {
        match self {
            Self::Bare { resumed, .. } => resumed.count(),
            Self::Mesh { .. } => 0,
        }
    }

    /// One connection, one request.
    pub(crate) async fn call(&self) -> Result<(), BoxError> {
        match self {
            Self::Mesh { client, .. } => {
                let request = Request::get(format!("http://{NAME}/")).body(Body::empty())?;
                read(client.send(request).await).await
            }
            Self::Bare { connector, address, name, resumed } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let stream = connector.connect(name.clone(), stream).await?;
                resumed.note(stream.get_ref().1.handshake_kind());
                let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                let request = Request::get("/").header("host", NAME).body(Body::empty())?;
                read(sender.send_request(request).await?).await
            }
        }
    }
}

async fn read<B>(response: Response<B>) -> Result<(), BoxError>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    if response.status() != StatusCode::OK {
        return Err(format!("answered {}", response.status()).into());
    }
    response.into_body().collect().await.map_err(Into::into)?;
    Ok(())
}

/// A service whose connections serve one request each.
fn documents(address: SocketAddr) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: server, namespace: default}}\nspec:\n  \
         hosts: [{NAME}]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  \
         ports: [{{number: 80, name: main, protocol: HTTP}}]\n  \
         endpoints: [{{address: {}, ports: {{main: {}}}, serviceAccount: server}}]\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: server, namespace: default}}\n\
         spec:\n  host: {NAME}\n  trafficPolicy:\n    tls: {{mode: ISTIO_MUTUAL}}\n    \
         connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}\n",
        address.ip(),
        address.port()
    )
}
