//! Requests of the mesh's own to one cluster, beside all routes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use mesh_core::deadline::Deadline;
use mesh_core::lb::Pick;

use super::outgoing::Outgoing;
use super::route_info::Trail;
use super::{Shared, attempt, headers};
use crate::cluster::ClusterHandle;
use crate::timeout::clock::Clock;
use crate::{Body, BoxError, hops};

/// Says that a request comes from a mesh, and from no caller.
pub(super) const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");

/// What was read of an answer.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Sends a request to a cluster, once, and reads the answer as far as `most` bytes; all of it within `limit`.
///
/// # Errors
/// Where there is no answer in time, or it is longer.
pub(crate) async fn send(
    cluster: &Arc<ClusterHandle>,
    shared: &Arc<Shared>,
    mut request: Request<Body>,
    limit: Duration,
    most: usize,
) -> Result<Response<Read>, BoxError> {
    let mut trail = Trail::new(crate::clock::now(), None);
    let mut clock = Clock::new(Deadline::of(limit), trail.arrived());
    request.headers_mut().insert(INTERNAL, hops::TRUE);
    let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    request.headers_mut().insert(headers::EXPECTED_TIMEOUT, HeaderValue::from(millis));
    let mut outgoing = Outgoing::new(request, false, shared);
    let pick = Pick::first(trail.arrived());
    let tried = attempt::send(cluster, &shared.chance, false, &mut outgoing, pick, &mut clock, &mut trail).await;
    let (head, answer) = tried.result?.into_parts();
    let read = clock.bounded(Limited::new(answer, most).collect()).await?;
    let read = read?;
    let trailers = read.trailers().cloned();
    Ok(Response::from_parts(head, Read { body: read.to_bytes(), trailers }))
}
