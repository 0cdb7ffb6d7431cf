//! The last steps: errors become replies, the rule's response headers are set, the trail is told.

use http::Response;
use mesh_core::route::prepare;

use super::Journey;
use super::route_info::Trail;
use crate::{Body, Error, local_reply};

/// A request that no rule took.
pub(crate) fn without_route(error: &Error, grpc: bool, mut trail: Trail) -> Response<Body> {
    trail.failed(error);
    let mut response = local_reply::reply(error, grpc);
    tracing::debug!(status = response.status().as_u16(), flags = %trail.flags(), details = trail.details(), "request not routed");
    trail.attach(&mut response, None);
    response
}

/// A response of an upstream, a redirect or a direct response.
pub(crate) fn finish(response: Response<Body>, journey: &Journey, trail: Trail) -> Response<Body> {
    close(response, journey, trail)
}

/// A request that was routed and failed: the rule's response header operations act on the reply too.
pub(crate) fn failed(error: &Error, journey: &Journey, mut trail: Trail) -> Response<Body> {
    trail.failed(error);
    close(local_reply::reply(error, journey.grpc), journey, trail)
}

fn close(response: Response<Body>, journey: &Journey, trail: Trail) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    prepare::prepare_response(journey.route(), journey.routed.destination, &mut parts, &journey.response_facts(&trail));
    let mut response = Response::from_parts(parts, body);
    tracing::debug!(
        status = response.status().as_u16(),
        route = %journey.route().name,
        cluster = journey.cluster_name(),
        endpoint = trail.endpoint().map(|endpoint| tracing::field::display(endpoint.address())),
        attempts = trail.attempts(),
        flags = %trail.flags(),
        details = trail.details(),
        "request done"
    );
    trail.attach(&mut response, Some(journey));
    response
}
