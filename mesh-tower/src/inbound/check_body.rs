//! The body of a request, as far as those need it who are asked about the request.

use std::any::Any;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use mesh_core::authz::BodyInCheck;

use crate::{Body, BoxError};

/// What is told of a request's body. It does not print what is in it.
#[derive(Clone)]
#[non_exhaustive]
pub struct CheckBody {
    /// The body, or its beginning.
    pub bytes: Bytes,
    /// Whether there is more of it.
    pub is_partial: bool,
}

impl std::fmt::Debug for CheckBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckBody")
            .field("bytes", &self.bytes.len())
            .field("is_partial", &self.is_partial)
            .finish_non_exhaustive()
    }
}

/// A body of which the beginning was read.
#[derive(Debug)]
pub(super) struct Begun {
    start: Bytes,
    /// Whether that is all.
    is_whole: bool,
    /// What was read, for whoever reads the body now.
    read: VecDeque<Frame<Bytes>>,
    failed: Option<BoxError>,
    rest: Body,
}

/// The body of a request, to be read. `None` if it has none, or goes on as something else.
///
/// # Errors
/// If it is the body of another server's, which cannot be put back.
pub(super) fn take<B: 'static>(request: &mut Request<B>) -> Result<Option<Body>, NotOurs> {
    let body: &mut dyn Any = request.body_mut();
    let body: &mut Body = body.downcast_mut().ok_or(NotOurs)?;
    // One that asks for an upgrade as well: Envoy does not look at its body, and the application reads it all the same.
    let has_none = body.is_end_stream() || body.size_hint().exact() == Some(0);
    Ok((!has_none).then(|| std::mem::take(body)))
}

/// The body is one that this library does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

/// Puts a body back.
pub(super) fn put_back<B: 'static>(request: &mut Request<B>, begun: Begun) {
    let body: &mut dyn Any = request.body_mut();
    // It was taken out of there.
    if let Some(body) = body.downcast_mut() {
        *body = begun.into_body();
    }
}

impl Begun {
    /// Reads until there is more than so many bytes, or it ends.
    pub(super) async fn read(mut body: Body, most: usize) -> Self {
        let (mut start, mut read, mut failed) = (BytesMut::new(), VecDeque::new(), None);
        let mut is_whole = false;
        while start.len() <= most {
            match body.frame().await {
                None => {
                    is_whole = true;
                    break;
                }
                Some(Ok(frame)) => {
                    start.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                    read.push_back(frame);
                }
                Some(Err(error)) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        Self { start: start.freeze(), is_whole, read, failed, rest: body }
    }

    /// As much as somebody is to be told; `Err` if it is longer, and they want all of it or nothing.
    pub(super) fn told(&self, wanted: BodyInCheck) -> Result<CheckBody, TooLong> {
        let is_longer = self.start.len() > wanted.most;
        if is_longer && !wanted.partial {
            return Err(TooLong);
        }
        let bytes = self.start.slice(..self.start.len().min(wanted.most));
        Ok(CheckBody { bytes, is_partial: is_longer || !self.is_whole })
    }

    /// Whether the caller has broken it off.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn into_body(self) -> Body {
        if self.is_whole && self.failed.is_none() && self.read.iter().all(Frame::is_data) {
            return Body::from(self.start);
        }
        Body::new(self)
    }
}

/// The body is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(frame) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.failed.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.read.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        // The upper bound is never below the lower one, so it is set first.
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint.set_lower(rest.lower().saturating_add(read));
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    fn body(parts: &'static [&'static str]) -> Body {
        let parts = parts.iter().map(|part| Ok::<_, BoxError>(Frame::data(Bytes::from_static(part.as_bytes()))));
        Body::new(StreamBody::new(stream::iter(parts)))
    }

    async fn all(body: Body) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    const TEN: BodyInCheck = BodyInCheck { most: 10, partial: false, as_bytes: false };

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        for parts in [&["0123", "456789"][..], &["0123456789ABC", "DEF"], &["0123456789", "A", "B"]] {
            let begun = Begun::read(body(parts), 10).await;
            let told = begun.told(BodyInCheck { partial: true, ..TEN }).unwrap();
            let whole = parts.concat();
            assert_eq!(told.bytes, whole.as_bytes()[..10]);
            assert_eq!(told.is_partial, whole.len() > 10);
            assert_eq!(begun.told(TEN).is_err(), whole.len() > 10);
            let mut request = Request::new(Body::empty());
            put_back(&mut request, begun);
            assert_eq!(all(request.into_body()).await, whole);
        }
    }

    #[test]
    fn a_body_is_taken_where_there_is_one_that_can_be_put_back() {
        assert!(take(&mut Request::new(Body::empty())).unwrap().is_none());
        assert!(take(&mut Request::new(Body::from("a"))).unwrap().is_some());
        assert_eq!(take(&mut Request::new(())).unwrap_err(), NotOurs);
        let mut upgrade = Request::new(Body::from("a"));
        upgrade.headers_mut().insert(http::header::UPGRADE, http::HeaderValue::from_static("websocket"));
        assert!(take(&mut upgrade).unwrap().is_some(), "whoever ignores the upgrade reads it");
    }
}
