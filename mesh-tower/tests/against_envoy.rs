//! The same script against a real Envoy and against this mesh, and both have to do the same: statuses, flags, tries,
//! endpoints, headers, shares.
//!
//! Each case says in Istio's words what applies to a service ([`case`]). The mesh gets that as it is
//! ([`documents`]); Envoy gets what Istio would make of it ([`bootstrap`]). Both call the same endpoints, which do with
//! each request as the case says. Beside that the two call each other, over mutual TLS ([`mutual`]), count the messages of gRPC
//! calls ([`messages`]), and log the same of the same requests ([`telemetry`]).
//!
//! ```text
//! ENVOY=/usr/bin/envoy cargo test -p mesh-tower --test against_envoy -- --nocapture
//! ```
//!
//! `ENVOY` names the binary (1.40 is what the figures were seen with); without it the test says so and passes.
//! `ENVOY_CASES=retry` plays only the cases with that text in their names, and tells what each side did.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(clippy::needless_pass_by_value, reason = "cases are written as values")]
#![allow(clippy::type_complexity, reason = "records are as nested as the files")]
#![allow(dead_code, reason = "what plays recordings knows more than is needed here")]

#[path = "support/anybody.rs"]
mod anybody;
#[path = "tls/authority.rs"]
mod authority;
#[path = "conformance/caller.rs"]
mod caller;
#[path = "conformance/place.rs"]
mod place;
#[path = "conformance/record.rs"]
mod record;
#[path = "conformance/script.rs"]
mod script;
#[path = "conformance/secure.rs"]
mod secure;
#[path = "conformance/upstream/mod.rs"]
mod upstream;
#[path = "conformance/wire.rs"]
mod wire;
#[path = "tls/world.rs"]
mod world;

#[path = "against_envoy/bootstrap/mod.rs"]
mod bootstrap;
#[path = "against_envoy/case.rs"]
mod case;
#[path = "against_envoy/cases/mod.rs"]
mod cases;
#[path = "against_envoy/compare.rs"]
mod compare;
#[path = "against_envoy/documents.rs"]
mod documents;
#[path = "against_envoy/envoy.rs"]
mod envoy;
#[path = "against_envoy/messages.rs"]
mod messages;
#[path = "against_envoy/mutual/mod.rs"]
mod mutual;
#[path = "against_envoy/play.rs"]
mod play;
#[path = "against_envoy/telemetry/mod.rs"]
mod telemetry;

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use tokio::runtime::Builder;

use self::case::Case;
use self::envoy::Envoy;
use self::place::Claim;
use self::play::Stage;
use self::upstream::Upstreams;

/// Cases that are played at the same time: most of them wait most of the time.
const AT_ONCE: usize = 6;

#[test]
fn the_mesh_does_what_envoy_does() {
    let Some(binary) = envoy::binary() else { return };
    let only = std::env::var("ENVOY_CASES").unwrap_or_default();
    let mut cases = cases::all();
    cases.retain(|case| case.name.contains(&only));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let broken = runtime.block_on(compare_all(&Arc::new(cases), &binary, !only.is_empty()));
    assert!(broken.is_empty(), "{} cases differ from Envoy:\n{}", broken.len(), broken.join("\n"));
}

/// Gives the differences, one a line.
async fn compare_all(cases: &Arc<Vec<Case>>, binary: &std::path::Path, telling: bool) -> Vec<String> {
    let begun = Instant::now();
    let claim = Claim::new();
    let upstreams = Upstreams::new(claim.place, true);
    let open = |case: &Case| case.open_endpoints().for_each(|(place, port)| upstreams.open(place, port));
    cases.iter().for_each(open);
    let stage =
        |envoy: Envoy| Arc::new(Stage { envoy, upstreams: Arc::clone(&upstreams), place: claim.place, telling });
    let first = stage(Envoy::start(binary, cases, claim.place).await);
    let playing = futures_util::stream::iter(0..cases.len()).map(|at| {
        let (first, cases) = (Arc::clone(&first), Arc::clone(cases));
        let playing = async move { play::differences(&first, &cases[at]).await };
        async move { (at, tokio::spawn(playing).await.unwrap()) }
    });
    let results: Vec<(usize, Vec<String>)> = playing.buffered(AT_ONCE).collect().await;
    drop(first);
    let mut broken = Vec::new();
    for (at, differences) in results.into_iter().filter(|(_, differences)| !differences.is_empty()) {
        let case = &cases[at];
        println!("  played again alone: {}, since {}", case.name, differences.join("; "));
        // What depends on how fast the machine is, or on chance, gets a second one, with the machine to itself.
        let again = stage(Envoy::start(binary, std::slice::from_ref(case), claim.place).await);
        let differences = play::differences(&again, case).await;
        broken.extend(differences.iter().map(|difference| format!("{}: {difference}", case.name)));
    }
    let trouble = upstreams.close().await;
    assert!(trouble.is_empty(), "{trouble:?}");
    let requests: usize = cases.iter().map(Case::requests).sum();
    let took = begun.elapsed().as_secs_f32();
    println!("{} cases, {requests} requests to each side, {took:.1} s", cases.len());
    broken
}
