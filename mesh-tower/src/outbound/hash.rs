//! The hash by which a request sticks to an endpoint, and the cookies that are made for it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::OnceLock;

use http::header::SET_COOKIE;
use http::{Request, Response};
use mesh_core::route::RequestHash;
use mesh_core::route::hash::connection_value;
use mesh_core::{PeerView, RequestView};

use super::Journey;
use crate::{Body, Error};

/// Reads the request as the caller wrote it, before the rule changes it, where its cluster balances by
/// hash.
///
/// # Errors
/// The request has no cluster.
pub(super) fn read(journey: &mut Journey, request: &Request<Body>) -> Result<(), Error> {
    let by_hash = journey.cluster()?.spec().is_by_hash();
    if by_hash && !journey.route().hash.is_empty() {
        // A sidecar would see the address of its workload.
        let address = journey.caller.map_or_else(own_address, |caller| caller.ip);
        let peer = PeerView { address: Some(address), ..PeerView::default() };
        let view = RequestView { peer, ..journey.head.view(request) };
        let mut value = || new_value(journey);
        let hash = RequestHash::of(&journey.route().hash, &view, &mut value);
        journey.rare_mut().hash = Some(hash);
    }
    Ok(())
}

/// Adds cookies that were missing to an upstream's answer; an answer of our own has none, as in Envoy.
pub(super) fn set_cookies(response: &mut Response<Body>, journey: &Journey) {
    for cookie in journey.rare().iter().flat_map(|rare| &rare.hash).flat_map(|hash| &hash.cookies) {
        response.headers_mut().append(SET_COOKIE, cookie.clone());
    }
}

/// The same for all requests of a gateway's connection, so that they stick together from the first on.
fn new_value(journey: &Journey) -> u64 {
    match journey.caller {
        Some(caller) => connection_value(caller.into(), journey.head.port),
        None => journey.shared.chance.with(|rng| rng.next_u64()),
    }
}

/// The address that this process has towards others, found once.
fn own_address() -> IpAddr {
    static OWN: OnceLock<IpAddr> = OnceLock::new();
    // Nothing is sent: connecting a datagram socket only asks the routing table. The address is one that
    // nobody has.
    let towards_others = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    *OWN.get_or_init(|| towards_others().unwrap_or(Ipv4Addr::LOCALHOST.into()))
}
