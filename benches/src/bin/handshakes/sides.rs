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
use rustls::HandshakeKind;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::BoxError;
use crate::certificates::{Authority, NAME, Sessions};

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

/// Serves with tokio-rustls and hyper; without an authority in plaintext.
pub(crate) async fn bare_server(
    authority: Option<&Authority>,
    sessions: Sessions,
) -> Result<(SocketAddr, Resumed), BoxError> {
    let acceptor = authority.map(|authority| authority.server(sessions)).transpose()?;
    let acceptor = acceptor.map(|config| TlsAcceptor::from(Arc::new(config)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let resumed = Resumed::default();
    let counted = resumed.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let Some(acceptor) = acceptor else { return answer(stream).await };
                let Ok(stream) = acceptor.accept(stream).await else { return };
                counted.note(stream.get_ref().1.handshake_kind());
                answer(stream).await;
            });
        }
    });
    Ok((address, resumed))
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let answer = |_| async { Ok::<_, Infallible>(Response::new(Body::empty())) };
    let mut server = hyper::server::conn::http1::Builder::new();
    // As the mesh does: nobody else may hold a connection open.
    server.timer(TokioTimer::new());
    let _ended = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

/// Serves as a workload of the mesh: under `STRICT`, or without a certificate in plaintext.
pub(crate) async fn mesh_server(authority: Option<&Authority>) -> Result<(SocketAddr, Mesh), BoxError> {
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                  metadata: {name: strict, namespace: default}\nspec: {mtls: {mode: STRICT}}\n";
    let mut builder = Mesh::builder().workload("default/server");
    if let Some(authority) = authority {
        let identity = MemoryIdentity::new(authority.material("server")?);
        builder = builder.config_yaml("strict", strict).identity(identity);
    }
    let mesh = builder.build().await?;
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
    Bare { connector: Option<TlsConnector>, address: SocketAddr, name: ServerName<'static>, resumed: Resumed },
    Mesh { client: MeshClient, _mesh: Mesh },
}

impl Client {
    pub(crate) fn bare(
        authority: Option<&Authority>,
        address: SocketAddr,
        sessions: Sessions,
    ) -> Result<Self, BoxError> {
        let config = authority.map(|authority| authority.client(sessions)).transpose()?;
        let connector = config.map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self::Bare { connector, address, name: ServerName::try_from(NAME)?, resumed: Resumed::default() })
    }

    pub(crate) async fn mesh(authority: Option<&Authority>, address: SocketAddr) -> Result<Self, BoxError> {
        let mode = if authority.is_some() { "ISTIO_MUTUAL" } else { "DISABLE" };
        let mut builder = Mesh::builder().workload("default/client").config_yaml("server", documents(address, mode));
        if let Some(authority) = authority {
            builder = builder.identity(MemoryIdentity::new(authority.material("client")?));
        }
        let mesh = builder.build().await?;
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
                let Some(connector) = connector else { return ask(stream).await };
                let stream = connector.connect(name.clone(), stream).await?;
                resumed.note(stream.get_ref().1.handshake_kind());
                ask(stream).await
            }
        }
    }
}

async fn ask(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<(), BoxError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/").header("host", NAME).body(Body::empty())?;
    read(sender.send_request(request).await?).await
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
fn documents(address: SocketAddr, mode: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: server, namespace: default}}\nspec:\n  \
         hosts: [{NAME}]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  \
         ports: [{{number: 80, name: main, protocol: HTTP}}]\n  \
         endpoints: [{{address: {}, ports: {{main: {}}}, serviceAccount: server}}]\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: server, namespace: default}}\n\
         spec:\n  host: {NAME}\n  trafficPolicy:\n    tls: {{mode: {mode}}}\n    \
         connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}\n",
        address.ip(),
        address.port()
    )
}
