//! Verifies the tokens that requests bring, by the rules of the `RequestAuthentication`s.

use std::sync::Arc;

use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode};
use mesh_core::failure::grpc_code_of;
use mesh_core::jwt::{Claims, Refusal, without_params};
use mesh_core::route::reply;
use mesh_core::{PeerView, RequestView};

use super::guard::Guard;
use super::jwks::FetchedKeys;
use super::keys::RuleKeys;
use crate::Body;
use crate::live::Live;

/// What the caller's valid token says: a request extension. Without it there was no token.
#[derive(Clone, Debug)]
pub struct TokenClaims(pub Arc<Claims>);

/// Judges the tokens of a request. What it says goes into the request's extensions and, as far as rules ask for it, into
/// its headers; the token itself is taken out.
///
/// Gives the keys that have to be waited for before it can be judged, if it `may_wait`; with none, it is judged.
pub(super) fn authenticate<B>(
    guard: &Guard,
    live: &Live,
    request: &mut Request<B>,
    may_wait: bool,
) -> Result<Vec<Arc<FetchedKeys>>, Box<Response<Body>>> {
    let authentication = live.snapshot().authentication();
    if authentication.is_empty() {
        return Ok(Vec::new());
    }
    request.extensions_mut().remove::<TokenClaims>();
    let mut awaited = Vec::new();
    let seen = guard.view(request);
    let judged = authentication.judge(&seen, guard.seconds(), |rule, token| match live.rule_keys(rule) {
        Some(RuleKeys::Given(Some(keys))) => keys.verify(token),
        Some(RuleKeys::Fetched(keys)) => {
            let found = keys.find(token.key_id.as_deref(), guard.shared());
            if found.is_awaited && may_wait {
                awaited.push(Arc::clone(keys));
            }
            found.keys.map_or(Err(Refusal::FetchFailed), |keys| keys.verify(token))
        }
        _ => Err(Refusal::FetchFailed),
    });
    if !awaited.is_empty() {
        return Ok(awaited);
    }
    let accepted = match judged {
        Ok(accepted) => accepted,
        Err(refusal) => {
            let answer = refused(refusal, &seen);
            tracing::info!(target: "mesh_tower::inbound", reason = %refusal, "the token is refused");
            return Err(Box::new(answer));
        }
    };
    authentication.remove_outputs(request.headers_mut());
    if let Some(accepted) = accepted {
        let params = match accepted.apply(request.headers_mut()) {
            Ok(params) => params,
            Err(name) => return Err(Box::new(bad_value(&name))),
        };
        if !params.is_empty() {
            remove_params(request.uri_mut(), &params);
        }
        request.extensions_mut().insert(TokenClaims(Arc::new(accepted.claims)));
    }
    Ok(Vec::new())
}

/// Waits until none of these keys is being fetched any more.
pub(super) async fn all_fetched(awaited: Vec<Arc<FetchedKeys>>) {
    join_all(awaited.iter().map(|keys| keys.fetched())).await;
}

fn remove_params(uri: &mut Uri, names: &[&str]) {
    let path = match uri.query().and_then(|query| without_params(query, names)) {
        Some(query) => format!("{}?{query}", uri.path()),
        None => uri.path().to_owned(),
    };
    let mut parts = std::mem::take(uri).into_parts();
    // A part of what was one.
    parts.path_and_query = PathAndQuery::from_maybe_shared(path).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// The answer where a claim cannot be the value of the header that it is for, as Envoy gives it.
pub(super) fn bad_value(name: &HeaderName) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("invalid header value for: {name}")));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The answer to a token that is no good, as Envoy gives it.
fn refused(refusal: Refusal, view: &RequestView<'_>) -> Response<Body> {
    let query = view.query.map(|query| format!("?{query}")).unwrap_or_default();
    let host = format!("{}://{}", view.scheme.as_str(), view.authority);
    let target = format!("{}{query}", view.path);
    let mut response = Response::new(Body::empty());
    if reply::is_grpc(view.headers) {
        reply::put_grpc_status(response.headers_mut(), grpc_code_of(refusal.status()), refusal.text().as_bytes());
    } else {
        *response.status_mut() = refusal.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        *response.body_mut() = Body::from(refusal.text());
    }
    if let Ok(challenge) = HeaderValue::from_str(&refusal.challenge(&host, &target)) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// What is known about the caller, with the claims of its token.
pub(crate) fn with_claims<'a, B>(peer: PeerView<'a>, request: &'a Request<B>) -> PeerView<'a> {
    PeerView { claims: request.extensions().get::<TokenClaims>().map(|TokenClaims(claims)| &**claims), ..peer }
}
