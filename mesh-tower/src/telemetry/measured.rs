//! One request, from its beginning to the last byte of its answer.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body as _, Frame};
use mesh_core::telemetry::standard::{Ended, Security, grpc_status};
use mesh_core::{Failure, ResponseFlags};

use super::exchange;
use super::instruments::Sizes;
use super::recording::{Recording, Sums};
use super::series::Group;
use crate::Body;
use crate::endpoint::Sent;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A request that was not answered yet: what its own side needs, and no more, since it is moved often.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Nothing where requests are not counted.
    group: Option<Arc<Group>>,
    request_bytes: u64,
    /// What of its body was not there at the beginning.
    sent: Option<Sent>,
    /// What is noted of it, where somebody wants to know.
    recording: Option<Box<Recording>>,
}

impl Begun {
    /// A request that begins; it counts in `group` unless it [gets elsewhere](Self::goes_to). `body`: bytes of it that
    /// are known.
    pub(crate) fn new<B>(
        group: Option<Arc<Group>>,
        mut recording: Option<Box<Recording>>,
        request: &Request<B>,
        body: u64,
    ) -> Self {
        let path = request.uri().path_and_query().map_or(1, |path| path.as_str().len());
        let line = (request.method().as_str().len() + path) as u64 + OF_A_LINE;
        let head = line + of_headers(request.headers());
        if let Some(recording) = &mut recording {
            recording.record().request_head_bytes = head;
        }
        Self { group, request_bytes: head + body, sent: None, recording }
    }

    /// Where it goes.
    pub(crate) fn goes_to(&mut self, group: &Arc<Group>) {
        if self.group.is_some() {
            self.group = Some(Arc::clone(group));
        }
    }

    /// Takes what the endpoint tells of itself out of the headers of its answer.
    pub(crate) fn hear(&mut self, headers: &mut HeaderMap) {
        if let Some(group) = self.group.as_mut().filter(|group| group.is_introduced())
            && let Some(told) = exchange::heard(headers)
        {
            *group = group.refined(&told);
        }
    }

    /// What is noted of it.
    pub(crate) fn recording(&mut self) -> Option<&mut Recording> {
        self.recording.as_deref_mut()
    }

    /// What counts the rest of the request's body, if there is one.
    pub(crate) fn sends(&mut self, sent: Option<Sent>) {
        self.sent = sent;
    }

    /// All that is measured of it; without more it counts as given up by its caller.
    pub(crate) fn measured(self, began: Instant, is_grpc: bool, security: Security) -> Measured {
        let Self { group, request_bytes, sent, recording } = self;
        let ended = Ended { is_grpc, security, ..Ended::default() };
        let (response_bytes, is_complete, is_told) = (0, false, false);
        Measured { group, recording, began, request_bytes, sent, response_bytes, ended, is_complete, is_told }
    }
}

/// What is measured of a request. It counts when it is dropped: when its answer has been read to the end, or given up.
#[derive(Debug)]
pub(crate) struct Measured {
    group: Option<Arc<Group>>,
    recording: Option<Box<Recording>>,
    began: Instant,
    request_bytes: u64,
    sent: Option<Sent>,
    response_bytes: u64,
    ended: Ended,
    /// Whether the answer has come to its end.
    is_complete: bool,
    /// Whether the caller has told of itself, and so wants to be told of this workload.
    is_told: bool,
}

impl Measured {
    /// Takes what the caller tells of itself out of the headers of its request.
    pub(crate) fn hear(&mut self, headers: &mut HeaderMap) {
        if let Some(group) = self.group.as_mut().filter(|group| group.is_introduced())
            && let Some(told) = exchange::heard(headers)
        {
            *group = group.refined(&told);
            self.is_told = true;
        }
    }

    /// Tells a caller of this workload that has told of itself.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(group) = self.group.as_ref().filter(|_| self.is_told) {
            group.tell(headers);
        }
    }

    /// The head of the answer.
    pub(crate) fn answered<B>(&mut self, response: &Response<B>, flags: ResponseFlags) {
        self.ended.status = response.status().as_u16();
        self.ended.flags = flags;
        self.response_bytes = OF_A_LINE + of_headers(response.headers());
        self.trailers(response.headers());
        if let Some(recording) = &mut self.recording {
            recording.answered(response, self.response_bytes);
        }
    }

    /// What is noted of it.
    pub(crate) fn recording(&mut self) -> Option<&mut Recording> {
        self.recording.as_deref_mut()
    }

    /// A part of the answer.
    pub(crate) fn received(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.response_bytes += data.len() as u64;
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers(trailers);
            if let Some(recording) = &mut self.recording {
                recording.trailers(trailers);
            }
        }
    }

    fn trailers(&mut self, headers: &HeaderMap) {
        if self.ended.is_grpc
            && let Some(status) = headers.get(GRPC_STATUS)
        {
            self.ended.grpc_status = grpc_status(status.as_bytes());
        }
    }

    /// The last byte of the answer has come.
    pub(crate) fn completed(mut self) {
        self.is_complete = true;
    }

    /// The answer broke off: by something of ours, or since its connection did.
    pub(crate) fn broke(&mut self, failure: Option<Failure>) {
        let flags = failure.map_or(ResponseFlags::UC, Failure::flags);
        self.ended.flags = self.ended.flags.with(flags);
    }

    /// An answer that is all there.
    pub(crate) fn all_there(mut self, body: &Body) {
        self.response_bytes += body.size_hint().exact().unwrap_or_default();
        self.completed();
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.is_complete {
            self.ended.flags = self.ended.flags.with(ResponseFlags::DC);
        }
        let now = crate::clock::now();
        let request_bytes = self.request_bytes + self.sent.as_ref().map_or(0, Sent::bytes);
        let (began, response_bytes) = (self.began, self.response_bytes);
        let sums = Sums { began, now, request_bytes, response_bytes };
        let told = self.recording.take().map(|recording| recording.finish(self.ended, sums));
        if let Some(group) = &self.group {
            let milliseconds = now.saturating_duration_since(began).as_secs_f64() * 1_000.0;
            let sizes = Sizes { milliseconds, request_bytes, response_bytes };
            group.record(self.ended, sizes, told.as_deref().map(Recording::noted));
        }
        if let Some(told) = told {
            told.tell(self.group.as_deref(), now);
        }
    }
}

/// What a first line has beside what differs: spaces, the version, the line's end.
const OF_A_LINE: u64 = 12;

/// Names, values, and what stands between and behind them.
fn of_headers(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum::<u64>() + 2
}
