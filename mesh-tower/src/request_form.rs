//! The form of a request that came in, at a workload as at a gateway: [`mesh_core::request_form`] for whole requests.

use http::Request;
use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery, Uri};
use mesh_config::api::mesh_config::NormalizationType;
use mesh_core::request_form::{self, Head};
use mesh_core::{Failure, Profile};

/// Refuses what a server may not take, and gives what the header `host` has to become.
pub(crate) fn check<B>(request: &Request<B>, profile: Profile) -> Result<Option<HeaderValue>, Failure> {
    let uri = request.uri();
    let head = Head {
        version: request.version(),
        method: request.method(),
        scheme: uri.scheme_str(),
        authority: uri.authority().map(Authority::as_str),
        headers: request.headers(),
    };
    request_form::check(&head, profile)
}

/// Brings the path into the form that rules are written for, that policies see and that is passed on.
pub(crate) fn take_path<B>(
    request: &mut Request<B>,
    profile: Profile,
    level: NormalizationType,
) -> Result<(), Failure> {
    let uri = request.uri();
    let Some(mut path) = request_form::normalize_for(profile, uri.path(), level)? else { return Ok(()) };
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).map_err(|_| Failure::InvalidPath)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Failure::InvalidPath)?;
    Ok(())
}
