use std::convert::Infallible;

use http::HeaderMap;
use http_body::Body as _;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::tape::Recorded;
use super::*;

fn frames(parts: Vec<Bytes>) -> Body {
    let frames = parts.into_iter().map(|part| Ok::<_, Infallible>(Frame::data(part)));
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

fn chunks(parts: &[&'static str]) -> Body {
    frames(parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect())
}

async fn text(body: impl http_body::Body<Data = Bytes, Error = BoxError>) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A body that the test feeds.
fn fed() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>, Body) {
    let (feed, frames) = mpsc::unbounded_channel();
    (feed, Body::new(StreamBody::new(UnboundedReceiverStream::new(frames))))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

#[tokio::test]
async fn a_later_attempt_plays_what_was_read_and_reads_on() {
    let replay = Replay::new(chunks(&["ab", "cd", "ef"]), 64);
    let mut first = replay.attempt().unwrap();
    first.frame().await.unwrap().unwrap();
    let second = replay.attempt().unwrap();
    assert!(first.frame().await.unwrap().is_err(), "the first one has been superseded");
    assert_eq!(text(second).await, "abcdef");
    assert_eq!(text(replay.attempt().unwrap()).await, "abcdef");
}

#[tokio::test]
async fn over_the_limit_it_streams_on_and_there_is_no_other_attempt() {
    let replay = Replay::new(chunks(&["abc", "def", "ghi"]), 4);
    assert!(replay.is_replayable());
    assert_eq!(text(replay.attempt().unwrap()).await, "abcdefghi");
    assert!(!replay.is_replayable());
    assert_eq!(replay.attempt().unwrap_err(), NotReplayable::OverLimit);
    assert!(replay.tape.lock().frames.is_empty(), "what nobody can play is not kept");
}

#[tokio::test]
async fn a_body_known_to_be_too_long_is_not_kept_at_all() {
    let replay = Replay::new(Body::from("too long"), 4);
    assert!(replay.is_replayable(), "the first attempt is always possible");
    let mut first = replay.attempt().unwrap();
    first.frame().await.unwrap().unwrap();
    assert!(!replay.is_replayable());
    assert!(replay.tape.lock().frames.is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_long_can_be_sent_anew_as_long_as_nothing_was_read_of_it() {
    let replay = Replay::new(Body::from("too long"), 4);
    drop(replay.attempt().unwrap());
    assert!(replay.is_replayable());
    assert_eq!(text(replay.attempt().unwrap()).await, "too long");
    assert!(!replay.is_replayable());
}

#[tokio::test]
async fn pieces_so_small_that_they_cost_more_than_they_hold_are_not_kept() {
    let pieces = |count: usize| frames(vec![Bytes::from_static(b"x"); count]);
    let limit = 64 * 1024;
    let replay = Replay::new(pieces(1_000), limit);
    assert_eq!(text(replay.attempt().unwrap()).await.len(), 1_000);
    assert!(replay.is_replayable());
    let replay = Replay::new(pieces(2_000), limit);
    assert_eq!(text(replay.attempt().unwrap()).await.len(), 2_000, "it streams on");
    assert!(!replay.is_replayable());
    assert!(replay.tape.lock().frames.is_empty());
}

#[tokio::test]
async fn trailers_count_too() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-large", "x".repeat(5_000).parse().unwrap());
    let (feed, body) = fed();
    feed.send(data("ab")).unwrap();
    feed.send(Ok(Frame::trailers(trailers))).unwrap();
    drop(feed);
    let replay = Replay::new(body, 16);
    assert_eq!(replay.attempt().unwrap().collect().await.unwrap().trailers().unwrap()["x-large"].len(), 5_000);
    assert!(!replay.is_replayable() && replay.tape.lock().frames.is_empty());
}

#[tokio::test]
async fn exactly_the_limit_can_be_played_again() {
    let replay = Replay::new(chunks(&["ab", "cd"]), 4);
    assert_eq!(text(replay.attempt().unwrap()).await, "abcd");
    assert_eq!(text(replay.attempt().unwrap()).await, "abcd");
}

#[tokio::test]
async fn the_length_of_the_original_is_kept_by_every_attempt() {
    let replay = Replay::new(Body::from("four"), 64);
    let mut first = replay.attempt().unwrap();
    assert_eq!(first.size_hint().exact(), Some(4));
    first.frame().await.unwrap().unwrap();
    assert_eq!(first.size_hint().exact(), Some(0));
    assert!(first.is_end_stream());
    let second = replay.attempt().unwrap();
    assert_eq!(second.size_hint().exact(), Some(4));
    assert!(!second.is_end_stream());
}

#[tokio::test]
async fn trailers_are_played_too() {
    let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
    let body = Body::new(chunks(&["data"]).with_trailers(std::future::ready(Some(Ok(trailers.clone())))));
    let replay = Replay::new(body, 64);
    for _ in 0..3 {
        let collected = replay.attempt().unwrap().collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
    }
}

#[tokio::test]
async fn a_failed_body_is_not_played_again() {
    let (feed, body) = fed();
    let replay = Replay::new(body, 64);
    feed.send(data("a")).unwrap();
    feed.send(Err("gone".into())).unwrap();
    assert_eq!(replay.attempt().unwrap().collect().await.unwrap_err().to_string(), "gone");
    assert_eq!(replay.attempt().unwrap_err(), NotReplayable::Failed);
}

#[tokio::test]
async fn an_attempt_that_waits_is_told_when_another_takes_over() {
    let (feed, body) = fed();
    let replay = Replay::new(body, 64);
    let first = replay.attempt().unwrap();
    let waiting = tokio::spawn(first.collect());
    tokio::task::yield_now().await;
    let second = replay.attempt().unwrap();
    assert!(waiting.await.unwrap().is_err());
    feed.send(data("all")).unwrap();
    drop(feed);
    assert_eq!(text(second).await, "all");
}

#[tokio::test]
async fn a_tee_follows_while_the_body_is_read() {
    let (feed, body) = fed();
    let replay = Replay::new(body, 64);
    let tee = tokio::spawn(text(replay.tee(64)));
    let main = tokio::spawn(text(replay.attempt().unwrap()));
    for part in ["one ", "two ", "three"] {
        feed.send(data(part)).unwrap();
        tokio::task::yield_now().await;
    }
    drop(feed);
    assert_eq!(main.await.unwrap(), "one two three");
    assert_eq!(tee.await.unwrap(), "one two three");
}

#[tokio::test]
async fn a_tee_that_is_not_read_holds_nobody_up() {
    let replay = Replay::new(chunks(&["ab", "cd"]), 64);
    let tee = replay.tee(64);
    assert_eq!(text(replay.attempt().unwrap()).await, "abcd");
    drop(replay);
    assert_eq!(text(tee).await, "abcd", "the recording outlives the request");
}

#[tokio::test]
async fn a_tee_may_keep_more_than_a_replay() {
    let replay = Replay::new(chunks(&["abc", "def"]), 4);
    let tee = replay.tee(6);
    assert_eq!(text(replay.attempt().unwrap()).await, "abcdef");
    assert_eq!(replay.attempt().unwrap_err(), NotReplayable::OverLimit);
    assert_eq!(text(tee).await, "abcdef");
}

#[tokio::test]
async fn a_tee_beyond_its_cap_is_given_up_and_the_request_goes_on() {
    let replay = Replay::new(chunks(&["abc", "def"]), 64);
    let tee = replay.tee(4);
    assert_eq!(text(replay.attempt().unwrap()).await, "abcdef");
    assert!(tee.collect().await.is_err());
    assert_eq!(text(replay.attempt().unwrap()).await, "abcdef");
}

#[tokio::test]
async fn a_tee_of_a_body_that_nobody_reads_on_ends_in_an_error() {
    let (feed, body) = fed();
    let replay = Replay::new(body, 64);
    let tee = tokio::spawn(replay.tee(64).collect());
    let mut main = replay.attempt().unwrap();
    feed.send(data("half")).unwrap();
    main.frame().await.unwrap().unwrap();
    tokio::task::yield_now().await;
    drop(main);
    drop(replay);
    assert!(tee.await.unwrap().is_err());
}

#[tokio::test]
async fn a_tee_that_keeps_up_follows_a_body_of_any_length() {
    let (feed, body) = fed();
    let replay = Replay::new(body, 4);
    let given_up = Arc::new(AtomicU64::new(0));
    let tee = tokio::spawn(text(replay.tee_counted(8, Arc::clone(&given_up))));
    let main = tokio::spawn(text(replay.attempt().unwrap()));
    for _ in 0..100 {
        feed.send(data("12345678")).unwrap();
        tokio::task::yield_now().await;
        assert!(replay.tape.lock().frames.len() <= 1, "what both have read is forgotten");
    }
    drop(feed);
    assert_eq!((main.await.unwrap().len(), tee.await.unwrap().len()), (800, 800));
    assert_eq!(given_up.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_tee_that_falls_behind_is_given_up_once_and_counted() {
    let given_up = Arc::new(AtomicU64::new(0));
    let replay = Replay::new(chunks(&["abc", "def", "ghi"]), 0);
    let tee = replay.tee_counted(4, Arc::clone(&given_up));
    assert_eq!(text(replay.attempt().unwrap()).await, "abcdefghi");
    assert!(tee.collect().await.is_err());
    assert_eq!(given_up.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(replay.tape.lock().frames.is_empty());
}

#[tokio::test]
async fn what_is_kept_of_all_bodies_is_limited_and_given_back() {
    let memory = Memory::new(200);
    let one = Replay::within(chunks(&["abc"]), 64, &memory);
    assert_eq!(text(one.attempt().unwrap()).await, "abc");
    // Its bytes, and what a frame takes beside them.
    assert_eq!((memory.used(), one.is_replayable()), (67, true));
    let two = Replay::within(chunks(&["abc", "def", "ghi"]), 64, &memory);
    assert_eq!(text(two.attempt().unwrap()).await, "abcdefghi", "it streams on");
    assert_eq!((memory.used(), two.is_replayable()), (67, false));
    drop((one, two));
    assert_eq!(memory.used(), 0);
}

proptest! {
    /// Whatever is read before each attempt gives up, the last one sees the whole body.
    #[test]
    fn an_attempt_sees_the_whole_body_or_there_is_none(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..12),
        stops in prop::collection::vec(0_usize..14, 0..5),
        limit in 0_usize..64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whole = parts.concat();
            let replay = Replay::new(frames(parts.into_iter().map(Bytes::from).collect()), limit);
            for stop in stops {
                let Ok(mut attempt) = replay.attempt() else { break };
                let mut seen = Vec::new();
                for _ in 0..stop {
                    let Some(frame) = attempt.frame().await else { break };
                    seen.extend_from_slice(&frame.unwrap().into_data().unwrap());
                }
                prop_assert!(whole.starts_with(&seen));
                let kept = |frame: &Recorded| match frame {
                    Recorded::Data(data) => data.len(),
                    Recorded::Trailers(_) => 0,
                };
                let bytes: usize = replay.tape.lock().frames.iter().map(kept).sum();
                prop_assert!(bytes <= limit);
            }
            match replay.attempt() {
                Ok(attempt) => prop_assert_eq!(attempt.collect().await.unwrap().to_bytes(), whole),
                Err(_) => prop_assert!(whole.len() > limit),
            }
            Ok(())
        })?;
    }
}
