//! What a destination comes to: endpoints, and the policy that counts with where it was said.

use mesh_config::api::destination_rule::{DestinationRule, Subset as ApiSubset, TrafficPolicy};
use mesh_config::value::labels;
use mesh_config::{Kind, Object};

use super::{Destination, Endpoint, Explainer, Place, PolicyLine, Subset, spell};
use crate::Failure;
use crate::cluster::policy::{self, EffectivePolicy, PolicyInput};
use crate::cluster::{ClusterId, ClusterKey, ClusterSpec, EndpointSource, Keepalive, PoolSpec, UpstreamProtocol};
use crate::compile::MergedRule;
use crate::lb::{LbSpec, LocalitySpec};
use crate::outlier::OutlierSpec;
use crate::route::ClusterRef;

/// Host, subset and port of `outbound|port|subset|host`.
pub(super) fn parts_of(cluster: &str) -> (&str, &str, u16) {
    let mut parts = cluster.splitn(4, '|').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(port), Some(subset), Some(host)) => (host, subset, port.parse().unwrap_or(0)),
        _ => (cluster, "", 0),
    }
}

impl Destination {
    /// What every request to it is answered with.
    pub(super) fn failure(&self) -> Option<Failure> {
        if !self.exists {
            return Some(Failure::NoCluster);
        }
        (self.source == STATIC && self.endpoints.is_empty()).then_some(Failure::NoHealthyUpstream)
    }
}

const STATIC: &str = "static";

impl Explainer<'_> {
    /// What a cluster comes to: its endpoints, and the policy that counts for it, each part with where it was said.
    pub fn cluster(&self, cluster: ClusterId) -> Destination {
        let name = self.snapshot.cluster(cluster).name.clone();
        self.destination(&ClusterRef { name, id: Some(cluster) })
    }

    pub(super) fn destination(&self, cluster: &ClusterRef) -> Destination {
        let mut out = Destination { cluster: cluster.name.to_string(), ..Destination::default() };
        let Some(spec) = cluster.id.map(|id| self.snapshot.cluster(id)) else {
            out.missing = self.missing(&cluster.name);
            return out;
        };
        out.exists = true;
        (out.source, out.endpoints) = endpoints(spec);
        let ClusterKey::Outbound { port, subset, host } = &spec.key else { return out };
        let rule = self.rule_for(host);
        let of_subset = rule.and_then(|rule| rule.subset(subset)).filter(|_| !subset.is_empty());
        out.subset = of_subset.map(|found| Subset {
            name: found.name.clone(),
            labels: labels::to_line(&found.labels),
            place: self.place_of_subset(found),
        });
        out.policy = self.policy(spec, rule, of_subset, *port);
        out
    }

    /// What there is not of a cluster's host, port and subset.
    fn missing(&self, cluster: &str) -> String {
        let (host, subset, port) = parts_of(cluster);
        if !self.sight.registry.exists(host) {
            return format!("no service has the host {host}");
        }
        if !self.sight.offers(host, port)
            && let Some(why) = self.sight.why_hidden(host, false, self.site)
        {
            return format!("{host} {why}");
        }
        let mut ports = self.sight.registry.declarations(host).flat_map(|service| &service.ports);
        if !ports.any(|known| known.number == port) {
            return format!("{host} has no port {port}");
        }
        match self.rule_for(host) {
            _ if subset.is_empty() => "it has no cluster".to_owned(),
            None => format!("no DestinationRule that counts here is for {host}, so it has no subset {subset}"),
            Some(_) => format!("no DestinationRule for {host} has a subset {subset}"),
        }
    }

    /// A subset belongs to the rule in which it stands, which is not always the one whose policy counts.
    fn owner_of(&self, subset: &ApiSubset) -> Option<(&Object<DestinationRule>, usize)> {
        self.set.destination_rules().find_map(|rule| {
            let index = rule.spec.subsets.iter().position(|own| std::ptr::eq(own, subset))?;
            Some((rule, index))
        })
    }

    fn place_of_subset(&self, subset: &ApiSubset) -> Place {
        let Some((rule, index)) = self.owner_of(subset) else { return Place::default() };
        self.place_in(rule, &format!("spec.subsets[{index}]"))
    }

    fn place_in(&self, rule: &Object<DestinationRule>, field: &str) -> Place {
        self.place(Kind::DestinationRule, &rule.meta.namespace, &rule.meta.name, field)
    }

    fn policy(
        &self,
        spec: &ClusterSpec,
        rule: Option<&MergedRule<'_>>,
        subset: Option<&ApiSubset>,
        port: u16,
    ) -> Vec<PolicyLine> {
        let input = PolicyInput {
            top: rule.and_then(MergedRule::policy),
            subset: subset.and_then(|subset| subset.traffic_policy.as_ref()),
            port,
            mesh_default: self.mesh.default_traffic_policy.as_ref(),
        };
        let effective = policy::effective(&input);
        let levels = Levels { explainer: self, rule, subset, port };
        let mut lines = Vec::new();
        let mut add = |name: &str, value: String, place: Place| {
            lines.push(PolicyLine { name: name.to_owned(), value, place });
        };
        add(
            "load balancer",
            balancer(spec),
            levels.place("loadBalancer", |level| address(level.load_balancer), &effective),
        );
        let pool = levels.place("connectionPool", |level| address(level.connection_pool), &effective);
        for (name, value) in pool_lines(spec) {
            add(name, value, pool.clone());
        }
        if let Some(outlier) = &spec.outlier {
            let place = levels.place("outlierDetection", |level| address(level.outlier_detection), &effective);
            add("outlier detection", outlier_line(outlier), place);
        }
        if let Some(mode) = spec.tls.describe() {
            add("tls", mode.to_owned(), levels.place("tls", |level| address(level.tls), &effective));
        }
        if let Some(budget) = &spec.budget {
            add(
                "retry budget",
                budget.to_string(),
                levels.place("retryBudget", |level| address(level.retry_budget), &effective),
            );
        }
        lines
    }
}

