//! Pools against real sockets.

mod failures;
mod life;
mod limits;
mod reuse;
mod upgrade;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mesh_core::Failure;
use mesh_core::cluster::{EndpointAddress, PoolSpec};
use mesh_core::failure::Limit;
use mesh_core::limits::{Limits, Permits};
use tokio::net::{TcpListener, TcpStream};

use super::{EndpointPool, Network, PoolOptions, Protocol};
use crate::Body;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// A server that says on which connection, counted from 1, a request came.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicU32>,
}

impl Server {
    async fn start(streams: Option<u32>, delay: Duration) -> Self {
        Self::accepting(move |io, number| async move {
            let answer = service_fn(move |_| async move {
                tokio::time::sleep(delay).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(number.to_string()))))
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().max_concurrent_streams(streams);
            drop(builder.serve_connection(TokioIo::new(io), answer).await);
        })
        .await
    }

    /// A server that does what `serve` does with each connection.
    async fn accepting<F>(serve: impl Fn(TcpStream, u32) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                tokio::spawn(serve(io, counted.fetch_add(1, Ordering::SeqCst) + 1));
            }
        });
        Self { address, connections }
    }

    fn opened(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

fn pool_at(address: EndpointAddress, spec: PoolSpec, limits: Limits) -> (Arc<EndpointPool>, Arc<Permits>) {
    let permits = Permits::new(limits);
    let options = PoolOptions { connect_timeout: Duration::from_secs(1), pool: spec, network: Network::System };
    (EndpointPool::new(address, options, Arc::clone(&permits)), permits)
}

fn pool_with(address: SocketAddr, spec: PoolSpec, limits: Limits) -> (Arc<EndpointPool>, Arc<Permits>) {
    pool_at(EndpointAddress::Socket(address), spec, limits)
}

fn pool(address: SocketAddr) -> Arc<EndpointPool> {
    pool_with(address, PoolSpec::default(), Limits::default()).0
}

fn impatient(address: SocketAddr, connect_timeout: Duration) -> Arc<EndpointPool> {
    let options = PoolOptions { connect_timeout, pool: PoolSpec::default(), network: Network::System };
    EndpointPool::new(EndpointAddress::Socket(address), options, Permits::new(Limits::default()))
}

fn request() -> Request<Body> {
    Request::get("http://app/").body(Body::empty()).unwrap()
}

/// Sends one request and reads its answer.
async fn ask(pool: &EndpointPool, protocol: Protocol) -> Result<String, Failure> {
    exchange(pool, protocol, request()).await
}

async fn exchange(pool: &EndpointPool, protocol: Protocol, request: Request<Body>) -> Result<String, Failure> {
    let checkout = pool.checkout(protocol, false).await.map_err(|error| error.failure())?;
    let (response, lease) = checkout.send(request).await.map_err(|unanswered| unanswered.error.failure())?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    lease.finish();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// Waits until `done`, for a while.
async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn all_closed(permits: &Permits) {
    eventually("every connection is closed", || permits.in_use(Limit::Connections) == 0).await;
}

/// Whether the first look at `work` finds it unfinished; it is given up after that.
async fn is_pending<T>(work: impl Future<Output = T>) -> bool {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx).is_pending())).await
}
