//! All services in one process, each with a mesh of its own, on free ports of 127.0.0.1.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::Result;
use crate::config::{self, Endpoint, Service, WatchedDir};
use crate::mesh::{self, Membership};
use crate::probe::{Call, Probe, Upstream};
use crate::roles::{self, Instance, Role, Running};

/// Host of the shop at the gateway.
pub const SHOP: &str = "bookinfo.example.com";

/// Replicas of details.
pub const DETAILS: usize = 4;

/// Versions of reviews.
pub const REVIEWS: usize = 3;

/// Versions of ratings.
pub const RATINGS: usize = 2;

/// What the one-process run can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with `base/` and `scenarios/`.
    pub mesh_dir: PathBuf,
    /// Requests for each weighted split.
    pub requests: usize,
    /// Makes chance reproducible.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        let mesh_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("mesh");
        Self { mesh_dir, requests: 2000, seed: None }
    }
}

/// The services, up and running, and who looks at them from outside.
#[derive(Debug)]
pub struct Stage {
    options: Options,
    watched: WatchedDir,
    running: Vec<Running>,
    gateway: SocketAddr,
    probe: Probe,
    productpage: Upstream,
    details: Vec<Upstream>,
    reviews: Vec<Upstream>,
    ratings: Vec<Upstream>,
    /// Bound but not listening: whoever connects is refused.
    _closed: TcpSocket,
}

impl Stage {
    /// Binds all ports, writes the configuration with them, starts the services.
    pub async fn open(options: Options) -> Result<Self> {
        let probe = Probe::default();
        let productpage = Seat::take(Role::Productpage, 1, &probe).await?;
        let details = Seat::take_all(Role::Details, DETAILS, &probe).await?;
        let reviews = Seat::take_all(Role::Reviews, REVIEWS, &probe).await?;
        let ratings = Seat::take_all(Role::Ratings, RATINGS, &probe).await?;
        let closed = TcpSocket::new_v4()?;
        closed.bind(any_port())?;

        let endpoints = |seats: &[Seat]| seats.iter().map(Seat::endpoint).collect::<Result<Vec<_>>>();
        let nobody = Endpoint { address: closed.local_addr()?, version: "v1".to_owned(), replica: "2".to_owned() };
        let http = |name, endpoints| Service { name, grpc: false, endpoints };
        let services = [
            http("productpage", endpoints(std::slice::from_ref(&productpage))?),
            http("details", endpoints(&details)?),
            http("details-unplugged", vec![details[0].endpoint()?, nobody]),
            http("reviews", endpoints(&reviews)?),
            http("reviews-v1", vec![reviews[0].endpoint()?]),
            http("reviews-v2", vec![reviews[1].endpoint()?]),
            Service { name: "ratings", grpc: true, endpoints: endpoints(&ratings)? },
        ];
        let watched = WatchedDir::create(&options.mesh_dir, &services)?;

        let upstreams = |seats: &[Seat]| seats.iter().map(|seat| seat.upstream.clone()).collect::<Vec<_>>();
        let mut stage = Self {
            productpage: productpage.upstream.clone(),
            details: upstreams(&details),
            reviews: upstreams(&reviews),
            ratings: upstreams(&ratings),
            gateway: any_port(),
            running: Vec::new(),
            options,
            watched,
            probe,
            _closed: closed,
        };
        for seat in [vec![productpage], details, reviews, ratings].into_iter().flatten() {
            let member = stage.member(seat.role, &seat.version());
            stage.running.push(roles::start(seat.into_instance(member)).await?);
        }
        let gateway = roles::open_gateway(&stage.member(Role::Gateway, "v1"), any_port()).await?;
        stage.gateway = gateway.address;
        stage.running.push(gateway);
        Ok(stage)
    }

