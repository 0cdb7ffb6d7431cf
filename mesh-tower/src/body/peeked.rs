//! A body of which the first frame was looked at.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::Body;
use crate::BoxError;

/// Waits for the first frame of a body; gives the trailers, if that is what it begins with. The body is whole
/// afterwards.
pub(crate) async fn leading_trailers(body: &mut Body) -> Option<HeaderMap> {
    if body.is_full() {
        return None;
    }
    let first = body.frame().await;
    let trailers = first.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref().cloned());
    if first.is_some() {
        *body = Body::new(Peeked { first, rest: std::mem::take(body) });
    }
    trailers
}

struct Peeked {
    first: Option<Result<Frame<Bytes>, BoxError>>,
    rest: Body,
}

impl http_body::Body for Peeked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len)).unwrap_or(0);
        let (rest, first) = (self.rest.size_hint(), first as u64);
        let mut hint = SizeHint::new();
        // The upper bound is never below the lower one, so it is set first.
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(first)) {
            hint.set_upper(upper);
        }
        hint.set_lower(rest.lower().saturating_add(first));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::StreamBody;

    use super::*;

    fn body(frames: Vec<Frame<Bytes>>) -> Body {
        Body::new(StreamBody::new(futures_util::stream::iter(frames.into_iter().map(Ok::<_, BoxError>))))
    }

    fn status(code: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))])
    }

    #[tokio::test]
    async fn trailers_that_come_first_are_seen_and_still_there() {
        let mut answer = body(vec![Frame::trailers(status("14"))]);
        assert_eq!(leading_trailers(&mut answer).await, Some(status("14")));
        assert_eq!(answer.collect().await.unwrap().trailers(), Some(&status("14")));
    }

    #[tokio::test]
    async fn data_that_comes_first_is_no_trailer_and_nothing_is_lost() {
        let mut answer =
            body(vec![Frame::data(Bytes::from("one")), Frame::data(Bytes::from("two")), Frame::trailers(status("0"))]);
        assert_eq!(leading_trailers(&mut answer).await, None);
        let all = answer.collect().await.unwrap();
        assert_eq!(all.trailers(), Some(&status("0")));
        assert_eq!(all.to_bytes(), "onetwo");
    }

    #[tokio::test]
    async fn a_body_that_is_all_there_has_no_trailers() {
        let mut answer = Body::from("text");
        assert_eq!(leading_trailers(&mut answer).await, None);
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "text");
    }
}
