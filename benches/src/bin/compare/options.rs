//! The command line.

use std::fmt;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Compares the mesh's client with a bare hyper-util client on loopback.
#[derive(Debug, Parser)]
#[command(about, long_about = None)]
pub(crate) struct Options {
    /// Length of one measurement; there are two a round and protocol. Short and many: what else happens on
    /// the machine, or under it, then mostly hits both sides of a round
    #[arg(long, default_value_t = 0.2, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Paired measurements per protocol
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Requests in flight
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,
    /// Worker threads of the caller, and as many of the servers
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Size of a response body
    #[arg(long, default_value_t = 64)]
    pub(crate) response_bytes: usize,
    /// Print every window as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Exit with 1 when the median throughput ratio on HTTP/1.1 is below this
    #[arg(long, value_name = "RATIO")]
    pub(crate) fail_under: Option<f64>,
    /// Have the bare caller send the headers that the mesh adds, so that the servers get the same from
    /// both: what is left is the cost of deciding
    #[arg(long)]
    pub(crate) same_wire: bool,
    /// Conditions of the retries; Istio's default list unless given. One that asks for more than
    /// connections that were not made, such as `5xx,reset`, makes the mesh keep each request
    #[arg(long, value_name = "LIST")]
    pub(crate) retry_on: Option<String>,
    /// Send so many requests by one caller alone and print nothing: for instruments that count
    /// over a whole process, such as `valgrind --tool=callgrind` and `perf record`
    #[arg(long, value_name = "REQUESTS", requires = "caller")]
    pub(crate) solo: Option<u64>,
    /// Which caller sends them
    #[arg(long, value_enum, requires = "solo")]
    pub(crate) caller: Option<Side>,
    /// What is spoken then
    #[arg(long, value_enum, default_value = "http1", requires = "solo")]
    pub(crate) protocol: Protocol,
    /// Be the servers: what this program starts itself as
    #[arg(long, hide = true)]
    pub(crate) upstream: bool,
}

impl Options {
    /// Length of one measurement.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        Ok(_) => Err("must lie between 0.01 and 3600".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Which of the two callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// The hyper-util client without a mesh.
    Bare,
    /// Our client.
    Mesh,
}

/// What is spoken to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// HTTP/1.1, one request per connection at a time.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl Protocol {
    /// Its name as a port of a service spells it.
    pub(crate) const fn port_name(self) -> &'static str {
        match self {
            Self::Http1 => "http",
            Self::Http2 => "http2",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}