    /// Puts a scenario's file on and waits until every mesh acts by it.
    pub async fn put_on(&self, file: &str) -> Result<()> {
        let generation = self.watched.put_on(file)?;
        let mut waiting = JoinSet::new();
        for mesh in self.running.iter().map(|running| running.mesh.clone()) {
            waiting.spawn(async move { mesh::in_force(&mesh, generation).await });
        }
        while let Some(waited) = waiting.join_next().await {
            waited??;
        }
        Ok(())
    }

    /// The question that a scenario's file asks.
    pub fn question(&self, file: &str) -> Result<String> {
        Ok(config::question(&self.watched.scenario(file)?).to_owned())
    }

    /// The directory that all services watch.
    #[must_use]
    pub fn watched(&self) -> PathBuf {
        self.watched.path()
    }

    /// The folder with the scenarios' files.
    #[must_use]
    pub fn scenarios(&self) -> PathBuf {
        self.options.mesh_dir.join("scenarios")
    }

    /// Where the gateway listens.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Requests for each weighted split.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.options.requests
    }

    /// The client outside the mesh.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// A call of the shop through the gateway.
    #[must_use]
    pub fn shop(&self, path: &str) -> Call {
        Call::get(self.gateway, path).host(SHOP)
    }

    /// The product page's own count.
    #[must_use]
    pub fn productpage(&self) -> &Upstream {
        &self.productpage
    }

    /// The replicas of details, the first one first.
    #[must_use]
    pub fn details(&self) -> &[Upstream] {
        &self.details
    }

    /// A version of reviews, counted from 1.
    #[must_use]
    pub fn reviews(&self, version: usize) -> &Upstream {
        &self.reviews[version - 1]
    }

    /// A version of ratings, counted from 1.
    #[must_use]
    pub fn ratings(&self, version: usize) -> &Upstream {
        &self.ratings[version - 1]
    }

    /// All services with their control ports.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        std::iter::once(&self.productpage).chain(&self.details).chain(&self.reviews).chain(&self.ratings)
    }

    /// Ends all services.
    pub async fn close(self) {
        let mut stopping = JoinSet::new();
        for running in self.running {
            stopping.spawn(running.stop());
        }
        stopping.join_all().await;
    }

    fn member(&self, role: Role, version: &str) -> Membership {
        let (version, config) = (version.to_owned(), vec![self.watched.path()]);
        Membership { role, version, config, seed: self.options.seed, identity: None, admin: None }
    }
}

/// The ports of an instance, bound before anybody is told of them.
struct Seat {
    role: Role,
    number: usize,
    listener: TcpListener,
    control: TcpListener,
    upstream: Upstream,
}

impl Seat {
    async fn take(role: Role, number: usize, probe: &Probe) -> Result<Self> {
        let (listener, control) = (TcpListener::bind(any_port()).await?, TcpListener::bind(any_port()).await?);
        let name = match role {
            Role::Details => format!("{} {number}", role.name()),
            _ => format!("{} v{number}", role.name()),
        };
        let upstream = Upstream::new(name, control.local_addr()?, probe.clone());
        Ok(Self { role, number, listener, control, upstream })
    }

    async fn take_all(role: Role, instances: usize, probe: &Probe) -> Result<Vec<Self>> {
        let mut seats = Vec::new();
        for number in 1..=instances {
            seats.push(Self::take(role, number, probe).await?);
        }
        Ok(seats)
    }

    /// Details come as replicas of one version, the others as versions.
    fn version(&self) -> String {
        if self.role == Role::Details { "v1".to_owned() } else { format!("v{}", self.number) }
    }

    fn replica(&self) -> String {
        if self.role == Role::Details { self.number.to_string() } else { "1".to_owned() }
    }

    fn endpoint(&self) -> Result<Endpoint> {
        Ok(Endpoint { address: self.listener.local_addr()?, version: self.version(), replica: self.replica() })
    }

    fn into_instance(self, member: Membership) -> Instance {
        Instance { member, replica: self.replica(), listener: self.listener, control: Some(self.control) }
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
