//! A request that can be sent more than once.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request};

use crate::Body;
use crate::body::replay::memory::{Memory, Reserved};
use crate::body::replay::{GivenUp, Replay};
use crate::mirror::slots::Slots;

/// How much is kept of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep<'a> {
    limit: usize,
    memory: Option<&'a Arc<Memory>>,
}

impl<'a> Keep<'a> {
    /// Up to `limit` bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, memory: None }
    }

    /// What is kept of all bodies is limited too.
    pub(crate) const fn within(limit: usize, memory: &'a Arc<Memory>) -> Self {
        Self { limit, memory: Some(memory) }
    }

    /// What is all there already is kept whatever its length, since keeping it copies nothing, but counts among
    /// what is kept of all bodies.
    fn whole(self, body: Body) -> Recording {
        use http_body::Body as _;
        let mut room = Reserved::of(self.memory.map(Arc::clone));
        let is_kept = usize::try_from(body.size_hint().lower()).is_ok_and(|length| room.grow(length));
        Recording::Whole { body, room: is_kept.then_some(room), is_out: false }
    }

    fn record(self, body: Body) -> Replay {
        match self.memory {
            Some(memory) => Replay::within(body, self.limit, memory),
            None => Replay::new(body, self.limit),
        }
    }
}

/// A copy for a mirror.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) request: Request<Body>,
    given_up: Option<GivenUp>,
}

impl Copy {
    /// The request, and when there is no sense in it any more.
    pub(crate) fn into_parts(self) -> (Request<Body>, Option<GivenUp>) {
        (self.request, self.given_up)
    }
}

/// A request, whole for each of those it is sent to.
///
/// Where there is to be only one, nothing is copied.
#[derive(Debug)]
pub(crate) struct Repeatable(Source);

/// In place in the one future of a request: a box would cost every request.
#[derive(Debug)]
enum Source {
    /// For one try; there again if it was not sent.
    Once(Option<Request<Body>>),
    /// For many: the head is cloned, the body played again.
    Many { head: Box<Parts>, body: Recording },
}

#[derive(Debug)]
enum Recording {
    /// All there.
    Whole {
        body: Body,
        /// What it takes of what is kept of all bodies; `None` if there was no room: then it is for one try.
        room: Option<Reserved>,
        /// Whether it is with that one try.
        is_out: bool,
    },
    Stream(Replay),
}

impl Repeatable {
    /// Keeps the request, and so much of its body, where `copies` says that it may be needed again.
    pub(crate) fn new(request: Request<Body>, copies: bool, keep: Keep<'_>) -> Self {
        if !copies {
            return Self(Source::Once(Some(request)));
        }
        let (head, body) = request.into_parts();
        let body = match body.try_clone() {
            Some(_) => keep.whole(body),
            None => Recording::Stream(keep.record(body)),
        };
        Self(Source::Many { head: Box::new(head), body })
    }

    /// The request for the next try; the one before must no longer be read.
    ///
    /// `None` if its body can not be played again.
    pub(crate) fn next_request(&mut self) -> Option<Request<Body>> {
        let (head, body) = match &mut self.0 {
            Source::Once(request) => return request.take(),
            Source::Many { head, body } => (head, body),
        };
        let body = match body {
            Recording::Whole { is_out: true, .. } => return None,
            Recording::Whole { body, room: Some(_), .. } => body.try_clone()?,
            Recording::Whole { body, room: None, is_out } => {
                *is_out = true;
                std::mem::take(body)
            }
            Recording::Stream(replay) => Body::new(replay.attempt().ok()?),
        };
        Some(Request::from_parts((**head).clone(), body))
    }

    /// Takes back a request of which nothing was sent.
    pub(crate) fn give_back(&mut self, unsent: Option<Box<Request<Body>>>) {
        match (&mut self.0, unsent) {
            (Source::Once(slot), Some(request)) => *slot = Some(*request),
            (Source::Many { body: Recording::Whole { body, is_out, .. }, .. }, Some(request)) if *is_out => {
                *body = request.into_body();
                *is_out = false;
            }
            _ => {}
        }
    }

    /// Whether there can be another try.
    pub(crate) fn can_go_again(&self) -> bool {
        match &self.0 {
            Source::Once(request) => request.is_some(),
            Source::Many { body: Recording::Whole { is_out, .. }, .. } => !is_out,
            Source::Many { body: Recording::Stream(replay), .. } => replay.is_replayable(),
        }
    }

