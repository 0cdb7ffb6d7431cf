//! What is logged about a request.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use mesh_core::{Failure, ResponseFlags};
use tokio::time::Instant;

use super::decided::DecidedBy;
use crate::telemetry::Measured;

/// One request: logged when it is dropped, which is when its response has been sent or given up.
#[derive(Debug)]
pub(super) struct Record {
    method: Method,
    path: Option<PathAndQuery>,
    began: Instant,
    status: Option<StatusCode>,
    bytes: u64,
    broken: bool,
    policy: Option<DecidedBy>,
    measured: Option<Measured>,
}

impl Record {
    pub(super) fn new<B>(request: &Request<B>, measured: Option<Measured>) -> Self {
        Self {
            measured,
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned(),
            began: Instant::now(),
            status: None,
            bytes: 0,
            broken: false,
            policy: None,
        }
    }

    /// The policies have let it in. Which rule did is noted, and not left for the application to tell.
    pub(super) fn let_in<B>(&mut self, request: &mut Request<B>) {
        self.policy = request.extensions_mut().remove();
    }

    /// The head of the response is ready; `is_over`: there is no more of it.
    pub(super) fn answered<R>(&mut self, response: &Response<R>, is_over: bool) {
        self.status = Some(response.status());
        if let Some(by) = response.extensions().get::<DecidedBy>() {
            self.policy = Some(by.clone());
        }
        if let Some(measured) = &mut self.measured {
            let flags = response.extensions().get::<Failure>().map_or(ResponseFlags::NONE, |failure| failure.flags());
            measured.answered(response, flags);
        }
        if is_over || self.method == Method::HEAD {
            self.ended();
        }
    }

    /// A part of the body was read.
    pub(super) fn sent(&mut self, frame: &Frame<Bytes>) {
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if let Some(measured) = &mut self.measured {
            measured.received(frame);
        }
    }

    /// All of it was read.
    pub(super) fn ended(&mut self) {
        self.measured.take().into_iter().for_each(Measured::completed);
    }

    /// The application broke its body off.
    pub(super) fn broken(&mut self) {
        self.broken = true;
        if let Some(mut measured) = self.measured.take() {
            measured.broke(Some(Failure::LocalReset));
            measured.completed();
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::debug!(
            target: "mesh_tower::inbound",
            method = %self.method,
            // Without the query, which may hold what is nobody's business.
            path = self.path.as_ref().map_or("", PathAndQuery::path),
            // 0: the caller went away or the application failed before there was an answer.
            status = self.status.map_or(0, |status| status.as_u16()),
            bytes = self.bytes,
            broken = self.broken,
            policy = self.policy.as_ref().map(DecidedBy::as_str),
            duration_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "request"
        );
    }
}
