//! How long a large configuration takes to be read, checked and analyzed, and how much memory.
//!
//! ```text
//! cargo run --release -p benches --bin load_config            # 10,000 VirtualServices
//! cargo run --release -p benches --bin load_config -- 1000
//! ```
//!
//! Each VirtualService has some thirty lines and nothing wrong with it. With `--all` it splits between two subsets, and a
//! DestinationRule and a ServiceEntry that define them stand beside it: three times as many documents.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::fmt::Write;
use std::time::Instant;

use mesh_config::{ConfigSet, parse};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let all = arguments.iter().any(|argument| argument == "--all");
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let text = text(count, all);
    println!(
        "{count} VirtualServices{}, {} KiB of YAML",
        if all { " and what they name" } else { "" },
        text.len() >> 10
    );

    let begin = Instant::now();
    let (documents, report) = parse("many.yaml", &text);
    let parsed = begin.elapsed();
    let (set, duplicates) = ConfigSet::from_documents(documents);
    let collected = begin.elapsed();
    let validated = set.validate();
    let checked = begin.elapsed();
    let analyzed = set.analyze();
    let done = begin.elapsed();

    println!("parse     {:>8.1} ms  {} findings", parsed.as_secs_f64() * 1e3, report.len());
    println!("collect   {:>8.1} ms  {} findings", (collected - parsed).as_secs_f64() * 1e3, duplicates.len());
    println!("validate  {:>8.1} ms  {} findings", (checked - collected).as_secs_f64() * 1e3, validated.len());
    println!("analyze   {:>8.1} ms  {} findings", (done - checked).as_secs_f64() * 1e3, analyzed.len());
    println!("all       {:>8.1} ms  {} objects", done.as_secs_f64() * 1e3, set.len());
    if let Some(peak) = peak_memory() {
        println!("peak resident memory {peak} KiB");
    }
}

/// `VmHWM` of this process, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn text(count: usize, all: bool) -> String {
    let mut text = String::new();
    for index in 0..count {
        let written = write_service(&mut text, index, all)
            .and_then(|()| if all { write_others(&mut text, index) } else { Ok(()) });
        assert!(written.is_ok(), "a string takes what is written to it");
    }
    text
}

fn write_service(out: &mut String, index: usize, subsets: bool) -> std::fmt::Result {
    let destination = |version: &str| match subsets {
        true => format!("{{host: service-{index}.shop.svc.cluster.local, subset: {version}}}"),
        false => format!("{{host: service-{index}-{version}.shop.svc.cluster.local}}"),
    };
    write!(
        out,
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: service-{index}
  namespace: shop
  labels: {{app: service-{index}, team: team-{team}}}
spec:
  hosts:
  - service-{index}.shop.svc.cluster.local
  http:
  - name: canary
    match:
    - headers:
        x-canary: {{exact: \"true\"}}
      uri: {{prefix: /api/v{version}/}}
    route:
    - destination: {second}
    timeout: 5s
    retries:
      attempts: 3
      retryOn: connect-failure,refused-stream
  - name: default
    route:
    - destination: {first}
      weight: 90
    - destination: {second}
      weight: 10
    headers:
      request: {{set: {{x-route: default}}}}
",
        team = index % 50,
        version = index % 7,
        first = destination("v1"),
        second = destination("v2"),
    )
}

fn write_others(out: &mut String, index: usize) -> std::fmt::Result {
    write!(
        out,
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: service-{index}, namespace: shop}}
spec:
  host: service-{index}.shop.svc.cluster.local
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: service-{index}, namespace: shop}}
spec:
  hosts: [service-{index}.shop.svc.cluster.local]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints:
  - {{address: 10.{high}.{low}.1, labels: {{version: v1}}}}
  - {{address: 10.{high}.{low}.2, labels: {{version: v2}}}}
",
        high = index / 250,
        low = index % 250,
    )
}
