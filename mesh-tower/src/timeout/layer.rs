use std::time::Duration;

use tower_layer::Layer;

use super::Timeout;

/// Limits the time that a service may take.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limit: Option<Duration>,
}

impl TimeoutLayer {
    /// Up to `limit` for each request, less where a gRPC caller asks for less; 0 for no limit, as in
    /// Istio.
    pub fn new(limit: Duration) -> Self {
        Self { limit: Some(limit).filter(|limit| !limit.is_zero()) }
    }

    /// Nothing but what a gRPC caller's `grpc-timeout` asks for.
    pub fn of_callers() -> Self {
        Self { limit: None }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout::new(inner, self.limit)
    }
}
