//! What was measured with a real Envoy about hashing, priorities, ejections, retries, back-off, timeouts and limits, played here in virtual
//! time against endpoints in memory: each test is one finding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[path = "simulations/balance.rs"]
mod balance;
#[path = "simulations/ejections.rs"]
mod ejections;
#[path = "simulations/limits.rs"]
mod limits;
#[path = "simulations/retries.rs"]
mod retries;
#[path = "simulations/timeouts.rs"]
mod timeouts;

use std::time::Duration;

use mesh_tower::Profile;
use mesh_tower::testing::{Reply, TestMesh, TestMeshBuilder, Workload};

/// A service `a`, what its endpoints do, and how it is called: by a policy, and a rule's fields beside its route.
#[derive(Clone, Copy)]
struct Setting<'s> {
    policy: &'s str,
    rule: &'s str,
}

impl Setting<'_> {
    fn with(self, workload: Workload) -> TestMeshBuilder {
        let Self { policy, rule } = self;
        let text = format!(
            "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec: {{host: a, trafficPolicy: {{{policy}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a}}
spec: {{hosts: [a], http: [{{{rule}{}route: [{{destination: {{host: a}}}}]}}]}}
",
            if rule.is_empty() { "" } else { ", " }
        );
        let builder = TestMesh::builder().configure(|mesh| mesh.profile(Profile::Istio));
        builder.seed(11).config_yaml("a.yaml", text).with(workload)
    }

    /// So many endpoints that all do the same.
    async fn endpoints(self, count: usize, reply: Reply) -> TestMesh {
        self.with(Workload::of("a").replicas(count).replying(reply)).start().await
    }

    /// One endpoint.
    async fn endpoint(self, reply: Reply) -> TestMesh {
        self.endpoints(1, reply).await
    }

    /// One endpoint that speaks HTTP/2.
    async fn http2(self, reply: Reply) -> TestMesh {
        self.with(Workload::of("a").http2().replying(reply)).start().await
    }
}

/// A policy that sets nothing of interest.
const PLAIN: &str = "loadBalancer: {simple: ROUND_ROBIN}";

const NO_RETRIES: &str = "retries: {attempts: 0}";

const GET: &str = "GET http://a/1";

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
