//! What an endpoint does with its requests.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// What an endpoint of a [`TestMesh`](super::TestMesh) does with its requests, one after the other.
///
/// Replies stand where an application would: below retries, timeouts and outlier detection, behind a real HTTP
/// connection. A reply is for ever, unless [`times`](Self::times) and [`sequence`](Self::sequence) say otherwise.
///
/// | | what happens |
/// |-|-|
/// | [`status`](Self::status) | an answer |
/// | [`grpc`](Self::grpc), [`grpc_in_trailers`](Self::grpc_in_trailers) | a gRPC answer without messages |
/// | [`slow_body`](Self::slow_body), [`broken_body`](Self::broken_body) | an answer whose body takes time, or never ends well |
/// | [`reset`](Self::reset), [`refused_stream`](Self::refused_stream) | no answer: the connection closes, or the stream is reset |
/// | [`hang`](Self::hang) | no answer, ever |
/// | [`refuse`](Self::refuse), [`unreachable`](Self::unreachable) | no connection, at once or never |
/// | [`not_http`](Self::not_http) | a connection on which something else is spoken |
/// | [`sequence`](Self::sequence), [`cycle`](Self::cycle) | one after the other |
///
/// ```
/// use mesh_tower::testing::Reply;
/// use std::time::Duration;
///
/// let slow = Reply::status(200).after(Duration::from_millis(300));
/// let recovers = Reply::sequence([Reply::status(503).times(3), Reply::status(200)]);
/// let one_in_ten = Reply::cycle([Reply::status(200).times(9), Reply::reset()]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    steps: Vec<Step>,
    again: Again,
}

/// What comes after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Last,
    All,
}

/// What is done with one request, or with one connection.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Answer(Box<Canned>),
    Reset(h2::Reason),
    Hang,
    Refuse,
    Unreachable,
    NotHttp,
}

impl Step {
    /// Whether it is about a connection that is to be opened.
    pub(super) fn is_of_connections(&self) -> bool {
        matches!(self.what, What::Refuse | What::Unreachable | What::NotHttp)
    }
}

/// An answer that is known beforehand.
#[derive(Clone, Debug, Default)]
pub(super) struct Canned {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) chunks: Vec<Bytes>,
    /// What passes before each chunk.
    pub(super) between: Duration,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) broken: bool,
}

impl Reply {
    fn of(what: What) -> Self {
        Self { steps: vec![Step { after: Duration::ZERO, what }], again: Again::Last }
    }

    fn canned(canned: Canned) -> Self {
        Self::of(What::Answer(Box::new(canned)))
    }

