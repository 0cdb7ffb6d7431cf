//! The endpoints of a scenario: servers that do as the recording says, and note what they see.

mod http1;
mod http2;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_tower::discovery::{Addresses, Discovery};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::place::Place;
use crate::record::{Arrival, Headers};
use crate::script::Act;
use crate::wire::{Wire, value_of};

pub(crate) use self::http2::{EMPTY_MESSAGE, append, headers_of, read};

/// Names the request that an attempt belongs to; no rule speaks of it.
pub(crate) const MARK: &str = "x-case-request";

/// How long an endpoint that hangs keeps its connection.
const HANG: Duration = Duration::from_secs(5);

/// Requests that are passed through end here, whatever place they were for.
const PASSTHROUGH: &str = "PassthroughCluster";

/// All endpoints of a scenario.
#[derive(Debug)]
pub(crate) struct Upstreams {
    place: Place,
    /// Whether the configuration has mirrors, so that copies have to be told from requests.
    mirrors: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    listening: BTreeMap<SocketAddr, String>,
    names: Vec<String>,
    requests: HashMap<String, Request>,
    servers: JoinSet<()>,
    /// What could not be done.
    trouble: Vec<String>,
}

/// What is expected of one request, and what was seen of it.
#[derive(Debug, Default)]
struct Request {
    script: Script,
    seen: Seen,
}

/// What endpoints do with the attempts of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) acts: Vec<Act>,
    pub(crate) at: BTreeMap<String, Vec<Act>>,
}

/// What endpoints saw of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) attempts: Vec<Arrival>,
    pub(crate) mirrored: Vec<Arrival>,
}

impl Upstreams {
    pub(crate) fn new(place: Place, mirrors: bool) -> Arc<Self> {
        Arc::new(Self { place, mirrors, inner: Mutex::default() })
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all endpoints. Gives what kept one from being there, or from knowing what to do.
    pub(crate) async fn close(&self) -> Vec<String> {
        let mut servers = std::mem::take(&mut self.inner().servers);
        servers.shutdown().await;
        std::mem::take(&mut self.inner().trouble)
    }

    pub(crate) fn expect(&self, mark: &str, script: Script) {
        self.inner().requests.insert(mark.to_owned(), Request { script, seen: Seen::default() });
    }

    pub(crate) fn seen(&self, mark: &str) -> Seen {
        self.inner().requests.get(mark).map(|request| request.seen.clone()).unwrap_or_default()
    }

    /// Opens the endpoint of a recorded address.
    pub(crate) fn open(self: &Arc<Self>, (third, fourth): (u8, u8), port: u16) {
        let ip = IpAddr::from([127, self.place.0, third, fourth]);
        self.listen(SocketAddr::new(ip, port), format!("10.0.{third}.{fourth}:{port}"));
    }

    fn listen(self: &Arc<Self>, address: SocketAddr, name: String) {
        let mut inner = self.inner();
        if inner.listening.contains_key(&address) {
            return;
        }
        match bind(address) {
            Ok(listener) => {
                inner.listening.insert(address, name.clone());
                inner.servers.spawn(accept(listener, name, Arc::clone(self)));
            }
            Err(error) => inner.trouble.push(format!("no endpoint at {address}: {error}")),
        }
    }

    /// Notes an attempt and gives what is to be done with it.
    pub(crate) fn arrive(&self, mark: &str, arrival: Arrival) -> Act {
        let copy = self.mirrors && value_of(&arrival.headers, "x-envoy-internal") == Some("true");
        let mut inner = self.inner();
        let Some(request) = inner.requests.get_mut(mark) else {
            inner.trouble.push(format!("{} got a request that nobody sent", arrival.endpoint));
            return Act::ok();
        };
        let Request { script, seen } = request;
        let at = script.at.get(&arrival.endpoint).map(|acts| {
            let same = seen.attempts.iter().chain(&seen.mirrored).filter(|other| other.endpoint == arrival.endpoint);
            nth(acts, same.count())
        });
        let act = at.unwrap_or_else(|| if copy { Act::ok() } else { nth(&script.acts, seen.attempts.len()) });
        if copy { &mut seen.mirrored } else { &mut seen.attempts }.push(arrival);
        act
    }
}

/// The last entry stands for all that follow.
fn nth(acts: &[Act], n: usize) -> Act {
    acts.get(n).or(acts.last()).cloned().unwrap_or_else(Act::ok)
}

/// Names, as the clients of the scenario find them.
#[derive(Clone, Debug)]
pub(crate) struct Names(pub(crate) Arc<Upstreams>);

impl Discovery for Names {
    /// A name of a service stands for one endpoint that is called like it.
    fn watch(&self, host: &str, port: u16, _: Duration) -> Addresses {
        if let Ok(ip) = host.parse() {
            return Addresses::fixed([SocketAddr::new(ip, port)]);
        }
        let upstreams = &self.0;
        let number = {
            let names = &mut upstreams.inner().names;
            let number = names.iter().position(|name| name == host).unwrap_or_else(|| {
                names.push(host.to_owned());
                names.len() - 1
            });
            u8::try_from(number + 1).expect("few names")
        };
        let address = SocketAddr::new(upstreams.place.of_name(number).into(), port);
        upstreams.listen(address, format!("{host}:{port}"));
        Addresses::fixed([address])
    }

    /// Where a request goes that says itself where it goes.
    fn once(&self, _: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let address = SocketAddr::new(self.0.place.passed_through().into(), port);
        self.0.listen(address, PASSTHROUGH.to_owned());
        std::future::ready(Ok(vec![address])).boxed()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, name: String, upstreams: Arc<Upstreams>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(connection(stream, name.clone(), Arc::clone(&upstreams)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, name: String, upstreams: Arc<Upstreams>) {
    let mut first = [0; 3];
    let _delay = stream.set_nodelay(true);
    // Nobody speaks HTTP/1 with a method that begins so.
    let http2 = loop {
        match stream.peek(&mut first).await {
            Ok(3) => break &first == b"PRI",
            Ok(0) | Err(_) => return,
            Ok(_) => tokio::task::yield_now().await,
        }
    };
    // That a connection breaks is what the recordings are about.
    let _broken = if http2 {
        http2::serve(stream, &name, &upstreams).await.map_err(io::Error::other)
    } else {
        http1::serve(Wire::new(stream), &name, &upstreams).await
    };
}

/// Takes the mark out of headers.
pub(crate) fn take_mark(headers: &mut Headers) -> String {
    let at = headers.iter().position(|(name, _)| name == MARK);
    at.map(|at| headers.remove(at).1).unwrap_or_default()
}
