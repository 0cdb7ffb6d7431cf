//! Bookinfo with the mesh inside.
//!
//! ```text
//! cargo run --release -p bookinfo                               all services in this process, all scenarios
//! cargo run --release -p bookinfo -- --scenario canary-95-5     some of them
//! cargo run --release -p bookinfo -- --serve                    no scenario: stays up for curl
//! bookinfo --role reviews --version v2 --listen 127.0.0.1:9081 --config mesh/base --config mesh/compose
//! ```
#![expect(clippy::print_stdout, reason = "a program that talks to its user")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bookinfo::Result;
use bookinfo::mesh::Membership;
use bookinfo::roles::{self, Instance, Role, Running};
use bookinfo::scenarios::{self, Scenario};
use bookinfo::stage::{Options, SHOP, Stage};
use clap::Parser;
use clap::builder::PossibleValuesParser;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// The book shop of Istio's documentation; every service embeds the mesh as a library.
#[derive(Debug, Parser)]
struct Arguments {
    /// Be one service and serve until told to stop; without it, be all of them and play the scenarios
    #[arg(long, requires = "listen", requires = "config")]
    role: Option<Role>,
    /// Version of the service (its label `version`)
    #[arg(long, default_value = "v1", requires = "role")]
    version: String,
    /// Which of several equal instances
    #[arg(long, default_value = "1", requires = "role")]
    replica: String,
    /// Where to serve; for the gateway, where its port 80 is
    #[arg(long, requires = "role")]
    listen: Option<SocketAddr>,
    /// Where to tell what was counted and to take orders, outside the mesh
    #[arg(long, requires = "role")]
    control: Option<SocketAddr>,
    /// Directory or file of Istio YAML to watch; may be given several times
    #[arg(long, requires = "role")]
    config: Vec<PathBuf>,
    /// Directory of the certificate, its key and the roots, as Istio's agent writes them; without it plaintext is spoken
    #[arg(long, requires = "role")]
    identity: Option<PathBuf>,
    /// Where to serve the admin page and the metrics for Prometheus
    #[arg(long, requires = "role")]
    admin: Option<SocketAddr>,

    /// Play this scenario only; may be given several times
    #[arg(long, value_parser = PossibleValuesParser::new(scenarios::ALL.iter().map(|scenario| scenario.name)))]
    scenario: Vec<String>,
    /// Play nothing and keep everything up for curl
    #[arg(long, conflicts_with_all = ["role", "scenario"])]
    serve: bool,
    /// Requests for each weighted split
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..))]
    requests: u64,
    /// Make chance reproducible
    #[arg(long)]
    seed: Option<u64>,
    /// The folder with `base/` and `scenarios/` for the one-process run
    #[arg(long, default_value_os_t = Options::default().mesh_dir)]
    mesh_dir: PathBuf,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let quiet = if arguments.role.is_some() { "info" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    if let (Some(role), Some(listen)) = (arguments.role, arguments.listen) {
        let running = be(role, listen, &arguments).await?;
        told_to_stop().await?;
        running.stop().await;
        return Ok(ExitCode::SUCCESS);
    }
    let requests = usize::try_from(arguments.requests)?;
    let options = Options { mesh_dir: arguments.mesh_dir, requests, seed: arguments.seed };
    let stage = Stage::open(options).await?;
    let ok = if arguments.serve { serve(&stage).await? } else { play(&stage, &arguments.scenario).await };
    stage.close().await;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One service in this process.
async fn be(role: Role, listen: SocketAddr, arguments: &Arguments) -> Result<Running> {
    let member = Membership {
        role,
        version: arguments.version.clone(),
        config: arguments.config.clone(),
        seed: arguments.seed,
        identity: arguments.identity.clone(),
        admin: arguments.admin,
    };
    if role == Role::Gateway {
        return roles::open_gateway(&member, listen).await;
    }
    let control = match arguments.control {
        Some(address) => Some(TcpListener::bind(address).await?),
        None => None,
    };
    let listener = TcpListener::bind(listen).await?;
    roles::start(Instance { member, replica: arguments.replica.clone(), listener, control }).await
}

/// Plays the scenarios of these names, or all; says whether every figure was as expected.
async fn play(stage: &Stage, names: &[String]) -> bool {
    let start = Instant::now();
    let chosen = |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    let (mut played, mut differing) = (0, Vec::new());
    for scenario in scenarios::ALL.iter().filter(chosen) {
        played += 1;
        match scenario.play(stage).await {
            Ok(outcome) => {
                println!("{outcome}");
                if outcome.is_ok() {
                    continue;
                }
            }
            Err(error) => println!("{}: could not be played: {error}\n", scenario.name),
        }
        differing.push(scenario.name);
    }
    let verdict =
        if differing.is_empty() { "all as asked".to_owned() } else { format!("DIFFERS: {}", differing.join(", ")) };
    println!("{played} scenarios in {:.1} s: {verdict}", start.elapsed().as_secs_f64());
    differing.is_empty()
}

/// Stays up for a person with curl.
async fn serve(stage: &Stage) -> Result<bool> {
    let (gateway, watched) = (stage.gateway(), stage.watched());
    println!("The shop, through the gateway (or http://{gateway}/ with the header Host: {SHOP}):");
    println!("  curl -H 'Host: {SHOP}' http://{gateway}/productpage");
    println!("  curl -H 'Host: {SHOP}' -H 'end-user: jason' http://{gateway}/productpage");
    println!("  curl -H 'Host: {SHOP}' http://{gateway}/api/v1/products/0/reviews");
    println!("  curl -H 'Host: {SHOP}' http://{gateway}/api/v1/products/0/ratings");
    println!("All services watch {}; put a scenario on with", watched.display());
    println!("  cp {}/header-routing.yaml {}/scenario.yaml", stage.scenarios().display(), watched.display());
    println!("What reached each service, counted by itself:");
    for upstream in stage.upstreams() {
        println!("  {:<16} curl http://{}/counts", upstream.name(), upstream.control());
    }
    println!("Ctrl-C ends it.");
    told_to_stop().await?;
    Ok(true)
}

/// Waits for Ctrl-C, or for SIGTERM as docker sends it.
async fn told_to_stop() -> Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
