//! Asks a service of the mesh about requests, as `envoyExtAuthzHttp` says.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use mesh_core::authz::{HttpProvider, OnError, ProviderAnswer};
use mesh_core::failure::grpc_code_of;
use mesh_core::route::{internal_headers, reply};

use super::custom::{Allowed, CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
use super::guard::TARGET;
use crate::Body;
use crate::cluster::ClusterHandle;
use crate::live::Live;
use crate::outbound::{Shared, direct};

/// How long an answer's body may be. One that is longer is no answer.
const MOST_BYTES: usize = 1024 * 1024;

/// The service of a provider, by the version of the configuration that a request is judged by.
pub(super) struct HttpAuthorizer {
    provider: Arc<HttpProvider>,
    cluster: Option<Arc<ClusterHandle>>,
    shared: Arc<Shared>,
}

impl HttpAuthorizer {
    pub(super) fn of(name: &str, live: &Live, shared: &Arc<Shared>) -> Option<Self> {
        let provider = Arc::clone(live.snapshot().provider(name)?);
        let cluster = provider.cluster.id.and_then(|id| live.cluster(id)).cloned();
        Some(Self { provider, cluster, shared: Arc::clone(shared) })
    }
}

impl ExternalAuthorizer for HttpAuthorizer {
    fn check(&self, request: CheckRequest) -> Checking {
        let (provider, cluster) = (Arc::clone(&self.provider), self.cluster.clone());
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let is_grpc = reply::is_grpc(&request.headers);
            let asked = match (question(&provider, &request), cluster) {
                (Some(question), Some(cluster)) => {
                    direct::send(&cluster, &shared, question, provider.timeout, MOST_BYTES).await
                }
                (None, _) => Err("the request has no target to ask about".into()),
                (_, None) => Err("the service of the provider does not exist".into()),
            };
            match asked {
                Ok(answer) => heard(&provider, answer, is_grpc),
                Err(error) => {
                    tracing::warn!(target: TARGET, provider = %provider.name, %error, "the provider gives no answer");
                    unanswered(&provider, is_grpc)
                }
            }
        })
    }
}

fn question(provider: &HttpProvider, request: &CheckRequest) -> Option<Request<Body>> {
    let host = || request.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri.authority().map(Authority::as_str).or_else(host)?;
    let mut question = Request::new(Body::empty());
    *question.method_mut() = request.method.clone();
    *question.uri_mut() = provider.target(authority, &request.uri)?;
    *question.headers_mut() = provider.headers(&request.headers);
    Some(question)
}

fn heard(provider: &HttpProvider, answer: Response<Bytes>, is_grpc: bool) -> CheckAnswer {
    let (head, body) = answer.into_parts();
    match provider.judge(head.status, &head.headers) {
        ProviderAnswer::Allow { to_application, to_caller } => {
            CheckAnswer::Allow(Allowed { request_headers: to_application, response_headers: to_caller })
        }
        ProviderAnswer::Deny(headers) => CheckAnswer::Deny(denial(head.status, headers, body, is_grpc)),
        ProviderAnswer::Error => {
            tracing::warn!(target: TARGET, provider = %provider.name, status = %head.status, "the provider fails");
            unanswered(provider, is_grpc)
        }
    }
}

fn unanswered(provider: &HttpProvider, is_grpc: bool) -> CheckAnswer {
    match provider.on_error {
        OnError::Allow => CheckAnswer::Allow(Allowed::default()),
        OnError::Reply(status) => CheckAnswer::Deny(denial(status, HeaderMap::new(), Bytes::new(), is_grpc)),
    }
}

/// What the caller gets: for gRPC the status mapped, and the body as its text.
fn denial(status: StatusCode, mut headers: HeaderMap, body: Bytes, is_grpc: bool) -> Response<Body> {
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

impl fmt::Debug for HttpAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAuthorizer").field("provider", &self.provider.name).finish_non_exhaustive()
    }
}
