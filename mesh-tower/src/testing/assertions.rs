//! What a test may demand, and what it says when it is not so.

use std::fmt::Write as _;

use mesh_core::failure::Limit;

use super::answers::{Answer, Answers};
use super::call::Call;
use super::count::Count;
use super::failed;
use super::mesh::TestMesh;
use crate::cluster::ClusterHandle;

impl Answers<'_> {
    /// At least this share of the requests [succeeded](Answer::is_success); 1.0 for all.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_success(&self, share: f64) {
        let succeeded = self.iter().filter(|answer| answer.is_success()).count();
        if (succeeded as f64) < share * self.len() as f64 {
            let what = format!("assert_success({share}): {succeeded} of {} requests succeeded", self.len());
            self.fail(&what, self.iter().find(|answer| !answer.is_success()));
        }
    }

    /// As many answers have this status.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_status(&self, status: u16, count: impl Into<Count>) {
        let (count, found) = (count.into(), self.count(status));
        if !count.takes(found) {
            let what = format!("assert_status({status}): expected {count} of {}, got {found}", self.len());
            self.fail(&what, self.iter().find(|answer| answer.status() != status));
        }
    }

    /// As many answers have these response flags, as Envoy writes them: `UO`, `URX,UF`; `-` for none.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_flags(&self, flags: &str, count: impl Into<Count>) {
        let has = |answer: &&Answer| answer.flags().to_string() == flags;
        let (count, found) = (count.into(), self.iter().filter(has).count());
        if !count.takes(found) {
            let what = format!("assert_flags({flags}): expected {count} of {}, got {found}", self.len());
            self.fail(&what, self.iter().find(|answer| !has(answer)));
        }
    }

    /// Each request took as many tries, the first included.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_tries(&self, count: impl Into<Count>) {
        let count = count.into();
        if let Some(other) = self.iter().find(|answer| !count.takes(answer.tries() as usize)) {
            self.fail(&format!("assert_tries: expected {count} for each request, got {}", other.tries()), Some(other));
        }
    }

    /// The requests for a host went to its subsets in these shares, and to no other. Exactly so if the rolls were
    /// [exhausted](super::Run::exhausting_rolls), else as nearly as chance allows (five standard deviations).
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_share<'s>(&self, host: &str, shares: impl IntoIterator<Item = (&'s str, u32)>) {
        let shares: Vec<(&str, u32)> = shares.into_iter().collect();
        let total: f64 = shares.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let sent: Vec<&str> = self.iter().filter_map(|answer| answer.subset_of(host)).collect();
        let all = sent.len() as f64;
        let mut told = String::new();
        let mut is_right = !sent.is_empty() && sent.iter().all(|subset| shares.iter().any(|(name, _)| name == subset));
        for (subset, weight) in &shares {
            let share = f64::from(*weight) / total.max(1.0);
            let (expected, got) = (all * share, sent.iter().filter(|sent| *sent == subset).count());
            let slack = if self.exact { 1e-6 } else { 5.0 * (all * share * (1.0 - share)).sqrt().max(0.2) };
            is_right &= (got as f64 - expected).abs() <= slack;
            let _ = write!(told, "\n  {subset}: expected {expected}, got {got}");
        }
        if !is_right {
            let first = self
                .iter()
                .find(|answer| answer.subset_of(host).is_none_or(|to| !shares.iter().any(|(name, _)| *name == to)));
            self.fail(
                &format!("assert_share({host}): {} of {} requests were for it{told}", sent.len(), self.len()),
                first,
            );
        }
    }

    /// Ends the test: what is wrong, all answers in short, and one of them at length.
    #[track_caller]
    fn fail(&self, what: &str, example: Option<&Answer>) -> ! {
        let mut text = format!("{what}\n{self:?}");
        if let Some(answer) = example.or(self.answers.first()) {
            let _ = write!(text, "\nfor example {answer}");
            if let Some(question) = self.run.question(answer.roll.map_or(0, |roll| roll.0)) {
                let _ = write!(text, "\nwhy, in the configuration:\n{}", self.mesh.explain_question(&question));
            }
        }
        failed(&format!("{}\n{}", text.trim_end(), super::how_to_repeat(self.mesh.seed())))
    }
}

