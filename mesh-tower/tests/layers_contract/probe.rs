//! A service that watches how it is used.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use mesh_tower::{Body, BoxError, Error, Failure};
use tower::Service;

/// What each call comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Answer,
    /// Fails with [`Broken`].
    Fail,
    /// Fails with one of the mesh's own errors, caused by [`Broken`].
    FailAsOurs,
    Hang,
}

/// The cause that has to be kept.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

/// Each clone has a readiness of its own, which a call uses up.
#[derive(Debug)]
pub(crate) struct Probe {
    log: Arc<Log>,
    step: Step,
    ready: bool,
}

#[derive(Debug, Default)]
struct Log {
    closed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    calls: AtomicU32,
    unready_calls: AtomicU32,
    running: AtomicI64,
    /// Instances that were made ready and neither called nor dropped.
    unused: AtomicI64,
}

impl Probe {
    pub(crate) fn new(step: Step) -> Self {
        Self { log: Arc::default(), step, ready: false }
    }

    /// Nobody becomes ready any more.
    pub(crate) fn close(&self) {
        self.log.closed.store(true, Ordering::SeqCst);
    }

    /// Those who wait are woken, once.
    pub(crate) fn open(&self) {
        self.log.closed.store(false, Ordering::SeqCst);
        self.log.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    pub(crate) fn calls(&self) -> u32 {
        self.log.calls.load(Ordering::SeqCst)
    }

    /// Calls of an instance that was not ready.
    pub(crate) fn unready_calls(&self) -> u32 {
        self.log.unready_calls.load(Ordering::SeqCst)
    }

    /// Calls that are neither over nor dropped.
    pub(crate) fn running(&self) -> i64 {
        self.log.running.load(Ordering::SeqCst)
    }

    /// Readiness that nobody has used.
    pub(crate) fn unused(&self) -> i64 {
        self.log.unused.load(Ordering::SeqCst)
    }

    fn set_ready(&mut self, ready: bool) {
        let change = i64::from(ready) - i64::from(self.ready);
        self.log.unused.fetch_add(change, Ordering::SeqCst);
        self.ready = ready;
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log), step: self.step, ready: false }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.set_ready(false);
    }
}

impl Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.log.closed.load(Ordering::SeqCst) {
            self.log.waiting.lock().unwrap().push(cx.waker().clone());
            return Poll::Pending;
        }
        self.set_ready(true);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.log.calls.fetch_add(1, Ordering::SeqCst);
        if !self.ready {
            self.log.unready_calls.fetch_add(1, Ordering::SeqCst);
        }
        self.set_ready(false);
        let (step, running) = (self.step, Running::new(&self.log));
        Box::pin(async move {
            let _running = running;
            match step {
                Step::Answer => Ok(Response::new(Body::empty())),
                Step::Fail => Err(Broken.into()),
                Step::FailAsOurs => Err(Error::with_source(Failure::ConnectFailed, Broken).into()),
                Step::Hang => std::future::pending().await,
            }
        })
    }
}

/// Counts a call until it is dropped.
struct Running(Arc<Log>);

impl Running {
    fn new(log: &Arc<Log>) -> Self {
        log.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
