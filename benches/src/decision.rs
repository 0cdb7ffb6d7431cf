//! The decision about a request, ready to be measured: which rule, which destination, which endpoint.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderValue, InvalidHeaderValue, USER_AGENT};
use mesh_config::api::MeshConfig;
use mesh_config::document::{ParseOptions, parse_with};
use mesh_config::{ConfigSet, Report};
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{ClusterSpec, EndpointAddress, EndpointSource, EndpointSpec};
use mesh_core::lb::{Cursors, HostSet, LbSpec, Pick};
use mesh_core::{PeerView, RequestView, Rng, Scheme, Site, Snapshot, SplitMix64};

const HOST: &str = "api.example";
const PORT: u16 = 8080;
const TENANT: &str = "x-tenant";

/// What the rules of a configuration match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Every rule has an exact path.
    Exact,
    /// Every rule has a path prefix.
    Prefix,
    /// Every rule has a regular expression for the path.
    Regex,
    /// Every rule has a header and says nothing of the path.
    HeaderOnly,
}

impl Shape {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Prefix, Self::Regex, Self::HeaderOnly];

    /// Its name in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Regex => "regex",
            Self::HeaderOnly => "header_only",
        }
    }

    /// The match block of rule `number`, as YAML.
    fn condition(self, number: usize) -> String {
        match self {
            Self::Exact => format!("uri: {{ exact: /items/{number}/details }}"),
            Self::Prefix => format!("uri: {{ prefix: /items/{number}/ }}"),
            Self::Regex => format!("uri: {{ regex: '/items/{number}/[a-z]+' }}"),
            Self::HeaderOnly => format!("headers: {{ {TENANT}: {{ exact: tenant-{number} }} }}"),
        }
    }
}

/// The documents of one service with `rules` rules, each of which splits 90/10 over two subsets of
/// five endpoints.
pub fn documents(shape: Shape, rules: usize) -> String {
    let mut text = format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: api, namespace: default }}
spec:
  hosts: [{HOST}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{ number: {PORT}, name: http, protocol: HTTP }}]
  endpoints:
"
    );
    for number in 0..10 {
        let version = if number % 2 == 0 { "v1" } else { "v2" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  - {{ address: 192.0.2.{number}, labels: {{ version: {version} }} }}");
    }
    let _ = write!(
        text,
        "\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: api, namespace: default }}
spec:
  host: {HOST}
  subsets:
  - {{ name: v1, labels: {{ version: v1 }} }}
  - {{ name: v2, labels: {{ version: v2 }} }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: api, namespace: default }}
spec:
  hosts: [{HOST}]
  http:
"
    );
    for number in 0..rules {
        let condition = shape.condition(number);
        let _ = writeln!(text, "  - name: rule-{number}");
        let _ = writeln!(text, "    match: [{{ {condition} }}]");
        let _ = writeln!(text, "    route:");
        for (subset, weight) in [("v1", 90), ("v2", 10)] {
            let _ = writeln!(text, "    - {{ destination: {{ host: {HOST}, subset: {subset} }}, weight: {weight} }}");
        }
    }
    text
}

/// A compiled configuration and a request to decide about.
#[derive(Debug)]
pub struct Decision {
    snapshot: Snapshot,
    /// By cluster, as the snapshot counts them.
    hosts: Vec<HostSet>,
    path: String,
    headers: HeaderMap,
    now: Instant,
}

impl Decision {
    /// Prepares `rules` rules and a request that only the last of them takes.
    ///
    /// # Errors
    /// What is wrong with the configuration, or that the request goes elsewhere.
    pub fn new(shape: Shape, rules: usize) -> Result<Self, String> {
        let set = parsed(&documents(shape, rules))?;
        let snapshot = compiled(&set)?;
        let last = rules.saturating_sub(1);
        let decision = Self {
            hosts: snapshot.clusters().iter().map(|spec| host_set(spec)).collect(),
            snapshot,
            path: format!("/items/{last}/details"),
            headers: headers(last).map_err(|error| error.to_string())?,
            now: Instant::now(),
        };
        decision.check(&format!("rule-{last}"))?;
        Ok(decision)
    }

