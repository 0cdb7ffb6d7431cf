//! Asks a service of the mesh about requests, as `envoyExtAuthzHttp` and `envoyExtAuthzGrpc` say.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, StatusCode};
use mesh_core::authz::grpc_check::{self, GrpcAnswer, GrpcQuestion};
use mesh_core::authz::{Asked, BodyInCheck, HttpProvider, OnError, Provider, ProviderAnswer};
use mesh_core::failure::grpc_code_of;
use mesh_core::route::{internal_headers, reply};

use super::custom::{Allowed, CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
use super::guard::TARGET;
use super::token::bad_value;
use crate::cluster::ClusterHandle;
use crate::grpc::{Messages, Status, framed};
use crate::live::Live;
use crate::outbound::{Shared, direct};
use crate::{Body, BoxError};

/// How long an answer's body may be. One that is longer is no answer.
const MOST_BYTES: usize = 1024 * 1024;

/// The service of a provider, by the version of the configuration that a request is judged by.
pub(super) struct AskedService {
    provider: Arc<Provider>,
    cluster: Option<Arc<ClusterHandle>>,
    shared: Arc<Shared>,
}

impl AskedService {
    pub(super) fn of(name: &str, live: &Live, shared: &Arc<Shared>) -> Option<Self> {
        let provider = Arc::clone(live.snapshot().provider(name)?);
        let cluster = provider.cluster.id.and_then(|id| live.cluster(id)).cloned();
        Some(Self { provider, cluster, shared: Arc::clone(shared) })
    }
}

impl ExternalAuthorizer for AskedService {
    fn check(&self, request: CheckRequest) -> Checking {
        let (provider, cluster) = (Arc::clone(&self.provider), self.cluster.clone());
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let is_grpc = reply::is_grpc(&request.headers);
            let asked = match cluster {
                Some(cluster) => ask(&provider, &cluster, &shared, &request, is_grpc).await,
                None => Err("the service of the provider does not exist".into()),
            };
            asked.unwrap_or_else(|error| {
                tracing::warn!(target: TARGET, provider = %provider.name, %error, "the provider gives no answer");
                match provider.on_error {
                    OnError::Allow => CheckAnswer::Allow(Allowed::default()),
                    OnError::Reply(status) => {
                        CheckAnswer::Deny(denial(status, HeaderMap::new(), Bytes::new(), is_grpc))
                    }
                }
            })
        })
    }

    fn body(&self) -> Option<BodyInCheck> {
        self.provider.body
    }

    fn reroutes(&self) -> bool {
        self.provider.reroutes
    }
}

async fn ask(
    provider: &Provider,
    cluster: &Arc<ClusterHandle>,
    shared: &Arc<Shared>,
    request: &CheckRequest,
    is_grpc: bool,
) -> Result<CheckAnswer, BoxError> {
    let question = match &provider.asked {
        Asked::Http(http) => over_http(http, request),
        Asked::Grpc { authority } => over_grpc(authority, provider.body, shared, request),
        _ => None,
    };
    // Whatever becomes of a request where the service fails: this one's caller made it so that nobody can be asked.
    let Some(question) = question else {
        tracing::info!(target: TARGET, provider = %provider.name, "the request has no target to ask about");
        return Ok(CheckAnswer::Failed);
    };
    let answer = direct::send(cluster, shared, question, provider.timeout, MOST_BYTES).await?;
    match &provider.asked {
        Asked::Http(http) => heard_over_http(http, answer, is_grpc),
        _ => heard_over_grpc(answer, is_grpc),
    }
}

fn host_of(request: &CheckRequest) -> Option<&str> {
    let host = || request.headers.get(HOST).and_then(|host| host.to_str().ok());
    request.uri.authority().map(Authority::as_str).or_else(host)
}

fn over_http(provider: &HttpProvider, request: &CheckRequest) -> Option<Request<Body>> {
    let body = request.body.as_ref();
    let mut question = Request::new(body.map_or_else(Body::empty, |body| Body::from(body.bytes.clone())));
    *question.method_mut() = request.method.clone();
    *question.uri_mut() = provider.target(host_of(request)?, &request.uri)?;
    *question.headers_mut() = provider.headers(&request.headers, body.map(|body| (body.bytes.len(), body.is_partial)));
    Some(question)
}

