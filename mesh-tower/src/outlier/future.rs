use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use mesh_core::Failure;
use pin_project::pin_project;

use super::watch::Watch;
use crate::layers::outcome_of;
use crate::{BoxError, Error};

/// The response of an [`Outlier`](super::Outlier) to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    /// `None` while the service is out.
    #[pin]
    future: Option<F>,
    grpc: bool,
    watch: Arc<Watch>,
}

impl<F> ResponseFuture<F> {
    pub(super) fn calling(future: F, grpc: bool, watch: Arc<Watch>) -> Self {
        Self { future: Some(future), grpc, watch }
    }

    pub(super) fn refused(watch: Arc<Watch>) -> Self {
        Self { future: None, grpc: false, watch }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Ready(Err(Error::from(Failure::NoHealthyUpstream).into()));
        };
        let result = ready!(future.poll(cx)).map_err(Into::into);
        let outcome = outcome_of(&result);
        // Only a gRPC caller's `grpc-status` says how the service is.
        this.watch.note(&if *this.grpc { outcome } else { outcome.without_grpc_status() });
        Poll::Ready(result)
    }
}
