//! The services of the shop. Each is an ordinary axum or tonic service; what makes it a member of the mesh is
//! [`crate::mesh::join`], a client from it, and its `serve` (or its inbound layer).

pub mod connection;
pub mod details;
pub mod gateway;
pub mod productpage;
pub mod ratings;
pub mod reviews;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use mesh_tower::Mesh;
use mesh_tower::gateway::Gateway;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use self::connection::{Connection, Connections};
use crate::ledger::{Act, CASE, Ledger, NO_CASE};
use crate::mesh::{self, Membership};
use crate::{Result, control};

/// Which service a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The way in: no service of ours, the mesh's own gateway.
    Gateway,
    /// Shows a book: its details, its reviews and their stars.
    Productpage,
    /// What is known of a book.
    Details,
    /// What readers say of a book: v1 without stars, v2 with black ones, v3 with red ones.
    Reviews,
    /// How many stars readers gave, over gRPC.
    Ratings,
}

impl Role {
    /// The service's name in the mesh.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Productpage => "productpage",
            Self::Details => "details",
            Self::Reviews => "reviews",
            Self::Ratings => "ratings",
        }
    }
}

/// An instance of a service about to start.
#[derive(Debug)]
pub struct Instance {
    /// Who it is in the mesh.
    pub member: Membership,
    /// Which of several equal ones.
    pub replica: String,
    /// Where it serves.
    pub listener: TcpListener,
    /// Where it serves its control port, if anywhere.
    pub control: Option<TcpListener>,
}

/// An instance that serves until [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    /// The address at which it serves.
    pub address: SocketAddr,
    /// Its mesh.
    pub mesh: Mesh,
    tasks: Vec<AbortHandle>,
    _gateway: Option<Gateway>,
}

impl Running {
    /// Lets requests in flight end for a moment, then ends the rest.
    pub async fn stop(self) {
        self.mesh.shutdown(Duration::from_secs(1)).await;
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Starts a service: joins the mesh, then serves in the background.
pub async fn start(instance: Instance) -> Result<Running> {
    let Instance { member, replica, listener, control } = instance;
    let address = listener.local_addr()?;
    let mesh = mesh::join(&member).await?;
    let ledger = Ledger::default();
    let mut tasks = Vec::new();
    if let Some(listener) = control {
        tasks.push(tokio::spawn(control::serve(listener, ledger.clone())).abort_handle());
    }
    let (role, serving) = (member.role, mesh.clone());
    let task = tokio::spawn(async move {
        let served = match role {
            Role::Gateway => Err(io::Error::new(io::ErrorKind::Unsupported, "a gateway is opened, not started")),
            Role::Productpage => productpage::serve(&serving, listener, ledger).await,
            Role::Details => details::serve(&serving, listener, ledger, replica).await,
            Role::Reviews => reviews::serve(&serving, listener, ledger, member.version).await,
            Role::Ratings => ratings::serve(&serving, listener, ledger, member.version).await,
        };
        if let Err(error) = served {
            tracing::error!(role = role.name(), %error, "ended");
        }
    });
    tasks.push(task.abort_handle());
    tracing::info!(role = role.name(), %address, "serving");
    Ok(Running { address, mesh, tasks, _gateway: None })
}

/// Opens the gateway: joins the mesh, then lets it serve port 80 of its Gateway at this address.
pub async fn open_gateway(member: &Membership, address: SocketAddr) -> Result<Running> {
    let mesh = mesh::join(member).await?;
    let (gateway, address) = gateway::open(&mesh, address).await?;
    tracing::info!(role = member.role.name(), %address, "serving");
    Ok(Running { address, mesh, tasks: Vec::new(), _gateway: Some(gateway) })
}

/// Headers that a service passes on to whom it calls while it answers a request.
const PASSED_ON: [&str; 4] = ["end-user", "x-canary", "x-request-id", CASE];

/// The headers to call others with on behalf of a request.
#[must_use]
pub fn passed_on(request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        if let Some(value) = request.get(name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// The case that a request belongs to.
#[must_use]
pub fn case_of(headers: &HeaderMap) -> &str {
    headers.get(CASE).and_then(|value| value.to_str().ok()).unwrap_or(NO_CASE)
}

/// What the middleware [`observe`] needs to know.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Where it writes, and where its orders stand.
    pub ledger: Ledger,
    /// The connections of the service, where it can tell them apart.
    pub connections: Connections,
}

/// Middleware of the HTTP services: counts the request and does to it what the ledger orders.
pub async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let Observer { ledger, connections } = observer;
    let case = case_of(request.headers()).to_owned();
    let connection = connections.of(request.extensions());
    match ledger.enter(&case, connection.as_ref().map(Connection::number)) {
        None => {}
        Some(Act::Status(status)) => return refusal(status),
        Some(Act::Delay(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
        Some(Act::Hold) => ledger.hold(&case).await,
        Some(Act::Cut) => {
            if let Some(connection) = connection {
                connection.cut();
            }
            return refusal(500);
        }
    }
    next.run(request).await
}

fn refusal(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, "as ordered").into_response()
}
