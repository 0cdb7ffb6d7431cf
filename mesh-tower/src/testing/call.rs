//! What endpoints saw.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Uri, Version};

/// A request as an endpoint of a [`TestMesh`](super::TestMesh) saw it: each try and each mirror is one.
#[derive(Clone)]
pub struct Call {
    pub(super) endpoint: Arc<str>,
    pub(super) at: Duration,
    head: Arc<Parts>,
    pub(super) body: Arc<Mutex<Vec<u8>>>,
}

impl Call {
    /// The endpoint, such as `reviews-v1/0`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// When it came, counted from the start of the mesh.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The target, as it came: on HTTP/1 without scheme and authority.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// The protocol.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// What was read of the body so far.
    pub fn body(&self) -> Bytes {
        Bytes::copy_from_slice(&locked(&self.body))
    }

    /// Which try it was, from 1.
    pub fn attempt(&self) -> u32 {
        self.header("x-envoy-attempt-count").and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// Whether it is a copy that a mirror got.
    pub fn is_mirrored(&self) -> bool {
        self.header("x-envoy-internal") == Some("true")
    }

    /// Whether `name` is that of its endpoint or of its workload.
    pub(super) fn is_at(&self, name: &str) -> bool {
        belongs(&self.endpoint, name)
    }
}

/// Whether an endpoint has this name, or is one of the workload of this name.
pub(super) fn belongs(endpoint: &str, name: &str) -> bool {
    endpoint == name || endpoint.rsplit_once('/').is_some_and(|(workload, _)| workload == name)
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mirrored = if self.is_mirrored() { ", mirrored" } else { "" };
        let Parts { method, uri, .. } = &*self.head;
        write!(f, "{:?} {} {method} {uri}, try {}{mirrored}", self.at, self.endpoint, self.attempt())
    }
}

/// All calls, in the order in which they came.
#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    calls: Mutex<Vec<Call>>,
}

impl Ledger {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { began: crate::clock::now(), calls: Mutex::default() })
    }

    pub(super) fn record(&self, endpoint: &Arc<str>, head: Parts) -> Call {
        let at = crate::clock::now().saturating_duration_since(self.began);
        let call = Call { endpoint: Arc::clone(endpoint), at, head: Arc::new(head), body: Arc::default() };
        locked(&self.calls).push(call.clone());
        call
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        locked(&self.calls).clone()
    }

    pub(super) fn forget(&self) {
        locked(&self.calls).clear();
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
