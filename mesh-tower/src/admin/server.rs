//! The accept loop, with a bound on everything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::state::State;

/// So many connections at once.
const MOST_CONNECTIONS: usize = 32;

/// How long a connection may take, from its beginning to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for one that listens.
const LISTENING: Duration = Duration::from_secs(3600);

/// So much of a head is read.
const MOST_HEAD: usize = 16 << 10;

/// Serves until it is dropped, and then every connection ends with it.
pub(super) async fn serve(listener: TcpListener, state: State) {
    let (state, slots) = (Arc::new(state), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let _slot = slot;
                    connection(stream, &state).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the admin server cannot accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, state: &Arc<State>) {
    let (listens, listening) = watch::channel(false);
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, listens) = (Arc::clone(state), listens.clone());
        async move {
            let reply = state.answer(request.map(|_| ())).await;
            listens.send_replace(super::tap::is_stream(&reply));
            Ok::<_, Infallible>(reply)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    // One request each, so that nobody holds a slot by being silent.
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false).max_buf_size(MOST_HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = timeout(PATIENCE, &mut connection).await;
    if ended.is_err() && *listening.borrow() {
        // What is wrong with a connection ends it, and concerns nobody else.
        let _ = timeout(LISTENING, connection).await;
    }
}
