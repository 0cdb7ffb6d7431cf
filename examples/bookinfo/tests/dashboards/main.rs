//! Whether Istio's stock Grafana boards fill: a real Prometheus scrapes all services, each a process of its own, and is asked
//! what the boards ask it.
//!
//! The boards' queries are Istio's and not part of this repository. They are looked for in `$MESH_CASES`, and where that is
//! not set in a folder `shared` beside the repository, under `spec/dashboard-queries.json`; without them the questions of
//! [`own`] are asked all the same. The binary is `prometheus` of the search path, or what `PROMETHEUS` names; without one the
//! test says so and passes, but not where `CI` is `true`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "of other processes in real time")]

#[path = "../../../../mesh-tower/tests/tls/authority.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod authority;
mod boards;
mod own;
#[path = "../support/process.rs"]
mod process;
mod prometheus;
mod shop;
mod traffic;

use prometheus::Prometheus;
use shop::Shop;
use traffic::Traffic;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_finds_what_istios_dashboards_ask_for() {
    let Some(binary) = prometheus::binary() else { return };
    let shop = Shop::open().await;
    let prometheus = Prometheus::start(&binary, &shop.metrics).await;
    let traffic = Traffic::begin(&shop).await;
    own::while_it_flows(&prometheus).await;
    own::on_our_board(&prometheus).await;
    match boards::queries() {
        Some(queries) => boards::ask(&prometheus, &queries).await,
        None => println!("SKIPPED: the queries of Istio's boards are not there; MESH_CASES says where"),
    }
    let sent = traffic.end().await;
    own::once_it_has_ended(&prometheus, &sent, shop.metrics.len()).await;
}