    /// A copy for a mirror, without extensions, whose body may lie up to `lag` bytes behind the main one, and
    /// is given up, and counted, if it falls further behind; `None` where no copy is kept.
    pub(crate) fn copy(&self, lag: usize, slots: &Slots) -> Option<Copy> {
        let Source::Many { head, body } = &self.0 else { return None };
        let mut given_up = None;
        let body = match body {
            Recording::Whole { body, .. } => body.try_clone()?,
            Recording::Stream(replay) => {
                let tee = replay.tee_counted(lag, slots.cut_counter());
                given_up = Some(tee.given_up());
                Body::new(tee)
            }
        };
        let mut copy = Request::new(body);
        *copy.method_mut() = head.method.clone();
        *copy.uri_mut() = head.uri.clone();
        *copy.version_mut() = head.version;
        *copy.headers_mut() = head.headers.clone();
        Some(Copy { request: copy, given_up })
    }

    /// The headers of all that are still to be sent; `None` while the only request is out.
    pub(crate) fn headers_mut(&mut self) -> Option<&mut HeaderMap> {
        match &mut self.0 {
            Source::Once(request) => request.as_mut().map(Request::headers_mut),
            Source::Many { head, .. } => Some(&mut head.headers),
        }
    }

    /// Reads something off the request's head; `None` while the only request is out.
    pub(crate) fn head<'a, T>(
        &'a self,
        of_request: impl FnOnce(&'a Request<Body>) -> T,
        of_parts: impl FnOnce(&'a Parts) -> T,
    ) -> Option<T> {
        match &self.0 {
            Source::Once(request) => request.as_ref().map(of_request),
            Source::Many { head, .. } => Some(of_parts(head)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::BoxError;

    fn streaming(parts: &'static [&'static str]) -> Request<Body> {
        let frames = parts.iter().map(|part| Ok::<_, BoxError>(Frame::data(Bytes::from_static(part.as_bytes()))));
        Request::put("http://a/b")
            .header("x", "1")
            .body(Body::new(StreamBody::new(tokio_stream::iter(frames))))
            .unwrap()
    }

    async fn text(request: Option<Request<Body>>) -> String {
        let request = request.unwrap();
        assert_eq!(
            (request.uri().path(), request.method().as_str(), &request.headers()["x"]),
            ("/b", "PUT", &"1".parse().unwrap())
        );
        String::from_utf8(request.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn each_try_gets_the_whole_request() {
        let mut request = Repeatable::new(streaming(&["he", "llo"]), true, Keep::new(5));
        for _ in 0..3 {
            assert!(request.can_go_again());
            assert_eq!(text(request.next_request()).await, "hello");
        }
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_sent_once() {
        let mut request = Repeatable::new(streaming(&["he", "llo"]), true, Keep::new(4));
        assert_eq!(text(request.next_request()).await, "hello");
        assert!(!request.can_go_again() && request.next_request().is_none());
    }

    #[tokio::test]
    async fn without_copies_it_goes_again_only_if_it_came_back_unsent() {
        let mut request = Repeatable::new(streaming(&["hello"]), false, Keep::new(5));
        assert!(request.copy(5, &Slots::new(1)).is_none());
        let sent = request.next_request();
        assert!(!request.can_go_again());
        request.give_back(sent.map(Box::new));
        assert!(request.can_go_again());
        assert_eq!(text(request.next_request()).await, "hello");
    }

    #[tokio::test]
    async fn what_is_in_memory_already_counts_among_all_that_is_kept() {
        let whole = || {
            let (head, _) = streaming(&[]).into_parts();
            Request::from_parts(head, Body::from("hello"))
        };
        let memory = Memory::new(9);
        let mut first = Repeatable::new(whole(), true, Keep::within(1, &memory));
        let mut second = Repeatable::new(whole(), true, Keep::within(1, &memory));
        assert_eq!(memory.used(), 5);
        for _ in 0..2 {
            assert_eq!(text(first.next_request()).await, "hello");
        }
        // No room for the second: it is sent once, or as often as it comes back unsent.
        let unsent = second.next_request();
        assert!(!second.can_go_again() && second.next_request().is_none());
        second.give_back(unsent.map(Box::new));
        assert!(second.can_go_again());
        assert_eq!(text(second.next_request()).await, "hello");
        drop(first);
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test]
    async fn a_copy_follows_the_main_request() {
        let mut request = Repeatable::new(streaming(&["he", "llo"]), true, Keep::new(0));
        let copy = request.copy(5, &Slots::new(1));
        assert_eq!(text(request.next_request()).await, "hello");
        assert_eq!(text(copy.map(|copy| copy.request)).await, "hello");
    }
}