fn over_grpc(
    authority: &str,
    body: Option<BodyInCheck>,
    shared: &Shared,
    request: &CheckRequest,
) -> Option<Request<Body>> {
    let told = GrpcQuestion {
        method: &request.method,
        scheme: request.scheme.as_str(),
        authority: host_of(request)?,
        target: request.uri.path_and_query().map_or("/", PathAndQuery::as_str),
        version: request.version,
        headers: &request.headers,
        source: request.address.as_ref().and_then(crate::serve::PeerAddress::socket),
        destination: request.local.filter(|at: &SocketAddr| !at.ip().is_unspecified()),
        principal: request.identity.as_ref().map(super::PeerIdentity::principal),
        body: request.body.as_ref().zip(body).map(|(told, how)| (&told.bytes[..], told.is_partial, how)),
        time: shared.options.wall.now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    };
    let mut question = Request::new(Body::from(framed(&told.encode())));
    *question.method_mut() = http::Method::POST;
    *question.version_mut() = http::Version::HTTP_2;
    *question.uri_mut() = format!("http://{authority}{}", grpc_check::CHECK).parse().ok()?;
    question.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    question.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    Some(question)
}

fn heard_over_http(
    provider: &HttpProvider,
    answer: Response<direct::Read>,
    is_grpc: bool,
) -> Result<CheckAnswer, BoxError> {
    let (head, read) = answer.into_parts();
    match provider.judge(head.status, &head.headers) {
        ProviderAnswer::Allow { to_application, added, to_caller } => Ok(CheckAnswer::Allow(Allowed {
            request_headers: to_application,
            added_request_headers: added,
            response_headers: to_caller,
            ..Allowed::default()
        })),
        ProviderAnswer::Deny(headers) => Ok(CheckAnswer::Deny(denial(head.status, headers, read.body, is_grpc))),
        ProviderAnswer::Error => Err(format!("it answers {}", head.status).into()),
    }
}

fn heard_over_grpc(answer: Response<direct::Read>, is_grpc: bool) -> Result<CheckAnswer, BoxError> {
    let (head, read) = answer.into_parts();
    let status = Status::of(&head.headers).or_else(|| read.trailers.as_ref().and_then(Status::of));
    match status {
        Some(status) if status.code == 0 => {}
        Some(status) => return Err(status.to_string().into()),
        None => return Err(format!("it answers {} and no status of gRPC", head.status).into()),
    }
    let mut messages = Messages::default();
    messages.add(&read.body);
    let message = messages.next(MOST_BYTES).ok().flatten().ok_or("it answers without a message")?;
    Ok(match grpc_check::judge(&message)? {
        GrpcAnswer::Allow(ProviderAnswer::Allow { to_application, added, to_caller }, removed) => {
            CheckAnswer::Allow(Allowed {
                request_headers: to_application,
                added_request_headers: added,
                removed_request_headers: removed,
                response_headers: to_caller,
            })
        }
        GrpcAnswer::Allow(..) => CheckAnswer::Failed,
        GrpcAnswer::Deny(status, headers, body) => {
            CheckAnswer::Deny(denial(status, headers, Bytes::from(body), is_grpc))
        }
        GrpcAnswer::BadValue(name) => CheckAnswer::Deny(bad_value(&name)),
    })
}

/// What the caller gets: for gRPC the status mapped, and the body as its text.
pub(super) fn denial(status: StatusCode, mut headers: HeaderMap, body: Bytes, is_grpc: bool) -> Response<Body> {
    // Of the connection to the service.
    internal_headers::remove_hop_by_hop_of_response(&mut headers, false);
    if is_grpc {
        reply::put_grpc_status(&mut headers, grpc_code_of(status), &body);
    } else if !body.is_empty() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain"));
    }
    let mut response = Response::new(if is_grpc || body.is_empty() { Body::empty() } else { Body::from(body) });
    *response.status_mut() = if is_grpc { StatusCode::OK } else { status };
    headers.remove(http::header::CONTENT_LENGTH);
    *response.headers_mut() = headers;
    response
}

impl fmt::Debug for AskedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskedService").field("provider", &self.provider.name).finish_non_exhaustive()
    }
}
