//! The one body type of this crate.
//!
//! [`Body`] carries requests and responses of any origin: built in memory, read from a connection, or
//! made by an application. What it can hold without a box it holds so, and it never boxes twice.

pub(crate) mod ended;
mod guarded;
pub(crate) mod peeked;
pub mod replay;

use std::any::Any;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;

use self::guarded::Guarded;
use crate::BoxError;
use crate::outbound::Answer;
use crate::telemetry::{Arrived, Arriving, Counted, Measured, RequestSpan};

/// A request or response body.
///
/// One that panics when it is read ends there, with an error: whoever reads it has more to look after, such as the
/// other requests of a connection.
///
/// ```
/// use mesh_tower::Body;
///
/// let empty = Body::empty();
/// let text = Body::from("hello");
/// let any = Body::new(http_body_util::Full::new(bytes::Bytes::from_static(b"hello")));
/// ```
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    /// Of a request that came in. In a box, since what is counted of it would make every request larger.
    Arriving(Box<Arriving<Incoming>>),
    /// Of an endpoint; named, so that what is measured of it finds room in its box.
    Answer(Box<Answer>),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// Takes any body. One that has nothing left, is in memory, comes from a connection, or is a
    /// [`Body`] already, is not boxed.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut slot = Some(body);
        if let Some(known) = known(&mut slot) {
            return known;
        }
        match slot {
            Some(body) if !body.is_end_stream() => Self(Inner::Boxed(Guarded::new(body).boxed_unsync())),
            _ => Self::empty(),
        }
    }

    /// A body without content.
    pub const fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// A body that is all there.
    pub fn full(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        if content.is_empty() { Self::empty() } else { Self(Inner::Full(content)) }
    }

    /// The body of an endpoint's answer.
    pub(crate) fn answer(answer: Answer) -> Self {
        Self(Inner::Answer(Box::new(answer)))
    }

    /// Counts what is read of it in `measured` and `span`, which end with it.
    pub(crate) fn measure(&mut self, measured: Option<Measured>, span: Option<Box<RequestSpan>>) {
        if measured.is_none() && span.is_none() {
            return;
        }
        match &mut self.0 {
            Inner::Empty | Inner::Full(_) => {
                measured.into_iter().for_each(|measured| measured.all_there(self));
                span.into_iter().for_each(RequestSpan::completed);
            }
            Inner::Answer(answer) => answer.measure(measured, span),
            // As where somebody looked at its beginning, which few ask for.
            Inner::Incoming(_) | Inner::Arriving(_) | Inner::Boxed(_) => {
                *self = Self::new(Counted::new(std::mem::take(self), measured, span));
            }
        }
    }

    /// Counts it as it is read.
    pub(crate) fn count(&mut self, mut arrived: Arrived) {
        match std::mem::take(&mut self.0) {
            Inner::Empty => {}
            Inner::Full(content) => {
                arrived.count(&content);
                self.0 = Inner::Full(content);
            }
            Inner::Incoming(body) => self.0 = Inner::Arriving(Box::new(Arriving::new(body, arrived))),
            other => *self = Self::new(Arriving::new(Self(other), arrived)),
        }
    }

    /// Its content, if it is all there.
    pub(crate) fn content(&self) -> Option<&Bytes> {
        match &self.0 {
            Inner::Full(content) => Some(content),
            _ => None,
        }
    }

    /// Whether all of it is in memory, so that it can be cloned and takes no time to read.
    pub fn is_full(&self) -> bool {
        matches!(self.0, Inner::Empty | Inner::Full(_))
    }

    /// A copy that shares the content, if all of it [is in memory](Self::is_full).
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Inner::Empty => Some(Self::empty()),
            Inner::Full(content) => Some(Self(Inner::Full(content.clone()))),
            Inner::Incoming(_) | Inner::Arriving(_) | Inner::Answer(_) | Inner::Boxed(_) => None,
        }
    }
}

/// Takes the body out of `slot` if it is one of those that need no box.
fn known(slot: &mut dyn Any) -> Option<Body> {
    if let Some(body) = slot.downcast_mut::<Option<Body>>() {
        return body.take();
    }
    if let Some(body) = slot.downcast_mut::<Option<Incoming>>() {
        return body.take().map(Body::from);
    }
    if let Some(body) = slot.downcast_mut::<Option<Full<Bytes>>>() {
        return body.take().map(Body::from);
    }
    if let Some(body) = slot.downcast_mut::<Option<String>>() {
        return body.take().map(Body::from);
    }
    slot.downcast_mut::<Option<Empty<Bytes>>>()?.take().map(|_| Body::empty())
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(content) => {
                let content = std::mem::take(content);
                self.0 = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(content))))
            }
            Inner::Incoming(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Inner::Arriving(body) => Pin::new(&mut **body).poll_frame(cx).map_err(Into::into),
            Inner::Answer(answer) => Pin::new(&mut **answer).poll_frame(cx),
            Inner::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Full(_) => false,
            Inner::Incoming(body) => body.is_end_stream(),
            Inner::Arriving(body) => body.is_end_stream(),
            Inner::Answer(answer) => answer.is_end_stream(),
            Inner::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(content) => SizeHint::with_exact(content.len() as u64),
            Inner::Incoming(body) => body.size_hint(),
            Inner::Arriving(body) => body.size_hint(),
            Inner::Answer(answer) => answer.size_hint(),
            Inner::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("Body(empty)"),
            // The content is the caller's: it does not belong in a log.
            Inner::Full(content) => write!(f, "Body({} bytes)", content.len()),
            Inner::Incoming(_) | Inner::Arriving(_) | Inner::Answer(_) | Inner::Boxed(_) => {
                f.write_str("Body(streaming)")
            }
        }
    }
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self::full(content)
    }
}