impl TestMesh {
    /// A workload or endpoint has seen as many requests, each try counted, mirrored ones not.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_calls(&self, name: &str, count: impl Into<Count>) {
        self.assert_count("assert_calls", name, count.into(), |call| !call.is_mirrored());
    }

    /// A workload or endpoint has got as many copies as a mirror.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_mirrored(&self, name: &str, count: impl Into<Count>) {
        self.assert_count("assert_mirrored", name, count.into(), Call::is_mirrored);
    }

    /// Each request that a workload or endpoint has seen, and there was one, had this value of a header; `None` that
    /// it had no such header.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_header<'v>(&self, name: &str, header: &str, value: impl Into<Option<&'v str>>) {
        let (value, calls) = (value.into(), self.calls_to(name));
        let wrong = calls.iter().find(|call| call.header(header) != value);
        if let Some(call) = wrong {
            let found = call.header(header);
            self.fail(&format!("assert_header({name}): expected {header} {value:?}, got {found:?} in\n  {call:?}"));
        }
        if calls.is_empty() {
            self.fail(&format!("assert_header({name}): it has seen no request"));
        }
    }

    /// No request reached endpoints twice: each request id is seen once, mirrors apart.
    ///
    /// # Panics
    /// If one did.
    #[track_caller]
    pub fn assert_nothing_sent_twice(&self) {
        let calls: Vec<_> = self.calls().into_iter().filter(|call| !call.is_mirrored()).collect();
        let id = |call: &Call| call.header("x-request-id").map(str::to_owned);
        let mut seen = std::collections::HashMap::new();
        for call in &calls {
            let Some(id) = id(call) else { continue };
            if let Some(before) = seen.insert(id, call) {
                self.fail(&format!("assert_nothing_sent_twice: this was sent twice\n  {before:?}\n  {call:?}"));
            }
        }
    }

    /// Outlier detection has this endpoint, `reviews-v2/0`, out of rotation, in one cluster at least. Of a workload:
    /// each of its endpoints.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn assert_ejected(&self, name: &str) {
        for (endpoint, ejected_by) in self.ejections(name) {
            if ejected_by.is_empty() {
                self.fail(&format!("assert_ejected({name}): {endpoint} is in rotation{}", self.told_of_ejections()));
            }
        }
    }

    /// No cluster has this endpoint, or an endpoint of this workload, out of rotation.
    ///
    /// # Panics
    /// If one has.
    #[track_caller]
    pub fn assert_healthy(&self, name: &str) {
        for (endpoint, ejected_by) in self.ejections(name) {
            if let Some(cluster) = ejected_by.first() {
                self.fail(&format!("assert_healthy({name}): {endpoint} is ejected from {cluster}"));
            }
        }
    }

    /// Endpoints that outlier detection has out of rotation, by name.
    pub fn ejected(&self) -> Vec<String> {
        let mut ejected: Vec<String> = self.clusters_of_ejected().into_iter().map(|(endpoint, _)| endpoint).collect();
        ejected.sort();
        ejected.dedup();
        ejected
    }

    /// How many ejections `maxEjectionPercent` did not allow, over all clusters.
    pub fn refused_ejections(&self) -> u64 {
        self.mesh().snapshot().clusters().iter().map(|cluster| cluster.refused_ejections()).sum()
    }

    /// Connections that were begun so far to the endpoints that there are.
    pub fn connections_opened(&self) -> u64 {
        self.mesh().snapshot().clusters().iter().map(|cluster| cluster.connections_opened()).sum()
    }

    /// Nothing is under way any more: no request, no retry, and nobody waits for a connection. Open connections may be
    /// kept for later.
    ///
    /// # Panics
    /// If something is.
    #[track_caller]
    pub fn assert_idle(&self) {
        for cluster in self.mesh().snapshot().clusters() {
            for limit in [Limit::Requests, Limit::PendingRequests, Limit::Retries] {
                let in_use = cluster.permits().in_use(limit);
                if in_use > 0 {
                    self.fail(&format!("assert_idle: {} counts {in_use} of {}", cluster.spec().name, limit.field()));
                }
            }
        }
    }

    #[track_caller]
    fn assert_count(&self, assertion: &str, name: &str, count: Count, counts: impl Fn(&Call) -> bool) {
        let found = self.calls_to(name).iter().filter(|call| counts(call)).count();
        if !count.takes(found) {
            self.fail(&format!("{assertion}({name}): expected {count}, got {found}{}", self.told_of_calls()));
        }
    }

    /// Each endpoint of this name, with the clusters that have ejected it.
    #[track_caller]
    fn ejections(&self, name: &str) -> Vec<(String, Vec<String>)> {
        let all = self.clusters_of_ejected();
        let ejected_by = |endpoint: &str| {
            all.iter().filter(|(ejected, _)| ejected == endpoint).map(|(_, cluster)| cluster.clone()).collect()
        };
        self.endpoints_of(name)
            .into_iter()
            .map(|endpoint| (endpoint.name().to_owned(), ejected_by(endpoint.name())))
            .collect()
    }

    fn clusters_of_ejected(&self) -> Vec<(String, String)> {
        let live = self.mesh().snapshot();
        let of_cluster = |cluster: &std::sync::Arc<ClusterHandle>| {
            let name = cluster.spec().name.to_string();
            let ejected = cluster.endpoints_now().into_iter().filter(|endpoint| endpoint.is_ejected());
            let named =
                ejected.filter_map(|endpoint| Some(self.switchboard().at(endpoint.address())?.name().to_owned()));
            named.map(|endpoint| (endpoint, name.clone())).collect::<Vec<_>>()
        };
        live.clusters().iter().flat_map(of_cluster).collect()
    }

    fn told_of_ejections(&self) -> String {
        let ejected = self.ejected();
        let mut text = if ejected.is_empty() {
            "; nothing is ejected".to_owned()
        } else {
            format!("; ejected: {}", ejected.join(", "))
        };
        let refused = self.refused_ejections();
        if refused > 0 {
            let _ = write!(text, "\n  maxEjectionPercent (10 unless set) did not allow {refused} ejections");
        }
        text
    }

    fn told_of_calls(&self) -> String {
        let mut counts = std::collections::BTreeMap::new();
        for call in self.calls() {
            let (calls, mirrored) = counts.entry(call.endpoint().to_owned()).or_insert((0, 0));
            *(if call.is_mirrored() { mirrored } else { calls }) += 1;
        }
        let mut text = String::new();
        for (endpoint, (calls, mirrored)) in counts {
            let _ = write!(text, "\n  {endpoint}: {calls} requests, {mirrored} mirrored");
        }
        text
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        failed(&format!("{what}\n{}", super::how_to_repeat(self.seed())))
    }
}
