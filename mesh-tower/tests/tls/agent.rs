//! An agent of SPIFFE as tonic serves it, whose messages are written by prost.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::body::Body;
use tonic::server::ServerStreamingService;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::authority::{Authority, Issued};

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Answer {
    #[prost(message, repeated, tag = "1")]
    pub(crate) svids: Vec<Svid>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) crl: Vec<Vec<u8>>,
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub(crate) federated_bundles: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Svid {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) x509_svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) x509_svid_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) bundle: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(crate) hint: String,
}

/// The certificates of a text, one after the other.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).flat_map(|certificate| certificate.unwrap().to_vec()).collect()
}

impl Svid {
    pub(crate) fn of(ca: &Authority, id: &str) -> Self {
        let Issued { chain, key } = ca.issue(&[id], |_| {});
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
        Self {
            spiffe_id: id.to_owned(),
            x509_svid: der(&chain),
            x509_svid_key: key.secret_pkcs8_der().to_vec(),
            bundle: der(&ca.pem()),
            hint: String::new(),
        }
    }
}

/// What callers are told: an answer, or how their calls end.
type Word = Result<Answer, Status>;

/// A running agent.
pub(crate) struct Agent {
    word: watch::Sender<Word>,
    accepting: AbortHandle,
}

impl Agent {
    /// Serves at a path.
    pub(crate) fn at(path: &Path, word: Word) -> Self {
        let _none = std::fs::remove_file(path);
        let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let word = watch::Sender::new(word);
        let routes = tonic::service::Routes::new(Service(word.subscribe()));
        let serving = tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming);
        Self { word, accepting: tokio::spawn(serving).abort_handle() }
    }

    /// Serves at a port, and says where.
    pub(crate) async fn over_tcp(word: Word) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("tcp://{}", listener.local_addr().unwrap());
        let word = watch::Sender::new(word);
        let routes = tonic::service::Routes::new(Service(word.subscribe()));
        let incoming = TcpListenerStream::new(listener);
        let serving = tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming);
        (Self { word, accepting: tokio::spawn(serving).abort_handle() }, uri)
    }

    pub(crate) fn tell(&self, word: Word) {
        let _before = self.word.send_replace(word);
    }
}

/// Ends all calls, and takes no more.
impl Drop for Agent {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Service(watch::Receiver<Word>);

impl ServerStreamingService<Nothing> for Service {
    type Response = Answer;
    type ResponseStream = Pin<Box<dyn Stream<Item = Word> + Send>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Nothing>) -> Self::Future {
        let mut word = self.0.clone();
        word.mark_changed();
        Box::pin(async move {
            if request.metadata().get("workload.spiffe.io").is_none_or(|value| value != "true") {
                return Err(Status::invalid_argument("security header missing from request"));
            }
            word.borrow().clone()?;
            let words = futures_util::stream::unfold(word, |mut word| async move {
                word.changed().await.ok()?;
                let next = word.borrow_and_update().clone();
                Some((next, word))
            });
            Ok(Response::new(words.boxed()))
        })
    }
}

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Answer, Nothing>::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/SpiffeWorkloadAPI/FetchX509SVID" => grpc.server_streaming(service, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl tonic::server::NamedService for Service {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}
