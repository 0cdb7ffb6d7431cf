//! The way in: the mesh's own gateway, opened by the labels of this process.

use std::net::SocketAddr;

use mesh_tower::Mesh;
use mesh_tower::gateway::Gateway;

use crate::Result;

/// The port of the Gateway's server in `mesh/base/gateway.yaml`.
const SERVER_PORT: u16 = 80;

/// Opens the servers of the Gateway, with port 80 at the given address; port 0 there means any free one.
pub async fn open(mesh: &Mesh, address: SocketAddr) -> Result<(Gateway, SocketAddr)> {
    let gateway = mesh.gateway().map_port(SERVER_PORT, address.port()).address(address.ip()).start().await?;
    let address = gateway.address_of(SERVER_PORT).ok_or("no server on port 80 is open")?;
    Ok((gateway, address))
}
