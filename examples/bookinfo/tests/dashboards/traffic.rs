//! Requests that go on while Prometheus is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bookinfo::probe::{Call, Probe};
use bookinfo::stage::SHOP;
use tokio::task::JoinHandle;

use crate::shop::{FAILING, Shop};

/// One round after another, until it is ended.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    flowing: JoinHandle<u32>,
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    rounds: u32,
}

impl Sent {
    /// Requests through the gateway.
    pub(crate) fn at_gateway(self) -> f64 {
        f64::from(self.rounds) * 5.0
    }

    /// Requests to the product page without a certificate.
    pub(crate) fn outside(self) -> f64 {
        f64::from(self.rounds) * 2.0
    }

    /// Requests that details has got: for two pages and for itself, well or not.
    pub(crate) fn to_details(self) -> f64 {
        f64::from(self.rounds) * 4.0
    }

    /// Those of them that it answered 500.
    pub(crate) fn failed(self) -> f64 {
        f64::from(self.rounds)
    }
}

impl Traffic {
    pub(crate) async fn begin(shop: &Shop) -> Self {
        let (stop, probe) = (Arc::new(AtomicBool::new(false)), Probe::default());
        let inside = |path: &str| Call::get(shop.gateway, path).host(SHOP);
        let outside = |path: &str| Call::get(shop.outside, path);
        let calls = [
            (inside("/productpage"), 200),
            (inside("/api/v1/products/0"), 200),
            (inside("/api/v1/products/0").case(FAILING), 500),
            (inside("/api/v1/products/0/ratings"), 200),
            (inside("/nowhere"), 404),
            (outside("/productpage"), 200),
            (outside("/api/v1/products/0/ratings"), 200),
        ];
        let stopping = Arc::clone(&stop);
        let flowing = tokio::spawn(async move {
            let mut rounds = 0;
            while !stopping.load(Ordering::Relaxed) {
                for (call, status) in &calls {
                    let answer = probe.send(call).await.unwrap();
                    assert_eq!(answer.status, *status, "{call:?}: {}", answer.text());
                    let is_whole = !answer.text().contains("<html") || answer.text().contains("from reviews");
                    assert!(is_whole, "{call:?}: {}", answer.text());
                }
                rounds += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            rounds
        });
        Self { stop, flowing }
    }

    pub(crate) async fn end(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        Sent { rounds: self.flowing.await.unwrap() }
    }
}
