//! What reached a service, counted by the service itself.
//!
//! Requests carry the name of the *case* they belong to in the header [`CASE`]; the services pass it on to whom they
//! call. A ledger keeps one page per case: how many requests came, over which connections, and what the service was
//! told to do to them ([`Order`]). So cases can be played side by side and late requests (mirrors) fall where they
//! belong.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The header that names the case of a request.
pub const CASE: &str = "x-bookinfo-case";

/// The case of requests that name none, those of a browser for example.
pub const NO_CASE: &str = "none";

/// What a service can be told to do to a request instead of answering it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Close the connection without an answer.
    Cut,
    /// Wait this many milliseconds, then answer as usual.
    Delay(u64),
    /// Wait until the page's orders are cleared, then answer as usual.
    Hold,
    /// Answer with this status.
    Status(u16),
}

/// An [`Act`] and how often it is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub act: Act,
    /// To how many requests; to all of them when absent.
    #[serde(default)]
    pub times: Option<u32>,
}

/// The figures of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that came.
    pub requests: u64,
    /// Requests that wait under [`Act::Hold`] now.
    pub held: u64,
    /// Requests by connection (numbered as accepted); empty where the service does not see its connections.
    pub connections: BTreeMap<u64, u64>,
}

/// One service's ledger: cheap to clone, one book behind all clones.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pages: Arc<Mutex<HashMap<String, Page>>>,
}

#[derive(Debug, Default)]
struct Page {
    counts: Counts,
    order: Option<Order>,
    /// Sends when the orders are cleared.
    cleared: watch::Sender<u64>,
}

impl Ledger {
    /// Counts a request and says what is to be done to it.
    pub fn enter(&self, case: &str, connection: Option<u64>) -> Option<Act> {
        let mut pages = self.lock();
        let page = pages.entry(case.to_owned()).or_default();
        page.counts.requests += 1;
        if let Some(connection) = connection {
            *page.counts.connections.entry(connection).or_default() += 1;
        }
        page.take_act()
    }

    /// Waits until the orders of the case are cleared; counted as held meanwhile, also if the caller goes away.
    pub async fn hold(&self, case: &str) {
        let mut cleared = {
            let mut pages = self.lock();
            let page = pages.entry(case.to_owned()).or_default();
            page.counts.held += 1;
            page.cleared.subscribe()
        };
        let _held = Held { ledger: self, case };
        let _ = cleared.changed().await;
    }

    /// Gives an order for the requests of a case; it takes the place of an earlier one.
    pub fn order(&self, case: &str, order: Order) {
        self.lock().entry(case.to_owned()).or_default().order = Some(order);
    }

    /// Withdraws the order of a case and lets go whom it holds.
    pub fn clear(&self, case: &str) {
        if let Some(page) = self.lock().get_mut(case) {
            page.order = None;
            page.cleared.send_modify(|times| *times += 1);
        }
    }

    /// The figures of one case.
    #[must_use]
    pub fn counts(&self, case: &str) -> Counts {
        self.lock().get(case).map(|page| page.counts.clone()).unwrap_or_default()
    }

    /// Requests by case.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<String, u64> {
        self.lock().iter().map(|(case, page)| (case.clone(), page.counts.requests)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    fn take_act(&mut self) -> Option<Act> {
        let order = self.order.as_mut()?;
        match &mut order.times {
            None => Some(order.act),
            Some(0) => None,
            Some(times) => {
                *times -= 1;
                Some(order.act)
            }
        }
    }
}

/// Takes the request off the held ones, however the wait ends.
struct Held<'a> {
    ledger: &'a Ledger,
    case: &'a str,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(page) = self.ledger.lock().get_mut(self.case) {
            page.counts.held -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_has_a_page_of_its_own() {
        let ledger = Ledger::default();
        ledger.enter("a", Some(1));
        ledger.enter("a", Some(1));
        ledger.enter("b", None);
        assert_eq!(ledger.counts("a").requests, 2);
        assert_eq!(ledger.counts("a").connections, BTreeMap::from([(1, 2)]));
        assert_eq!(ledger.counts("b").requests, 1);
        assert_eq!(ledger.counts("c"), Counts::default());
    }

    #[test]
    fn an_order_ends_after_its_times() {
        let ledger = Ledger::default();
        ledger.order("a", Order { act: Act::Status(503), times: Some(2) });
        let acts: Vec<_> = (0..3).map(|_| ledger.enter("a", None)).collect();
        assert_eq!(acts, [Some(Act::Status(503)), Some(Act::Status(503)), None]);
    }

    #[tokio::test]
    async fn a_cleared_order_lets_the_held_go() {
        let ledger = Ledger::default();
        let held = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.hold("a").await }
        });
        while ledger.counts("a").held == 0 {
            tokio::task::yield_now().await;
        }
        ledger.clear("a");
        assert!(held.await.is_ok());
        assert_eq!(ledger.counts("a").held, 0);
    }
}
