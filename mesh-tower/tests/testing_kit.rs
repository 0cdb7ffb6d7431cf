//! The test kit itself: what each kind of reply comes to for a caller, and what each assertion says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[allow(dead_code, clippy::print_stdout, reason = "shared with the tests of gRPC over sockets")]
mod common_grpc;

#[path = "testing_kit/assertions.rs"]
mod assertions;
#[path = "testing_kit/places.rs"]
mod places;
#[path = "testing_kit/replies.rs"]
mod replies;
#[path = "testing_kit/time_and_chance.rs"]
mod time_and_chance;

use std::time::Duration;

use mesh_tower::testing::{TestMesh, TestMeshBuilder, Workload};

/// A rule for the host `a`, with two subsets and a policy.
fn rules(rule: &str, policy: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec:
  host: a
  trafficPolicy: {{{policy}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a}}
spec: {{hosts: [a], http: [{{name: rule, {rule}}}]}}
"
    )
}

/// Everything to `a`.
const ROUTE: &str = "route: [{destination: {host: a}}]";

/// A policy that changes nothing.
const PLAIN: &str = "loadBalancer: {simple: ROUND_ROBIN}";

/// A mesh with one workload and a rule for it.
fn mesh_of(workload: Workload, rule: &str, policy: &str) -> TestMeshBuilder {
    TestMesh::builder().seed(1).config_yaml("a.yaml", rules(rule, policy)).with(workload)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