    /// The rule, the destination and the endpoint of the request; `None` where one is missing.
    pub fn decide(&self, rng: &mut dyn Rng) -> Option<&Arc<EndpointState>> {
        let routed = self.snapshot.route(&self.request(), rng).ok()?;
        let cluster = self.snapshot.destination(routed)?.cluster.id?;
        let hosts = &self.hosts[cluster.0 as usize];
        hosts.host(hosts.pick(&Pick::first(self.now), rng)?)
    }

    /// Whether the expected rule takes the request and there is an endpoint for it.
    fn check(&self, expected: &str) -> Result<(), String> {
        let mut rng = SplitMix64::new(1);
        let routed = self.snapshot.route(&self.request(), &mut rng).map_err(|failure| format!("{failure:?}"))?;
        let name = &self.snapshot.rule(routed.route).name;
        if **name != *expected {
            return Err(format!("{name:?} took the request, not {expected:?}"));
        }
        self.decide(&mut rng).map(|_| ()).ok_or_else(|| "no endpoint".into())
    }

    fn request(&self) -> RequestView<'_> {
        RequestView {
            method: &Method::GET,
            scheme: Scheme::Http,
            authority: HOST,
            path: &self.path,
            query: Some("page=1"),
            headers: &self.headers,
            peer: PeerView::default(),
            port: PORT,
        }
    }
}

/// Parses and validates documents.
///
/// # Errors
/// The errors that were found.
pub fn parsed(text: &str) -> Result<ConfigSet, String> {
    // Ten thousand rules in one object are more than Kubernetes would store.
    let mut options = ParseOptions::default();
    options.limits.max_nodes = 1_000_000;
    let (documents, report) = parse_with("decision.yaml", text, &options);
    refuse_errors(&report)?;
    let (set, _) = ConfigSet::from_documents(documents);
    refuse_errors(&set.validate())?;
    Ok(set)
}

/// Compiles a set for a workload without labels.
///
/// # Errors
/// The errors that were found.
pub fn compiled(set: &ConfigSet) -> Result<Snapshot, String> {
    let compiled = mesh_core::compile(set, &MeshConfig::default(), &Site::default());
    refuse_errors(&compiled.report)?;
    Ok(compiled.snapshot)
}

/// A number of endpoints of equal weight to choose from.
pub fn endpoints(lb: LbSpec, count: u16) -> HostSet {
    let address = |port| EndpointAddress::Socket((Ipv4Addr::LOCALHOST, port).into());
    let hosts = (1..=count).map(|port| Arc::new(EndpointState::new(EndpointSpec::at(address(port)))));
    HostSet::new(&lb.into(), hosts.collect(), &Cursors::default(), Instant::now())
}

fn host_set(spec: &ClusterSpec) -> HostSet {
    let endpoints = match &spec.endpoints {
        EndpointSource::Static(endpoints) => endpoints.as_slice(),
        _ => &[],
    };
    let hosts = endpoints.iter().map(|endpoint| Arc::new(EndpointState::new(endpoint.clone())));
    HostSet::new(&spec.balance(), hosts.collect(), &Cursors::default(), Instant::now())
}

fn refuse_errors(report: &Report) -> Result<(), String> {
    report.errors().next().map_or(Ok(()), |error| Err(error.to_string()))
}

fn headers(number: usize) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("decision/1"));
    headers.insert(TENANT, HeaderValue::try_from(format!("tenant-{number}"))?);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_every_shape_finds_the_last_rule_and_an_endpoint() {
        for shape in Shape::ALL {
            for rules in [1, 10, 100] {
                let prepared = Decision::new(shape, rules).map(drop);
                assert_eq!(prepared, Ok(()), "{} with {rules} rules", shape.name());
            }
        }
    }

    #[test]
    fn a_configuration_with_an_error_is_refused() {
        assert!(parsed(&documents(Shape::Regex, 1).replace("[a-z]+", "[a-z")).is_err());
    }
}
