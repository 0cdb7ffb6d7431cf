//! Where the admin server listens and what it allows.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::HeaderName;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use tokio::net::{TcpListener, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::metrics::Scraped;
use super::server::serve;
use super::state::State;
use crate::BoxError;
use crate::config::Keeper;
use crate::identity::IdentityHandle;
use crate::outbound::Shared;
use crate::serve::Drain;
use crate::telemetry::Traffic;

/// Names the address where the builder does not.
const VARIABLE: &str = "MESH_ADMIN_ADDR";

/// So many listen at once.
const MOST_TAPS: usize = 8;

/// So much is explained at once.
const MOST_EXPLANATIONS: usize = 2;

/// Sets the level of the log by a directive such as `mesh=debug`.
type SetLevel = dyn Fn(&str) -> Result<(), BoxError> + Send + Sync;

/// Where the [admin server](crate::admin) listens, and what it allows beyond reading from this machine.
#[derive(Clone)]
pub struct Admin {
    pub(super) address: String,
    pub(super) beyond_loopback: bool,
    pub(super) hosts: Vec<String>,
    pub(super) shown: Vec<HeaderName>,
    pub(super) token: Option<String>,
    pub(super) set_level: Option<Arc<SetLevel>>,
}

impl Admin {
    /// An address such as `127.0.0.1:15000`; port 0 takes a free one, which
    /// [`Mesh::admin_address`](crate::Mesh::admin_address) tells.
    pub fn at(address: impl Into<String>) -> Self {
        let address = address.into();
        Self { address, beyond_loopback: false, hosts: vec![], shown: vec![], token: None, set_level: None }
    }

    /// The address that the environment names, if it names one.
    pub(crate) fn of_environment() -> Option<Self> {
        let address = std::env::var(VARIABLE).ok()?;
        let address = address.trim();
        (!address.is_empty() && !address.eq_ignore_ascii_case("off")).then(|| Self::at(address))
    }

    /// Allows an address that other machines reach. Whoever reaches it reads everything: keep it behind a network policy.
    #[must_use]
    pub fn beyond_loopback(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// A name by which it may be called, beside `localhost` and addresses.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into().to_ascii_lowercase());
        self
    }

    /// Shows the values of this request header in taps. None are shown unless named.
    #[must_use]
    pub fn show_header(mut self, name: HeaderName) -> Self {
        self.shown.push(name);
        self
    }

    /// Allows changes (draining, taking an endpoint back, the level of the log) to who sends this token. An empty one allows
    /// nobody anything.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into()).filter(|token| !token.is_empty());
        self
    }

    /// How `POST /mesh/log?level=` sets the level of the log, which belongs to the application: with `tracing-subscriber` by
    /// the handle of a `reload::Layer`. Without it the path is answered 501.
    #[must_use]
    pub fn log_level(mut self, set: impl Fn(&str) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        self.set_level = Some(Arc::new(set));
        self
    }

    /// Takes the address; `counts` where the mesh counts for this server.
    pub(crate) async fn bind(self, counts: bool) -> Result<Bound, BoxError> {
        let addresses: Vec<SocketAddr> = lookup_host(&self.address).await?.collect();
        let is_far = |address: &&SocketAddr| !address.ip().is_loopback();
        if let Some(far) = addresses.iter().find(is_far)
            && !self.beyond_loopback
        {
            return Err(format!("{far} can be reached by other machines: `Admin::beyond_loopback` allows it").into());
        }
        let listener = TcpListener::bind(&*addresses).await?;
        let address = listener.local_addr()?;
        let scraped = counts.then(Scraped::new).transpose()?;
        Ok(Bound { listener, address, admin: self, scraped })
    }
}

/// An admin server that has its address.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    admin: Admin,
    scraped: Option<Scraped>,
}

impl Bound {
    /// What requests are counted through, where they are counted for this server.
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.scraped.as_ref().map(|scraped| scraped.provider.meter("mesh"))
    }

    /// Serves among these tasks; gives the address.
    pub(crate) fn start(
        self,
        (shared, keeper): (&Arc<Shared>, &Arc<Keeper>),
        identity: &IdentityHandle,
        drain: &Drain,
        tasks: &mut JoinSet<()>,
    ) -> SocketAddr {
        // From now on somebody may ask.
        shared.sinks.traffic.get_or_init(Traffic::default);
        let state = State {
            shared: Arc::clone(shared),
            keeper: Arc::clone(keeper),
            identity: identity.clone(),
            drain: drain.clone(),
            admin: self.admin,
            scraped: self.scraped,
            taps: Arc::new(Semaphore::new(MOST_TAPS)),
            level: Mutex::default(),
            explanations: Arc::new(Semaphore::new(MOST_EXPLANATIONS)),
        };
        tasks.spawn(serve(self.listener, state));
        self.address
    }
}

impl From<&str> for Admin {
    fn from(address: &str) -> Self {
        Self::at(address)
    }
}

impl From<String> for Admin {
    fn from(address: String) -> Self {
        Self::at(address)
    }
}

impl From<SocketAddr> for Admin {
    fn from(address: SocketAddr) -> Self {
        Self::at(address.to_string())
    }
}

/// Without the token.
impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("address", &self.address).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}
