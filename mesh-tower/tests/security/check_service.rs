//! A service that is asked about requests over gRPC, as tonic serves it: `envoy.service.auth.v3.Authorization`, whose messages
//! are written by prost. It answers by the path.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

macro_rules! messages {
    ($($name:ident { $($(#[$how:meta])* $field:ident: $kind:ty,)* })*) => {
        $(#[derive(Clone, PartialEq, prost::Message)]
        pub(crate) struct $name { $($(#[$how])* pub(crate) $field: $kind,)* })*
    };
}

messages! {
    CheckRequest { #[prost(message, tag = "1")] attributes: Option<Attributes>, }
    Attributes {
        #[prost(message, tag = "1")] source: Option<Peer>,
        #[prost(message, tag = "2")] destination: Option<Peer>,
        #[prost(message, tag = "4")] request: Option<About>,
    }
    Peer {
        #[prost(message, tag = "1")] address: Option<Address>,
        #[prost(string, tag = "4")] principal: String,
    }
    Address { #[prost(message, tag = "1")] socket: Option<Socket>, }
    Socket {
        #[prost(string, tag = "2")] address: String,
        #[prost(uint32, tag = "3")] port: u32,
    }
    About {
        #[prost(message, tag = "1")] time: Option<Time>,
        #[prost(message, tag = "2")] http: Option<Http>,
    }
    Time { #[prost(int64, tag = "1")] seconds: i64, }
    Http {
        #[prost(string, tag = "2")] method: String,
        #[prost(btree_map = "string, string", tag = "3")] headers: BTreeMap<String, String>,
        #[prost(string, tag = "4")] path: String,
        #[prost(string, tag = "5")] host: String,
        #[prost(string, tag = "6")] scheme: String,
        #[prost(int64, tag = "9")] size: i64,
        #[prost(string, tag = "10")] protocol: String,
        #[prost(string, tag = "11")] body: String,
        #[prost(bytes = "vec", tag = "12")] raw_body: Vec<u8>,
    }
    CheckResponse {
        #[prost(message, tag = "1")] status: Option<Code>,
        #[prost(message, tag = "2")] denied: Option<Denied>,
        #[prost(message, tag = "3")] allowed: Option<Allowed>,
    }
    Code { #[prost(int32, tag = "1")] code: i32, }
    Denied {
        #[prost(message, tag = "1")] status: Option<Code>,
        #[prost(message, repeated, tag = "2")] headers: Vec<HeaderOption>,
        #[prost(string, tag = "3")] body: String,
    }
    Allowed {
        #[prost(message, repeated, tag = "2")] headers: Vec<HeaderOption>,
        #[prost(string, repeated, tag = "5")] removed: Vec<String>,
        #[prost(message, repeated, tag = "6")] to_caller: Vec<HeaderOption>,
    }
    HeaderOption {
        #[prost(message, tag = "1")] header: Option<Header>,
        #[prost(message, tag = "2")] append: Option<Flag>,
    }
    Header {
        #[prost(string, tag = "1")] key: String,
        #[prost(string, tag = "2")] value: String,
    }
    Flag { #[prost(bool, tag = "1")] value: bool, }
}

fn header(key: &str, value: &str, append: bool) -> HeaderOption {
    let header = Header { key: key.to_owned(), value: value.to_owned() };
    HeaderOption { header: Some(header), append: append.then_some(Flag { value: true }) }
}

fn answer(path: &str) -> Result<CheckResponse, Status> {
    let code = |code| Some(Code { code });
    Ok(match path {
        "/deny" => {
            let headers = vec![header("x-d", "1", false), header("x-d", "2", false), header("x-e", "1", true)];
            let denied = Denied { status: code(401), headers, body: "nope".to_owned() };
            CheckResponse { status: code(16), denied: Some(denied), ..CheckResponse::default() }
        }
        "/plain" => CheckResponse { status: code(7), ..CheckResponse::default() },
        "/fail" => return Err(Status::unavailable("told to")),
        "/bad" => {
            let headers = vec![header("x-user", "a\nb", false)];
            CheckResponse { allowed: Some(Allowed { headers, ..Allowed::default() }), ..CheckResponse::default() }
        }
        "/never" => return Err(Status::deadline_exceeded("")),
        _ => {
            let allowed = Allowed {
                headers: vec![
                    header("x-user", "ann", false),
                    header("x-route", "b", false),
                    header("x-more", "new", true),
                    header("x-none", "new", true),
                    header(":path", "/elsewhere", false),
                    header("host", "elsewhere", false),
                ],
                removed: vec!["x-gone".to_owned(), "host".to_owned()],
                to_caller: vec![header("x-down", "d", false)],
            };
            CheckResponse { status: code(0), allowed: Some(allowed), ..CheckResponse::default() }
        }
    })
}

/// What it was asked.
pub(crate) type Asked = Arc<Mutex<Vec<CheckRequest>>>;

/// Serves at a port.
pub(crate) async fn serve() -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Asked::default();
    let routes = tonic::service::Routes::new(Authorization(Arc::clone(&asked)));
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
    (port, asked)
}

#[derive(Clone)]
struct Authorization(Asked);

impl UnaryService<CheckRequest> for Authorization {
    type Response = CheckResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<CheckResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let asked = request.into_inner();
        let http = asked.attributes.clone().unwrap().request.unwrap().http.unwrap();
        self.0.lock().unwrap().push(asked);
        Box::pin(async move { answer(http.path.split('?').next().unwrap()).map(Response::new) })
    }
}

impl tower::Service<http::Request<Body>> for Authorization {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<CheckResponse, CheckRequest>::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/envoy.service.auth.v3.Authorization/Check" => grpc.unary(service, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl tonic::server::NamedService for Authorization {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}
