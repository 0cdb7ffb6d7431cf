//! A mesh in memory, to test one's own configuration with: `feature = "testing"`.
//!
//! A [`TestMesh`] reads the YAML that goes to production and sends requests by it to [`Workload`]s in the test itself:
//! axum routers, tonic routes, or scripted [`Reply`]s. Routing, balancing, retries, timeouts, limits, outlier detection,
//! faults and mirrors are those of production, and so is the HTTP; only the connections are streams in memory instead of
//! sockets. Time is virtual, so that an ejection of 30 seconds costs nothing, and chance comes from a seed, or is left
//! out altogether: with [`exhausting_rolls`](Run::exhausting_rolls) a split of 95 to 5 is exactly that.
//!
//! ```
//! use mesh_tower::testing::{Reply, TestMesh, Workload};
//! use std::time::Duration;
//!
//! const RULES: &str = "
//! apiVersion: networking.istio.io/v1
//! kind: DestinationRule
//! metadata: {name: reviews}
//! spec:
//!   host: reviews
//!   trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 50}}
//!   subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
//! ---
//! apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: {name: reviews}
//! spec:
//!   hosts: [reviews]
//!   http:
//!   - route:
//!     - {destination: {host: reviews, subset: v1}, weight: 95}
//!     - {destination: {host: reviews, subset: v2}, weight: 5}
//!     retries: {attempts: 2, retryOn: 5xx}
//! ";
//!
//! // In a test: #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() {
//!     let app = axum::Router::new().route("/{id}", axum::routing::get(|| async { "five stars" }));
//!     let mesh = TestMesh::builder()
//!         .config_yaml("reviews.yaml", RULES) // or .config_dir("mesh/")
//!         .with(Workload::of("reviews:9080").label("version", "v1").replicas(3).serving(app))
//!         .with(Workload::of("reviews:9080").label("version", "v2").replicas(2).replying(Reply::status(200)))
//!         .start()
//!         .await;
//!     mesh.reply("reviews-v2/0", &Reply::status(503));
//!
//!     let run = mesh.run("GET http://reviews:9080/1").times(1_000).exhausting_rolls().await;
//!     run.assert_success(1.0);
//!     run.assert_share("reviews", [("v1", 95), ("v2", 5)]);
//!     mesh.assert_ejected("reviews-v2/0");
//!     mesh.advance(Duration::from_secs(40)).await;
//!     mesh.assert_healthy("reviews-v2/0");
//! }
//! ```
//!
//! # What to know
//!
//! * The test needs paused time: `#[tokio::test(start_paused = true)]`, with tokio's feature `test-util`.
//! * Requests of a [`Run`] go one after the other, unless [`at_once`](Run::at_once) or [`every`](Run::every) say
//!   otherwise. Requests of one's own go through [`TestMesh::client`], which is also tonic's transport; a [`Roll`] among
//!   their extensions pins their draw.
//! * Answers take no time unless a reply says so, so all requests of a run may happen in one instant. What counts by time
//!   then sees a burst: the default retry budget of [`Profile::Safe`](crate::Profile::Safe) allows 10 retries a second and one for
//!   five requests.
//! * A failure names its seed; `MESH_TEST_SEED=7 cargo test` runs it again.
//! * A workload that calls others is given its application after the start: `mesh.serve("front", app)`, where the
//!   application has [`mesh.client()`](TestMesh::client), inside [`mesh.mesh().inbound()`](crate::Mesh::inbound).
//! * Names that neither the configuration nor a workload has do not exist; a port where no workload is refuses
//!   connections.
//! * Ejections end by sweeps, every `interval` (10 s unless set), as in Envoy: one of 30 s takes up to 40.

#![allow(clippy::panic, reason = "an assertion that does not hold panics")]

mod answers;
mod assertions;
mod call;
mod count;
mod documents;
mod endpoint;
mod mesh;
mod network;
mod reply;
mod roll;
mod run;
mod workload;

use http::{HeaderName, HeaderValue};

pub use answers::{Answer, Answers};
pub use call::Call;
pub use count::Count;
pub use mesh::{TestMesh, TestMeshBuilder};
pub use reply::Reply;
pub use roll::Roll;
pub use run::Run;
pub use workload::Workload;

pub(crate) use network::Switchboard;

/// The environment variable that repeats a run.
const SEED: &str = "MESH_TEST_SEED";

/// A seed nobody has chosen.
fn seed() -> u64 {
    let wished = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    // Short enough to be typed again.
    wished.unwrap_or_else(|| fastrand::u64(..1_000_000))
}

fn how_to_repeat(seed: u64) -> String {
    format!("seed {seed}: {SEED}={seed} runs this again")
}

/// Ends the test.
#[track_caller]
fn failed(why: &str) -> ! {
    panic!("{why}")
}

#[track_caller]
fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    match (name.parse(), value.parse()) {
        (Ok(name), Ok(value)) => (name, value),
        _ => failed(&format!("`{name}: {value}` is no header")),
    }
}