/// The places in which a policy may stand, the nearest first.
struct Levels<'e, 'a> {
    explainer: &'e Explainer<'a>,
    rule: Option<&'e MergedRule<'a>>,
    subset: Option<&'e ApiSubset>,
    port: u16,
}

impl Levels<'_, '_> {
    /// Where the block stands that counts.
    fn place(
        &self,
        block: &str,
        of: impl Fn(&EffectivePolicy<'_>) -> Option<usize>,
        effective: &EffectivePolicy<'_>,
    ) -> Place {
        let Some(counts) = of(effective) else {
            return Place { object: "default".to_owned(), ..Place::default() };
        };
        let stands_in = |policy: &TrafficPolicy| -> Option<String> {
            if of(&EffectivePolicy::of_policy(policy)) == Some(counts) {
                return Some(block.to_owned());
            }
            let entries = policy.port_level_settings.iter().enumerate();
            let mut own =
                entries.filter(|(_, entry)| entry.port.as_ref().is_some_and(|p| p.number == u32::from(self.port)));
            let (index, _) = own.find(|(_, entry)| of(&EffectivePolicy::of_port(entry)) == Some(counts))?;
            Some(format!("portLevelSettings[{index}].{block}"))
        };
        if let Some(field) = self.subset.and_then(|subset| subset.traffic_policy.as_ref()).and_then(stands_in)
            && let Some((rule, index)) = self.subset.and_then(|subset| self.explainer.owner_of(subset))
        {
            return self.explainer.place_in(rule, &format!("spec.subsets[{index}].trafficPolicy.{field}"));
        }
        if let Some((policy, rule)) = self.rule.and_then(MergedRule::policy_and_owner)
            && let Some(field) = stands_in(policy)
        {
            return self.explainer.place_in(rule, &format!("spec.trafficPolicy.{field}"));
        }
        Place { object: "MeshConfig".to_owned(), field: format!("defaultTrafficPolicy.{block}"), at: String::new() }
    }
}

/// What tells two blocks apart that may be equal.
fn address<T>(block: Option<&T>) -> Option<usize> {
    block.map(|block| std::ptr::from_ref(block).addr())
}

fn endpoints(spec: &ClusterSpec) -> (String, Vec<Endpoint>) {
    match &spec.endpoints {
        EndpointSource::Static(endpoints) => {
            let of = |endpoint: &crate::cluster::EndpointSpec| Endpoint {
                address: endpoint.address.to_string(),
                weight: endpoint.weight,
                locality: endpoint.locality.to_string(),
                unusable: String::new(),
            };
            (STATIC.to_owned(), endpoints.iter().map(of).collect())
        }
        EndpointSource::Dns { targets, logical, refresh } => {
            let of = |target: &crate::cluster::DnsTarget| Endpoint {
                address: format!("{}:{}", target.host, target.port),
                weight: target.weight,
                locality: target.locality.to_string(),
                unusable: String::new(),
            };
            let source = if *logical { "the first address" } else { "every address" };
            let source = format!("dns, {source}, looked up every {}", spell(*refresh));
            (source, targets.iter().map(of).collect())
        }
        EndpointSource::OriginalDestination { port: None } => ("original destination".to_owned(), Vec::new()),
        EndpointSource::OriginalDestination { port: Some(port) } => {
            (format!("original destination, at port {port}"), Vec::new())
        }
    }
}

fn balancer(spec: &ClusterSpec) -> String {
    let name = match spec.lb {
        LbSpec::LeastRequest => "LEAST_REQUEST".to_owned(),
        LbSpec::Random => "RANDOM".to_owned(),
        LbSpec::RoundRobin => "ROUND_ROBIN".to_owned(),
        LbSpec::RingHash { minimum_size } => format!("RING_HASH of {minimum_size} entries at least"),
        LbSpec::Maglev { table_size } => format!("MAGLEV of {table_size} places"),
    };
    let locality = match &spec.locality {
        LocalitySpec { shares, .. } if !shares.is_empty() => {
            let shares: Vec<_> = shares.iter().map(|(place, percent)| format!("{place} {percent} %")).collect();
            format!(", shares by locality: {}", shares.join(", "))
        }
        LocalitySpec { failover: Some(failover), .. } if !failover.labels.is_empty() => {
            let labels: Vec<_> = failover.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!(", by labels in order: {}", labels.join(", "))
        }
        LocalitySpec { failover: Some(failover), .. } => {
            let region = failover.takes_over.as_ref().map(|region| format!(", then {region}")).unwrap_or_default();
            format!(", near endpoints first{region}")
        }
        _ => String::new(),
    };
    let warm_up = spec.warm_up.map(|warm_up| format!(", new ones warm up for {}", spell(warm_up.window)));
    let protocol = match spec.protocol {
        UpstreamProtocol::Http1 => "HTTP/1.1",
        UpstreamProtocol::Http2 => "HTTP/2",
        UpstreamProtocol::FollowCaller => "the caller's protocol",
        UpstreamProtocol::Unset => "the caller's protocol, at a gateway HTTP/1.1",
    };
    format!("{name}{locality}{}, {protocol}", warm_up.unwrap_or_default())
}

fn pool_lines(spec: &ClusterSpec) -> Vec<(&'static str, String)> {
    let mut lines = vec![("connect timeout", spell(spec.connect_timeout))];
    let limits = [
        ("connections", spec.limits.connections),
        ("waiting requests", spec.limits.pending_requests),
        ("requests", spec.limits.requests),
        ("retries", spec.limits.retries),
    ];
    let set: Vec<_> =
        limits.iter().filter(|(_, limit)| *limit != u32::MAX).map(|(name, limit)| format!("{limit} {name}")).collect();
    if !set.is_empty() {
        lines.push(("limits", set.join(", ")));
    }
    let PoolSpec {
        max_requests_per_connection,
        idle_timeout,
        max_connection_duration,
        keepalive,
        max_concurrent_streams,
        pings,
    } = &spec.pool;
    let usual = PoolSpec::default();
    if *max_requests_per_connection > 0 {
        lines.push(("requests per connection", max_requests_per_connection.to_string()));
    }
    if *idle_timeout != usual.idle_timeout {
        lines.push(("idle connections kept", idle_timeout.map_or_else(|| "for ever".to_owned(), spell)));
    }
    if let Some(age) = max_connection_duration {
        lines.push(("connection age", spell(*age)));
    }
    if *max_concurrent_streams != usual.max_concurrent_streams {
        lines.push(("streams per connection", max_concurrent_streams.to_string()));
    }
    if let Some(keepalive) = keepalive {
        lines.push(("keep-alive", keepalive_line(keepalive)));
    }
    if let Some(pings) = pings {
        let line = format!("every {}, answered within {}", spell(pings.interval), spell(pings.timeout));
        lines.push(("HTTP/2 pings", line));
    }
    lines
}

fn keepalive_line(keepalive: &Keepalive) -> String {
    let parts = [
        keepalive.time.map(|time| format!("after {}", spell(time))),
        keepalive.interval.map(|interval| format!("every {}", spell(interval))),
        keepalive.probes.map(|probes| format!("{probes} probes")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "as the operating system has it".to_owned() } else { parts.join(", ") }
}

fn outlier_line(spec: &OutlierSpec) -> String {
    let mut causes = Vec::new();
    for (count, what) in [
        (spec.consecutive_5xx, "5xx"),
        (spec.consecutive_gateway, "gateway errors"),
        (if spec.split_local_origin { spec.consecutive_local } else { 0 }, "local failures"),
    ] {
        if count > 0 {
            causes.push(format!("{count} {what} in a row"));
        }
    }
    let mut line = format!(
        "{}: out for {}, swept every {}, {} % at most",
        if causes.is_empty() { "never".to_owned() } else { causes.join(" or ") },
        spell(spec.base_ejection),
        spell(spec.interval),
        spec.max_ejection_percent
    );
    if spec.min_health_percent > 0 {
        line.push_str(&format!(", all used below {} % healthy", spec.min_health_percent));
    }
    if !spec.error_codes.is_empty() {
        let codes: Vec<_> = spec.error_codes.iter().map(ToString::to_string).collect();
        line.push_str(&format!(", errors are {}", codes.join(", ")));
    }
    line
}
