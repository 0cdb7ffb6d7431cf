//! One request, from its beginning to the last byte of its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use mesh_core::route::reply::is_grpc;
use mesh_core::telemetry::messages::Messages;
use mesh_core::telemetry::standard::{Ended, Security};
use mesh_core::{Failure, ResponseFlags, grpc_status};

use super::arriving::Arrived;
use super::exchange;
use super::instruments::Sizes;
use super::recording::{Recording, Sums};
use super::series::Group;
use crate::Body;
use crate::endpoint::Sent;

/// A request that was not answered yet: what its own side needs, and no more, since it is moved often.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Nothing where requests are not counted.
    group: Option<Arc<Group>>,
    request_bytes: u64,
    /// Messages of a gRPC request's body, if it was all there at the beginning.
    request_messages: u64,
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
        Self { group, request_bytes: head + body, request_messages: 0, sent: None, recording }
    }

    /// Where it goes.
    pub(crate) fn goes_to(&mut self, group: &Arc<Group>) {
        if self.group.is_some() {
            self.group = Some(Arc::clone(group));
        }
    }

    /// It is a gRPC request, and this its body.
    pub(crate) fn is_call(&mut self, body: &Body) {
        if let Some(content) = body.content().filter(|_| self.group.is_some()) {
            self.request_messages = Messages::default().begun_in(content);
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
        let Self { group, request_bytes, request_messages, sent, recording } = self;
        if let Some(group) = group.as_ref().filter(|_| is_grpc) {
            group.record_messages(request_messages, 0);
            sent.iter().for_each(|sent| sent.count_messages_in(group));
        }
        Measured {
            group,
            recording,
            began,
            request_bytes,
            sent,
            arrived: None,
            response_bytes: 0,
            messages: None,
            ended: Ended { is_grpc, security, ..Ended::default() },
            is_complete: false,
            is_told: false,
        }
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
    /// What was read of a request's body that did not say how long it is.
    arrived: Option<Arc<AtomicU64>>,
    response_bytes: u64,
    /// Of a gRPC answer.
    messages: Option<Messages>,
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

    /// Counts the body of the request as it is read: its bytes, unless they are known already, and messages of gRPC.
    pub(crate) fn reads(&mut self, body: &mut Body) {
        let group = self.group.as_ref().filter(|_| self.ended.is_grpc);
        let messages = group.map(|group| (Messages::default(), Arc::clone(group)));
        self.arrived = body.size_hint().exact().is_none().then(Arc::default);
        if messages.is_some() || self.arrived.is_some() {
            body.count(Arrived { messages, bytes: self.arrived.clone() });
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
        if self.ended.is_grpc && response.status() == StatusCode::OK && is_grpc(response.headers()) {
            self.messages = Some(Messages::of_answer());
        }
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
            self.data(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers(trailers);
            if let Some(recording) = &mut self.recording {
                recording.trailers(trailers);
            }
        }
    }

    fn data(&mut self, data: &[u8]) {
        self.response_bytes += data.len() as u64;
        if let (Some(messages), Some(group)) = (&mut self.messages, &self.group) {
            group.record_messages(0, messages.begun_in(data));
        }
    }

    fn trailers(&mut self, headers: &HeaderMap) {
        if self.ended.is_grpc
            && let Some(status) = grpc_status::of(headers)
        {
            self.ended.grpc_status = Some(grpc_status::known(status));
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
        self.data(body.content().map_or(&[], |content| content));
        self.completed();
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.is_complete {
            self.ended.flags = self.ended.flags.with(ResponseFlags::DC);
        }
        let now = crate::clock::now();
        let sent = self.sent.as_ref().map_or(0, Sent::bytes);
        let arrived = self.arrived.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        let request_bytes = self.request_bytes + sent + arrived;
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
