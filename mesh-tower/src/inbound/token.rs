//! Verifies the tokens that requests bring, by the rules of the `RequestAuthentication`s.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode};
use mesh_core::failure::grpc_code_of;
use mesh_core::jwt::{Claims, Keys, Refusal, without_params};
use mesh_core::route::reply;
use mesh_core::{PeerView, RequestView};

use super::keys::KeySet;
use crate::Body;
use crate::live::Live;

/// What the caller's valid token says: a request extension. Without it there was no token.
#[derive(Clone, Debug)]
pub struct TokenClaims(pub Arc<Claims>);

/// Keys that were fetched for a request, by the places of their rules.
pub(crate) type Fetched = Vec<(usize, Option<Arc<KeySet>>)>;

/// Keys that a request needs.
pub(crate) struct Wanted {
    /// The place of the rule.
    pub(crate) rule: usize,
    pub(crate) keys: Keys,
    /// Those that its tokens name.
    pub(crate) ids: Vec<String>,
}

/// The rules of which a request needs the keys, and these are not in the configuration.
pub(crate) fn keys_to_fetch(live: &Live, view: &RequestView<'_>) -> Vec<Wanted> {
    let authentication = live.snapshot().authentication();
    if authentication.is_empty() {
        return Vec::new();
    }
    let rules = authentication.rules();
    let remote = authentication.asked_by(view).filter(|rule| !matches!(rules[*rule].keys, Keys::Inline(_)));
    remote
        .map(|rule| Wanted { rule, keys: rules[rule].keys.clone(), ids: authentication.key_ids(rule, view) })
        .collect()
}

/// Judges the tokens of a request. What it says goes into the request's extensions and, as far as rules ask for it, into
/// its headers; the token itself is taken out.
pub(crate) fn authenticate<B>(
    live: &Live,
    request: &mut Request<B>,
    view: impl Fn(&Request<B>) -> RequestView<'_>,
    fetched: &Fetched,
    now: SystemTime,
) -> Result<(), Box<Response<Body>>> {
    let authentication = live.snapshot().authentication();
    if authentication.is_empty() {
        return Ok(());
    }
    request.extensions_mut().remove::<TokenClaims>();
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let seen = view(request);
    let judged = authentication.judge(&seen, now, |rule, token| match keys_of(live, rule, fetched) {
        Some(keys) => keys.verify(token),
        None => Err(Refusal::FetchFailed),
    });
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
    Ok(())
}

fn keys_of<'a>(live: &'a Live, rule: usize, fetched: &'a Fetched) -> Option<&'a KeySet> {
    let remote = || fetched.iter().find(|(n, _)| *n == rule)?.1.as_deref();
    live.key_set(rule).or_else(remote)
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
fn bad_value(name: &HeaderName) -> Response<Body> {
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
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(grpc_code_of(refusal.status())));
        headers.insert("grpc-message", reply::grpc_message(refusal.text().as_bytes()));
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