    /// An answer with a status and no body, once the request was read to its end.
    ///
    /// # Panics
    /// If the number is no status: 100 to 999.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        let Ok(status) = StatusCode::from_u16(status) else { super::failed(&format!("{status} is no HTTP status")) };
        Self::canned(Canned { status, ..Canned::default() })
    }

    /// A gRPC answer without messages, whose `grpc-status` stands in the headers, where Envoy sees it and may try again.
    pub fn grpc(code: u32) -> Self {
        let headers = HeaderMap::from_iter([grpc_content_type(), grpc_status(code)]);
        Self::canned(Canned { headers, ..Canned::default() })
    }

    /// A gRPC answer without messages, whose `grpc-status` stands in trailers, where it is never a reason to try again.
    pub fn grpc_in_trailers(code: u32) -> Self {
        let headers = HeaderMap::from_iter([grpc_content_type()]);
        let trailers = Some(HeaderMap::from_iter([grpc_status(code)]));
        Self::canned(Canned { headers, trailers, ..Canned::default() })
    }

    /// Status 200 at once, then the chunks, each after a pause.
    pub fn slow_body<C: Into<Bytes>>(pause: Duration, chunks: impl IntoIterator<Item = C>) -> Self {
        let chunks = chunks.into_iter().map(Into::into).collect();
        Self::canned(Canned { chunks, between: pause, ..Canned::default() })
    }

    /// Status 200 and some of a body, then the connection closes (HTTP/1) or the stream is reset (HTTP/2).
    pub fn broken_body(beginning: impl Into<Bytes>) -> Self {
        Self::canned(Canned { chunks: vec![beginning.into()], broken: true, ..Canned::default() })
    }

    /// No answer: on HTTP/1 the connection closes (`UC`), on HTTP/2 the stream is reset (`UR`).
    pub fn reset() -> Self {
        Self::of(What::Reset(h2::Reason::INTERNAL_ERROR))
    }

    /// As [`reset`](Self::reset), but on HTTP/2 the endpoint says that it has not looked at the request
    /// (`REFUSED_STREAM`).
    pub fn refused_stream() -> Self {
        Self::of(What::Reset(h2::Reason::REFUSED_STREAM))
    }

    /// The request is taken and never answered.
    pub fn hang() -> Self {
        Self::of(What::Hang)
    }

    /// Connections are refused; those that are open close with what is under way on them (`UF`).
    pub fn refuse() -> Self {
        Self::of(What::Refuse)
    }

    /// Connections are never made, so that `connectTimeout` ends the try (`UF`).
    pub fn unreachable() -> Self {
        Self::of(What::Unreachable)
    }

    /// The connection is made and the request answered with what is not HTTP (`UPE`).
    pub fn not_http() -> Self {
        Self::of(What::NotHttp)
    }

    /// One reply after the other, each for one request or as many as [`times`](Self::times) says; the last goes on. A
    /// refused connection counts like a request.
    pub fn sequence(replies: impl IntoIterator<Item = Self>) -> Self {
        Self { steps: replies.into_iter().flat_map(|reply| reply.steps).collect(), again: Again::Last }
    }

    /// As [`sequence`](Self::sequence), again and again from the beginning.
    pub fn cycle(replies: impl IntoIterator<Item = Self>) -> Self {
        Self { again: Again::All, ..Self::sequence(replies) }
    }

    /// The same for `count` requests, in a sequence.
    pub fn times(self, count: usize) -> Self {
        Self { steps: std::iter::repeat_n(self.steps, count).flatten().collect(), again: self.again }
    }

    /// Waits before it begins.
    pub fn after(mut self, pause: Duration) -> Self {
        self.steps.iter_mut().for_each(|step| step.after = pause);
        self
    }

    /// Adds a response header.
    ///
    /// # Panics
    /// If this is no header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = super::header(name, value);
        self.each_answer(|answer| _ = answer.headers.append(&name, value.clone()));
        self
    }

    /// Answers with this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.each_answer(|answer| answer.chunks = vec![body.clone()]);
        self
    }

    fn each_answer(&mut self, mut change: impl FnMut(&mut Canned)) {
        for step in &mut self.steps {
            if let What::Answer(answer) = &mut step.what {
                change(answer);
            }
        }
    }
}

fn grpc_content_type() -> (HeaderName, HeaderValue) {
    (http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
}

fn grpc_status(code: u32) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static("grpc-status"), code.into())
}

/// A reply that is being played.
#[derive(Debug)]
pub(super) struct Script {
    reply: Reply,
    at: usize,
}

impl Script {
    pub(super) fn new(reply: Reply) -> Self {
        Self { reply, at: 0 }
    }

    /// What comes next.
    pub(super) fn peek(&self) -> Option<&Step> {
        self.reply.steps.get(self.at)
    }

    /// Takes what comes next.
    pub(super) fn next(&mut self) -> Option<Step> {
        let step = self.peek().cloned();
        self.at += 1;
        if self.at >= self.reply.steps.len() {
            self.at = if self.reply.again == Again::All { 0 } else { self.reply.steps.len().saturating_sub(1) };
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(reply: Reply, count: usize) -> Vec<u16> {
        let mut script = Script::new(reply);
        let status = |step: Step| match step.what {
            What::Answer(answer) => answer.status.as_u16(),
            _ => 0,
        };
        (0..count).filter_map(|_| script.next().map(status)).collect()
    }

    #[test]
    fn a_sequence_stays_at_its_end_and_a_cycle_begins_again() {
        let steps = || [Reply::status(503).times(2), Reply::reset(), Reply::status(200)];
        assert_eq!(played(Reply::sequence(steps()), 6), [503, 503, 0, 200, 200, 200]);
        assert_eq!(played(Reply::cycle(steps()), 6), [503, 503, 0, 200, 503, 503]);
        assert!(played(Reply::sequence([]), 3).is_empty());
    }
}
