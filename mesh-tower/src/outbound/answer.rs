//! The last steps: failures become replies, the rule's response headers are set, the trail is told.

use bytes::Bytes;
use http::{Request, Response};
use mesh_core::Failure;
use mesh_core::route::substitution::Exchange;
use mesh_core::route::{CorsVerdict, internal_headers, prepare, reply};

use super::route_info::Trail;
use super::{Journey, hash};
use crate::{Body, Error, hops, inbound, local_reply};

/// A request that no rule took.
pub(super) fn unrouted(error: &Error, grpc: bool, mut trail: Trail) -> Response<Body> {
    trail.failed(error);
    let mut response = local_reply::reply(error, grpc);
    tracing::debug!(
        status = response.status().as_u16(),
        flags = %trail.flags(),
        details = trail.details(),
        "request not routed"
    );
    trail.attach(&mut response, None);
    response
}

/// A request that a gateway did not let in.
pub(super) fn refused(mut response: Response<Body>, mut trail: Trail) -> Response<Body> {
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        trail.failed(&failure.into());
    }
    trail.attach(&mut response, None);
    response
}

/// What the route answers itself; `None` if it forwards.
pub(super) fn of_route(journey: &Journey, request: &Request<Body>) -> Option<Response<Body>> {
    let answer = reply::reply(journey.route(), &journey.head.view(request), &journey.exchange())?;
    Some(Response::from_parts(answer.parts, Body::full(Bytes::copy_from_slice(&answer.body))))
}

/// The answer to a browser that asks whether it may call; `None` for any other request, whose origin is
/// remembered if it may.
pub(super) fn preflight(journey: &mut Journey, request: &Request<Body>) -> Option<Response<Body>> {
    match journey.route().cors.as_ref()?.judge(request.method(), request.headers()) {
        CorsVerdict::Preflight(headers) => {
            let mut answer = Response::new(Body::empty());
            *answer.headers_mut() = headers;
            return Some(answer);
        }
        CorsVerdict::Allowed(origin) => journey.rare_mut().origin = Some(origin),
        CorsVerdict::Untouched => {}
    }
    None
}

/// The response of an upstream, or of the route itself, whose header operations are done already.
pub(super) fn finish(response: Response<Body>, journey: Journey, mut trail: Trail) -> Response<Body> {
    let from_upstream = trail.attempts() > 0;
    let response = if from_upstream { after_upstream(response, &journey, &mut trail) } else { response };
    close(response, journey, trail)
}

fn after_upstream(mut response: Response<Body>, journey: &Journey, trail: &mut Trail) -> Response<Body> {
    trail.hear(response.headers_mut());
    let upgraded = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
    internal_headers::remove_hop_by_hop_of_response(response.headers_mut(), upgraded);
    // Before the rule's operations, which may change them.
    hash::set_cookies(&mut response, journey);
    let exchange = Exchange { response_code: Some(response.status()), ..exchange(journey, trail) };
    with_operations(response, journey, &exchange)
}

/// A request that was routed and failed: the rule's response header operations act on the reply too.
pub(super) fn failed(error: &Error, journey: Journey, mut trail: Trail) -> Response<Body> {
    trail.failed(error);
    if let (Failure::Overflow(limit), Ok(cluster)) = (error.failure(), journey.cluster()) {
        trail.refused_by(limit, cluster.permits());
    }
    let reply = local_reply::reply(error, journey.grpc());
    let reply = with_operations(reply, &journey, &exchange(&journey, &trail));
    close(reply, journey, trail)
}

fn exchange<'a>(journey: &'a Journey, trail: &Trail) -> Exchange<'a> {
    Exchange {
        upstream: trail.endpoint_socket(),
        attempts: trail.attempts(),
        response_details: trail.details(),
        response_flags: trail.flags(),
        ..journey.exchange()
    }
}

fn with_operations(response: Response<Body>, journey: &Journey, exchange: &Exchange<'_>) -> Response<Body> {
    if !prepare::changes_response(journey.route(), journey.routed.destination) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let destination = journey.routed.destination;
    prepare::prepare_response(journey.route(), destination, &mut parts, journey.kept_head(), exchange);
    Response::from_parts(parts, body)
}

fn close(mut response: Response<Body>, journey: Journey, trail: Trail) -> Response<Body> {
    // After all operations: what they say about origins does not count.
    if let (Some(origin), Some(cors)) = (journey.rare().and_then(|rare| rare.origin.as_ref()), &journey.route().cors) {
        cors.grant(origin, response.headers_mut());
    }
    if trail.is_spent() && journey.is_safe() {
        inbound::note_spent();
        hops::mark_spent(response.headers_mut());
    }
    tracing::debug!(
        status = response.status().as_u16(),
        route = %journey.route().name,
        endpoint = trail.endpoint().map(|endpoint| tracing::field::display(endpoint.address())),
        attempts = trail.attempts(),
        flags = %trail.flags(),
        details = trail.details(),
        limit = trail.over_limit().map(|(limit, _)| limit.field()),
        limit_value = trail.over_limit().map(|(_, value)| value),
        "request done"
    );
    trail.attach(&mut response, Some(journey));
    response
}
