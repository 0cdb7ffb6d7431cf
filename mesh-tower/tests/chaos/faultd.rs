//! A proxy that breaks connections on purpose: `faultd`.
//!
//! It stands between the mesh and an endpoint, on a port of its own, and asks its script what to do with each
//! connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    Pass,
    /// What is said, either way, comes so much later.
    Delay(Duration),
    /// What the endpoint says comes so slowly, in bytes a second.
    Drip(u64),
    /// After so many bytes of the caller both ends are closed.
    CutRequest(u64),
    /// After so many bytes of the endpoint both ends are closed.
    CutResponse(u64),
    /// Reset at once.
    Rst,
    /// Reset when nothing was said for so long, once something was.
    RstIdle(Duration),
    /// The caller is told that nothing more will come, once it has said so many bytes; what it says goes on.
    HalfClose(u64),
    /// After so many bytes of the caller nothing is read any more; the connection stays.
    HalfOpen(u64),
    /// Everything is read, and nothing ever answered.
    Blackhole,
}

type Script = Box<dyn FnMut(usize) -> Fault + Send>;

/// The proxy in front of one endpoint; ends when dropped.
pub(crate) struct Faultd {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinSet<()>>>,
    /// Keeps the port while nobody listens.
    bound: Mutex<Option<Socket>>,
}

struct Shared {
    upstream: SocketAddr,
    script: Mutex<Script>,
    connections: AtomicUsize,
    /// Bytes read from callers.
    taken: AtomicU64,
}

impl Faultd {
    /// In front of `upstream`; `script` says what happens to the first connection, the second and so on.
    pub(crate) fn start(upstream: SocketAddr, script: impl FnMut(usize) -> Fault + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            upstream,
            script: Mutex::new(Box::new(script)),
            connections: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
        });
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let listening = Mutex::new(Some(listen(socket, &shared)));
        Self { address, shared, listening, bound: Mutex::new(None) }
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes that were read from callers.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::SeqCst)
    }

    /// From now on connections are refused, and those that there are end.
    pub(crate) async fn refuse(&self) {
        let listening = self.listening.lock().unwrap().take();
        if let Some(mut tasks) = listening {
            tasks.shutdown().await;
            *self.bound.lock().unwrap() = Some(bind(self.address));
        }
    }

    /// Takes connections again.
    pub(crate) fn accept(&self) {
        if let Some(socket) = self.bound.lock().unwrap().take() {
            *self.listening.lock().unwrap() = Some(listen(socket, &self.shared));
        }
    }
}

fn bind(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn listen(socket: Socket, shared: &Arc<Shared>) -> JoinSet<()> {
    socket.listen(1024).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    let shared = Arc::clone(shared);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((caller, _)) = listener.accept() => {
                    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                    let fault = (shared.script.lock().unwrap())(number);
                    connections.spawn(connection(caller, fault, Arc::clone(&shared)));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    tasks
}

fn reset(stream: &TcpStream) {
    let _gone = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn connection(caller: TcpStream, fault: Fault, shared: Arc<Shared>) {
    if matches!(fault, Fault::Rst) {
        return reset(&caller);
    }
    let _ = caller.set_nodelay(true);
    if matches!(fault, Fault::Blackhole) {
        let mut caller = caller;
        let mut buffer = [0; 4096];
        while let Ok(1..) = caller.read(&mut buffer).await {}
        return;
    }
    let Ok(upstream) = TcpStream::connect(shared.upstream).await else { return };
    let _ = upstream.set_nodelay(true);
    if matches!(fault, Fault::RstIdle(_)) {
        // Whichever way it ends, the caller sees a reset.
        reset(&caller);
    }
    let ((from_caller, to_caller), (from_upstream, to_upstream)) = (caller.into_split(), upstream.into_split());
    let to_caller = Arc::new(tokio::sync::Mutex::new(to_caller));
    // Even once the endpoint has spoken last.
    let spoke = Arc::new(AtomicU64::new(1));
    let there = request(from_caller, to_upstream, Arc::clone(&to_caller), fault, &shared, &spoke);
    let back = response(from_upstream, to_caller, fault, &spoke);
    tokio::select! {
        () = there => {}
        () = back => {}
        () = idle(fault, &spoke) => {}
    }
}

/// Ends when nothing was said for as long as the fault says.
async fn idle(fault: Fault, spoke: &AtomicU64) {
    let Fault::RstIdle(most) = fault else { return std::future::pending().await };
    loop {
        let before = spoke.load(Ordering::SeqCst);
        tokio::time::sleep(most).await;
        if before.is_multiple_of(2) && spoke.load(Ordering::SeqCst) == before {
            return;
        }
    }
}

/// What the caller says. Comes back when the connection is to end.
async fn request(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    back: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    fault: Fault,
    shared: &Shared,
    spoke: &AtomicU64,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut said = 0;
    loop {
        if matches!(fault, Fault::HalfOpen(after) if said >= after) {
            return std::future::pending().await;
        }
        let Ok(count @ 1..) = from.read(&mut buffer).await else { break };
        said += count as u64;
        shared.taken.fetch_add(count as u64, Ordering::SeqCst);
        spoke.fetch_add(1 + spoke.load(Ordering::SeqCst) % 2, Ordering::SeqCst);
        if let Fault::Delay(time) = fault {
            tokio::time::sleep(time).await;
        }
        let count = match fault {
            Fault::CutRequest(after) => count.saturating_sub(usize::try_from(said.saturating_sub(after)).unwrap()),
            _ => count,
        };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        match fault {
            Fault::CutRequest(after) if said >= after => return,
            Fault::HalfClose(after) if said >= after => drop(back.lock().await.shutdown().await),
            _ => {}
        }
    }
    let _gone = to.shutdown().await;
    // The answer may still be on its way.
    std::future::pending::<()>().await;
}

/// What the endpoint says. Comes back when the connection is to end.
async fn response(
    mut from: OwnedReadHalf,
    to: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    fault: Fault,
    spoke: &AtomicU64,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut said = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        said += count as u64;
        spoke.fetch_add(2 - spoke.load(Ordering::SeqCst) % 2, Ordering::SeqCst);
        let mut piece = &buffer[..count];
        match fault {
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::CutResponse(after) => {
                let over = usize::try_from(said.saturating_sub(after)).unwrap();
                piece = &piece[..count.saturating_sub(over)];
            }
            Fault::Drip(per_second) => {
                for byte in piece {
                    tokio::time::sleep(Duration::from_secs(1) / u32::try_from(per_second).unwrap()).await;
                    if to.lock().await.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
                continue;
            }
            _ => {}
        }
        if to.lock().await.write_all(piece).await.is_err() {
            return;
        }
        if matches!(fault, Fault::CutResponse(after) if said >= after) {
            return;
        }
    }
}
