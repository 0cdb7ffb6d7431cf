use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use mesh_core::route::{Fault as Policy, Share};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{BoxError, Error, Failure};

const DELAY: Duration = Duration::from_secs(3);

/// For so many requests: which were held, which were aborted.
async fn played(faults: &FaultLayer, requests: u32) -> Vec<(bool, bool)> {
    let service = faults.layer(service_fn(|()| async { Ok::<_, BoxError>(()) }));
    let mut seen = Vec::new();
    for _ in 0..requests {
        let began = crate::clock::now();
        let aborted = service.clone().oneshot(()).await.is_err();
        seen.push((crate::clock::now() - began >= DELAY, aborted));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn shares_are_held_and_aborted_as_configured_and_independently() {
    let faults = FaultLayer::new().delay(50.0, DELAY).abort(25.0, StatusCode::IM_A_TEAPOT).seed(1);
    let seen = played(&faults, 4_000).await;
    let count = |of: fn(&(bool, bool)) -> bool| seen.iter().filter(|request| of(request)).count();
    let (held, aborted, both) = (count(|seen| seen.0), count(|seen| seen.1), count(|seen| seen.0 && seen.1));
    // Four standard deviations.
    assert!((1_874..2_126).contains(&held) && (890..1_110).contains(&aborted), "{held} {aborted}");
    assert!((416..584).contains(&both), "{both}");
}

#[tokio::test(start_paused = true)]
async fn a_seed_makes_the_same_requests_suffer() {
    let faults = |seed| FaultLayer::new().delay(30.0, DELAY).abort(30.0, StatusCode::BAD_GATEWAY).seed(seed);
    assert_eq!(played(&faults(7), 100).await, played(&faults(7), 100).await);
    assert_ne!(played(&faults(7), 100).await, played(&faults(8), 100).await);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_request_says_why_and_never_reaches_the_service() {
    let calls = Arc::new(AtomicU32::new(0));
    for (faults, failure) in [
        (FaultLayer::new().abort(100.0, StatusCode::IM_A_TEAPOT), Failure::FaultAbort(StatusCode::IM_A_TEAPOT)),
        (FaultLayer::new().delay(100.0, DELAY).abort_grpc(100.0, 14), Failure::FaultAbortGrpc(14)),
        (Policy::new().with_abort(Share::ALL, Failure::FaultAbortGrpc(2)).into(), Failure::FaultAbortGrpc(2)),
    ] {
        let counted = Arc::clone(&calls);
        let service = faults.layer(service_fn(move |()| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, BoxError>(()) }
        }));
        let error = service.oneshot(()).await.unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().failure(), failure);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_unless_it_is_asked_for() {
    for faults in [FaultLayer::new(), FaultLayer::new().delay(0.0, DELAY).abort(-5.0, StatusCode::BAD_GATEWAY)] {
        assert!(played(&faults, 100).await.iter().all(|seen| *seen == (false, false)));
    }
}
