//! What was recorded: a configuration, requests, and what became of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Headers in order, repeats included.
pub(crate) type Headers = Vec<(String, String)>;

/// One file.
#[derive(Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) config: String,
    /// Fields of MeshConfig.
    pub(crate) mesh: Option<Value>,
    #[serde(default)]
    pub(crate) clients: Vec<Workload>,
    pub(crate) gateway: Option<Workload>,
    /// The scenario is about the receiving side.
    pub(crate) inbound: Option<Workload>,
    /// Where its calls were made to.
    pub(crate) inbound_address: Option<String>,
    /// One for each document.
    pub(crate) validation: Vec<Verdict>,
    /// The configuration is one that Envoy does not load.
    pub(crate) refused_by_proxy: Option<Value>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Workload {
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) namespace: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) locality: Option<String>,
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) accepted: bool,
}

/// A request, or several of the same, or a pause.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    /// A pause, such as `1300ms`.
    pub(crate) wait: Option<String>,
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) client: Option<String>,
    #[serde(default)]
    pub(crate) port: u16,
    #[serde(default = "get")]
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) authority: String,
    #[serde(default = "slash")]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: Headers,
    pub(crate) body: Option<String>,
    pub(crate) http: Option<u8>,
    #[serde(default)]
    pub(crate) grpc: bool,
    #[serde(default)]
    pub(crate) upstream: Vec<String>,
    #[serde(default)]
    pub(crate) upstream_at: BTreeMap<String, Vec<String>>,
    pub(crate) repeat: Option<usize>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) stagger_ms: Option<u64>,
    #[serde(default)]
    pub(crate) tls: bool,
    /// The server name that is asked for.
    pub(crate) sni: Option<String>,
    /// The identity of the caller's certificate; plaintext without one.
    pub(crate) peer: Option<String>,
    /// The claims of a token that comes with it.
    pub(crate) jwt: Option<Value>,
    /// Which key signed it: `good`, `other`, `none`.
    pub(crate) jwt_key: Option<String>,
    /// Where it is, such as `param:tok`.
    pub(crate) jwt_in: Option<String>,
    /// Why this is not to be compared.
    pub(crate) skip: Option<String>,
    #[serde(default)]
    pub(crate) racy: bool,
    #[serde(default)]
    pub(crate) unstable: bool,
    #[serde(default)]
    pub(crate) alternatives: Vec<Observed>,
    #[serde(default)]
    pub(crate) varies: Vec<String>,
    pub(crate) observed: Option<Observed>,
}

fn get() -> String {
    "GET".into()
}

fn slash() -> String {
    "/".into()
}

impl Step {
    pub(crate) fn is_http2(&self) -> bool {
        self.grpc || self.http == Some(2)
    }
}

/// What became of a step.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Observed {
    /// There was nobody to talk to.
    pub(crate) note: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) headers: Option<Headers>,
    pub(crate) trailers: Option<Headers>,
    pub(crate) body: Option<String>,
    pub(crate) upstream: Option<Vec<Arrival>>,
    pub(crate) mirrored: Option<Vec<Arrival>>,
    pub(crate) route: Option<String>,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) flags: Option<String>,
    pub(crate) attempts: Option<u32>,
    pub(crate) details: Option<String>,
    /// Of several requests: how often each outcome was seen.
    pub(crate) counts: Option<Vec<Count>>,
    #[serde(default)]
    pub(crate) samples: Vec<Observed>,
    #[serde(default)]
    pub(crate) other_runs: Vec<Vec<Count>>,
    #[serde(default)]
    pub(crate) endpoints: BTreeMap<String, usize>,
    pub(crate) sequence: Option<Vec<(Value, Option<String>, Vec<String>)>>,
}

/// What an endpoint saw.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) endpoint: String,
    pub(crate) proto: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) headers: Headers,
    pub(crate) body: String,
    /// Any of these would have been right.
    pub(crate) one_of: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cluster {
    Outbound { port: u16, subset: String, host: String },
    Named(String),
}

impl Cluster {
    /// As Envoy writes it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Outbound { port, subset, host } => format!("outbound|{port}|{subset}|{host}"),
            Self::Named(name) => name.clone(),
        }
    }
}

/// How often an outcome was seen.
#[derive(Debug, Deserialize)]
pub(crate) struct Count {
    /// A number, or the error.
    status: Value,
    #[serde(default)]
    grpc: Value,
    flags: Option<String>,
    host: Option<String>,
    subset: Option<String>,
    attempts_seen: usize,
    mirrors_seen: usize,
    pub(crate) n: usize,
}

/// What makes two outcomes the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sort {
    pub(crate) status: String,
    pub(crate) grpc: String,
    pub(crate) flags: String,
    pub(crate) host: String,
    pub(crate) subset: String,
    pub(crate) attempts: usize,
    pub(crate) mirrors: usize,
}

impl Count {
    /// Whether it is known how the requests went.
    pub(crate) fn has_way(&self) -> bool {
        self.flags.is_some()
    }

    pub(crate) fn sort(&self) -> Sort {
        Sort {
            status: if self.status.is_u64() { plain(&self.status) } else { "error".into() },
            grpc: plain(&self.grpc),
            flags: self.flags.clone().unwrap_or_default(),
            host: self.host.clone().unwrap_or_default(),
            subset: self.subset.clone().unwrap_or_default(),
            attempts: self.attempts_seen,
            mirrors: self.mirrors_seen,
        }
    }
}

/// A number or a text, without quotes; nothing for null.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
