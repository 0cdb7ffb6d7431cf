//! What is judged at the end of a scenario: nothing lost, nothing repeated, and not too many tries.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;

use crate::ledger::{Entry, Ledger};
use crate::load::Tally;

/// The requests of a scenario and the tries they came to; its end wants to be told, so that none forgets it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Judged {
    requests: usize,
    tries: usize,
    took: Duration,
}

impl Judged {
    /// A load that has reached no endpoints but those of this ledger, which has seen no other load: nothing was repeated
    /// that must not be, nothing acknowledged that is not there, and nothing changed on the way. Tries count as they came
    /// in, or as the mesh tells if it tells of more: some get nowhere.
    pub(crate) fn by(ledger: &Ledger, tally: &Tally) -> Self {
        assert!(tally.versions().len() <= 1, "one version decided: {:?}", tally.versions());
        ledger.with_entries(|entries| assert_nothing_lost_or_repeated(entries, tally));
        Self::counted(tally.requests(), ledger.arrivals().max(tally.attempts()), tally.took)
    }

    /// Counted some other way.
    pub(crate) const fn counted(requests: usize, tries: usize, took: Duration) -> Self {
        Self { requests, tries, took }
    }

    /// There were no requests, or none that could be tried again.
    pub(crate) const fn untried() -> Self {
        Self::counted(0, 0, Duration::ZERO)
    }

    /// One more request.
    pub(crate) fn note(&mut self, tries: usize) {
        self.requests += 1;
        self.tries += tries;
    }

    /// More requests than those of which something is known: the others were given up.
    pub(crate) const fn of(self, requests: usize) -> Self {
        Self { requests, ..self }
    }

    /// One load after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self::counted(self.requests + other.requests, self.tries + other.tries, self.took + other.took)
    }

    /// Tries are no more than requests and a fifth, and ten a second, of which there are ten at the beginning.
    pub(crate) fn assert_budgeted(self, name: &str) {
        let Self { requests, tries, took } = self;
        let most = requests as f64 * 1.2 + 10.0 * took.as_secs_f64() + 10.0;
        let told = format!("{name}: {tries} tries for {requests} requests in {took:.1?}");
        assert!(tries as f64 <= most, "{told}, and {most:.0} are allowed");
        println!("{told}");
    }
}

fn assert_nothing_lost_or_repeated(entries: &HashMap<String, Entry>, tally: &Tally) {
    for (id, entry) in entries {
        assert!(entry.method == Method::GET || entry.begun <= 1, "{id} was sent {} times", entry.begun);
        assert!(entry.copies <= 1, "{id} was copied {} times", entry.copies);
        let is_known = |copy| entry.hashes.is_empty() || entry.hashes.contains(copy);
        assert!(entry.copied.iter().all(is_known), "{id}: {entry:?}");
    }
    for outcome in &tally.outcomes {
        assert!(outcome.is_whole, "{} was answered something else: {:?}", outcome.id, outcome.text);
        if outcome.is_acknowledged() {
            let entry = entries.get(&outcome.id).unwrap_or_else(|| panic!("{} was acknowledged by nobody", outcome.id));
            let (times, is_get) = (entry.hashes.len(), entry.method == Method::GET);
            assert!(times == 1 || is_get && times > 1, "{}: {entry:?}", outcome.id);
            assert!(entry.hashes.iter().all(|hash| *hash == outcome.hash), "{}: {entry:?}", outcome.id);
        }
    }
}