impl From<Vec<u8>> for Body {
    fn from(content: Vec<u8>) -> Self {
        Self::full(content)
    }
}

impl From<String> for Body {
    fn from(content: String) -> Self {
        Self::full(content)
    }
}

impl From<&'static str> for Body {
    fn from(content: &'static str) -> Self {
        Self::full(content)
    }
}

impl From<Incoming> for Body {
    fn from(body: Incoming) -> Self {
        use http_body::Body as _;
        if body.is_end_stream() { Self::empty() } else { Self(Inner::Incoming(body)) }
    }
}

impl From<Full<Bytes>> for Body {
    fn from(mut body: Full<Bytes>) -> Self {
        use http_body::Body as _;
        // It has one frame at most, and that is there at once.
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => Self::full(frame.into_data().unwrap_or_default()),
            _ => Self::empty(),
        }
    }
}

/// Reads a body that nobody is interested in to its end, so that its connection can be used again.
pub(crate) async fn drain(body: impl http_body::Body) {
    let mut body = pin!(body);
    while let Some(Ok(_)) = body.frame().await {}
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::HeaderMap;
    use http_body::Body as _;
    use http_body_util::StreamBody;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn stream(parts: &'static [&'static str]) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
        StreamBody::new(tokio_stream::iter(
            parts.iter().map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes())))),
        ))
    }

    fn is_boxed(body: &Body) -> bool {
        matches!(body.0, Inner::Boxed(_))
    }

    #[tokio::test]
    async fn a_body_of_any_kind_gives_back_what_it_was_made_of() {
        for (body, expected) in [
            (Body::empty(), ""),
            (Body::default(), ""),
            (Body::from("text"), "text"),
            (Body::from(String::from("text")), "text"),
            (Body::from(vec![b'a', b'b']), "ab"),
            (Body::new(Full::new(Bytes::from_static(b"full"))), "full"),
            (Body::new(String::from("owned")), "owned"),
            (Body::new(stream(&["a", "b"])), "ab"),
        ] {
            assert_eq!(body.collect().await.unwrap().to_bytes(), expected);
        }
    }

    #[test]
    fn what_is_in_memory_is_not_boxed() {
        assert!(!is_boxed(&Body::new(Body::from("x"))));
        assert!(!is_boxed(&Body::new(Full::new(Bytes::from_static(b"x")))));
        assert!(!is_boxed(&Body::new(Empty::new())));
        assert!(is_boxed(&Body::new(stream(&["x"]))));
    }

    #[test]
    fn a_body_is_not_boxed_twice() {
        // A body in a second box would not be known for what it is.
        let twice = Body::new(Body::new(Body::from("x")));
        assert!(!is_boxed(&twice));
    }

    #[test]
    fn an_ended_body_needs_no_box() {
        let ended = Body::new(http_body_util::Limited::new(Empty::<Bytes>::new(), 10));
        assert!(ended.is_full() && ended.is_end_stream());
    }

    #[test]
    fn lengths_are_known_where_they_can_be() {
        assert_eq!(Body::empty().size_hint().exact(), Some(0));
        assert_eq!(Body::from("four").size_hint().exact(), Some(4));
        assert_eq!(Body::new(stream(&["x"])).size_hint().exact(), None);
    }

    #[tokio::test]
    async fn trailers_pass() {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        let body = Body::new(Body::from("data").with_trailers(std::future::ready(Some(Ok(trailers.clone())))));
        assert_eq!(body.collect().await.unwrap().trailers(), Some(&trailers));
    }

    #[tokio::test]
    async fn a_body_that_panics_ends_in_an_error_and_is_not_asked_again() {
        let frames = tokio_stream::iter(0..3).map(|n| {
            assert!(n == 0, "on purpose");
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece")))
        });
        let mut body = Body::new(StreamBody::new(frames));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "the body panicked");
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }

    #[test]
    fn only_what_is_in_memory_is_cloned() {
        assert!(Body::empty().try_clone().is_some());
        assert!(Body::from("x").try_clone().is_some());
        assert!(Body::new(stream(&["x"])).try_clone().is_none());
    }

    #[test]
    fn the_content_is_not_logged() {
        assert_eq!(format!("{:?}", Body::from("secret")), "Body(6 bytes)");
    }
}
