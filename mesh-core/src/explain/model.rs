//! What an explanation says; plain data that prints as text and serializes as JSON.

use serde::Serialize;

/// A decision, with everything it was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What was asked.
    pub request: Request,
    /// The listener whose table was searched.
    pub listener: Listener,
    /// The virtual host that took the request; none where the host is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost: Option<VirtualHost>,
    /// Why the host is unknown although an object declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<String>,
    /// The routes of the virtual host up to the one that takes the request, in their order.
    pub tried: Vec<Tried>,
    /// How many routes come after it.
    pub not_reached: usize,
    /// Match blocks that have no route for this client at all, and why.
    pub left_out: Vec<LeftOut>,
    /// What is done with the request.
    pub action: Action,
    /// The name of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Where the route's rule stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Place>,
    /// The destinations with their shares; one, where there is nothing to draw.
    pub split: Vec<SplitEntry>,
    /// What the drawn destination comes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// The status the mesh answers with by itself; none where the request is forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The status of gRPC that goes with it; none where the caller does not speak gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u32>,
    /// The response flags that go with it, as Envoy logs them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub flags: String,
    /// Where a redirect leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The request as the destination gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
    /// The limit for the whole exchange; none for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// When it is tried again; none for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Where copies go.
    pub mirrors: Vec<Mirror>,
    /// Whether the port is one of TCP, where only connections are looked at: the request goes on as it came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub carried: bool,
    /// Whether every request is aborted before it is sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub aborted: bool,
    /// Why the request cannot be routed at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
    /// What is injected, and into which share of the requests.
    pub faults: Vec<String>,
    /// What the rule does to the headers of the request, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<String>,
    /// What the rule does to the headers of the answer, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<String>,
    /// What of the request decides about its endpoint, where the destination balances by hash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashed_by: Vec<String>,
    /// What browsers of other origins may do by the rule's `corsPolicy`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cors: Vec<String>,
    /// The body of a direct response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What the policies say of the workloads that it reaches: first those of the gateway that is asked at, then those of
    /// the destination. As far as the documents tell: tokens and addresses of callers are not known in advance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inbound: Vec<Inbound>,
    /// The regular expression that rewrites the path, and what replaces its matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite_by: Option<String>,
}

/// What a workload says to a request, by its policies.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inbound {
    /// The workload: the first part of the service's name, with the labels where not all of its workloads say the same.
    pub workload: String,
    /// As whom the client is known there; none where no mutual TLS is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Which connections its port takes, `STRICT`; empty at a gateway.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// The PeerAuthentication that says so; the object is `default` where none does.
    pub mode_by: Place,
    /// `ALLOW` or `DENY` by a rule, `CUSTOM, asks ..`, or in words where no rule decides.
    pub verdict: String,
    /// The AuthorizationPolicy that decides, if one does.
    pub policy: Place,
    /// The position of its rule, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// What its policies look at that nobody can know in advance: with it they may say something else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<&'static str>,
}

/// The request that was asked about.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: String,
    /// The scheme.
    pub scheme: String,
    /// The authority as the caller writes it.
    pub authority: String,
    /// Path and query, in the form that rules see.
    pub path: String,
    /// The path as it was asked, where it was brought into another form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_as_sent: Option<String>,
    /// The headers that were asked with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The draw of this request: the split reads it as `roll % total`.
    pub roll: u64,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// The Gateways behind it; empty in the mesh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Whether a service, or a gateway's server, has this port.
    pub known: bool,
}

/// A virtual host.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VirtualHost {
    /// Its name, `host:port`.
    pub name: String,
    /// The domain of it that the authority fits.
    pub domain: String,
}

/// Where something was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The object, `VirtualService default/reviews`, or the setting.
    pub object: String,
    /// The field in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// `file:line`; empty where the object came from no file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at: String,
}

/// A route that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tried {
    /// Its index in the virtual host.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The rule it comes from.
    pub rule: Place,
    /// What is in the way; none for the route that takes the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Mismatch>,
}

/// A condition that the request fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mismatch {
    /// What it is about, `header end-user`.
    pub subject: String,
    /// What the rule asks for, `exact "jason"`.
    pub wanted: String,
    /// What the request has.
    pub found: String,
}

/// A match block that has no route.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// The rule.
    pub rule: Place,
    /// Why it is not for this client.
    pub why: String,
}

/// What is done with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// It goes to a destination of a rule or of a service.
    Route,
    /// It is sent elsewhere by an answer.
    Redirect,
    /// The mesh answers.
    Direct,
    /// The host is unknown, and the request goes where it says.
    Passthrough,
    /// Nothing takes it.
    #[default]
    None,
}

/// A destination of a split.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitEntry {
    /// The host in full.
    pub host: String,
    /// The subset; empty for all endpoints.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// The port; 0 for a host that is not known.
    pub port: u16,
    /// Its part of the rolls: from, and below.
    pub rolls: (u64, u64),
    /// Its share of the requests, from 0 to 1.
    pub share: f64,
    /// Whether this request goes there.
    pub drawn: bool,
}

/// What a destination comes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Destination {
    /// The cluster, as Envoy names it.
    pub cluster: String,
    /// Whether it exists; without, the answer is 503 NC.
    pub exists: bool,
    /// What there is not: the host, its port or its subset; empty where it exists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub missing: String,
    /// The labels of the subset, and the rule that defines it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// Where its endpoints come from: `static`, `dns`, `original destination`.
    pub source: String,
    /// The endpoints that are known.
    pub endpoints: Vec<Endpoint>,
    /// What counts for it, and where that was said.
    pub policy: Vec<PolicyLine>,
}

/// A subset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Subset {
    /// Its name.
    pub name: String,
    /// The labels of its endpoints, `version=v1`.
    pub labels: String,
    /// Where it is defined.
    pub place: Place,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// Where it listens, or the name that is looked up.
    pub address: String,
    /// Its weight.
    pub weight: u32,
    /// Where it is, `region/zone/subzone`; empty where nobody said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub locality: String,
    /// Why it gets no requests; empty if it does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unusable: String,
}

/// One thing that counts for a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PolicyLine {
    /// What it is, `load balancer`.
    pub name: String,
    /// Its value in words.
    pub value: String,
    /// Where it was said; the object is `default` where nobody said anything.
    pub place: Place,
}

/// The request as a destination gets it. What the mesh adds when it sends (`x-request-id`, `x-forwarded-proto`,
/// `x-envoy-attempt-count`, trace headers) is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Upstream {
    /// The authority.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// The headers, in their order.
    pub headers: Vec<(String, String)>,
}

/// When a request is tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Retries {
    /// Retries at most.
    pub attempts: u32,
    /// What triggers one.
    pub on: String,
    /// Limit for each try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<String>,
    /// The longest pause before the first retry, and before any.
    pub pauses: String,
    /// Whether endpoints of earlier tries are avoided.
    pub elsewhere: bool,
    /// Whether later tries may go to other localities.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub remote: bool,
    /// How long all tries and the longest pauses between them can take, and whether that fits the timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<String>,
}

/// Where copies of requests go.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Mirror {
    /// The cluster.
    pub cluster: String,
    /// Whether it exists; without, nothing is copied.
    pub exists: bool,
    /// The share of the requests that is copied, in percent.
    pub percent: f64,
    /// Whether this request is copied.
    pub hit: bool,
}
