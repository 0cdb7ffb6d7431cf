//! Which traffic policy counts for a subset and a port, and what it makes of a cluster.
//!
//! Blocks are replaced as wholes, never merged field by field: a subset that sets `connectionPool`
//! loses nothing of the rule's `outlierDetection`, but everything of its `connectionPool`. A
//! `portLevelSettings` entry replaces all four of its blocks, those it leaves out included.

use std::time::Duration;

use mesh_config::api::destination_rule::{
    ConnectionPoolSettings, ConsistentHashLb, H2UpgradePolicy, LoadBalancerSettings, OutlierDetection,
    PortTrafficPolicy, RetryBudget, SimpleLb, TcpKeepalive, TrafficPolicy,
};
use mesh_config::api::mesh_config::{DefaultTrafficPolicy, MeshH2UpgradePolicy};
use mesh_config::api::tls::ClientTlsSettings;
use mesh_config::value;

use super::{ClusterSpec, EndpointSource, Keepalive, Pings, TlsSpec, UpstreamProtocol};
use crate::lb::{LbSpec, WarmUp};
use crate::limits::Limits;
use crate::outlier::OutlierSpec;
use crate::retry::budget::BudgetSpec;

/// Where the policy of a cluster may stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyInput<'a> {
    /// The rule's `trafficPolicy`.
    pub top: Option<&'a TrafficPolicy>,
    /// The subset's.
    pub subset: Option<&'a TrafficPolicy>,
    /// The port of the cluster.
    pub port: u16,
    /// What fills in blocks that are still unset.
    pub mesh_default: Option<&'a DefaultTrafficPolicy>,
}

/// The blocks that count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EffectivePolicy<'a> {
    /// How an endpoint is chosen.
    pub load_balancer: Option<&'a LoadBalancerSettings>,
    /// Limits and timeouts of connections.
    pub connection_pool: Option<&'a ConnectionPoolSettings>,
    /// When an endpoint is left out.
    pub outlier_detection: Option<&'a OutlierDetection>,
    /// Encryption.
    pub tls: Option<&'a ClientTlsSettings>,
    /// How many retries may be under way.
    pub retry_budget: Option<&'a RetryBudget>,
}

impl<'a> EffectivePolicy<'a> {
    /// Whether HTTP/2 is spoken to an HTTP port of its own accord: what the rule says, else what the
    /// mesh does.
    pub fn upgrades_to_http2(&self, mesh: MeshH2UpgradePolicy) -> bool {
        let rule = self.connection_pool.and_then(|pool| pool.http.as_ref()).map(|http| http.h2_upgrade_policy);
        match rule.unwrap_or_default() {
            H2UpgradePolicy::Upgrade => true,
            H2UpgradePolicy::DoNotUpgrade => false,
            H2UpgradePolicy::Default => mesh == MeshH2UpgradePolicy::Upgrade,
        }
    }

    pub(crate) fn of_policy(policy: &'a TrafficPolicy) -> Self {
        Self {
            load_balancer: policy.load_balancer.as_ref(),
            connection_pool: policy.connection_pool.as_ref(),
            outlier_detection: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            retry_budget: policy.retry_budget.as_ref(),
        }
    }

    pub(crate) fn of_port(policy: &'a PortTrafficPolicy) -> Self {
        Self {
            load_balancer: policy.load_balancer.as_ref(),
            connection_pool: policy.connection_pool.as_ref(),
            outlier_detection: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            retry_budget: None,
        }
    }
}

/// The blocks that count for a subset and a port.
pub fn effective<'a>(input: &PolicyInput<'a>) -> EffectivePolicy<'a> {
    let (base, _) = input.top.map(|policy| at_port(policy, input.port)).unwrap_or_default();
    let mut effective = match input.subset.map(|policy| at_port(policy, input.port)) {
        None => base,
        Some((own, true)) => EffectivePolicy { retry_budget: own.retry_budget.or(base.retry_budget), ..own },
        Some((own, false)) => EffectivePolicy {
            load_balancer: own.load_balancer.or(base.load_balancer),
            connection_pool: own.connection_pool.or(base.connection_pool),
            outlier_detection: own.outlier_detection.or(base.outlier_detection),
            tls: own.tls.or(base.tls),
            retry_budget: own.retry_budget.or(base.retry_budget),
        },
    };
    if let Some(default) = input.mesh_default {
        effective.connection_pool = effective.connection_pool.or(default.connection_pool.as_ref());
        effective.outlier_detection = effective.outlier_detection.or(default.outlier_detection.as_ref());
    }
    effective
}

/// The blocks of a policy for a port, and whether they are those of a `portLevelSettings` entry.
fn at_port(policy: &TrafficPolicy, port: u16) -> (EffectivePolicy<'_>, bool) {
    let of_port = |entry: &&PortTrafficPolicy| entry.port.as_ref().is_some_and(|p| p.number == u32::from(port));
    match policy.port_level_settings.iter().find(of_port) {
        Some(entry) => (EffectivePolicy::of_port(entry), true),
        None => (EffectivePolicy::of_policy(policy), false),
    }
}

/// Puts a policy into a cluster.
pub fn apply(policy: &EffectivePolicy<'_>, spec: &mut ClusterSpec) {
    if let Some(balancer) = policy.load_balancer {
        apply_balancer(balancer, spec);
    }
    if let Some(pool) = policy.connection_pool {
        apply_pool(pool, spec);
    }
    spec.outlier = policy.outlier_detection.map(outlier);
    spec.tls = policy.tls.map_or(TlsSpec::Plaintext, TlsSpec::of);
    spec.budget = policy.retry_budget.map(|budget| BudgetSpec {
        percent: budget.percent.unwrap_or(20.0),
        min_concurrency: if budget.min_retry_concurrency == 0 { 3 } else { budget.min_retry_concurrency },
        interval: budget.budget_interval.map(|interval| interval.to_std()),
    });
    if spec.budget.is_some() {
        // The budget stands in place of `maxRetries`.
        spec.limits.retries = u32::MAX;
    }
}

fn apply_balancer(balancer: &LoadBalancerSettings, spec: &mut ClusterSpec) {
    spec.warm_up = WarmUp::lower(balancer);
    spec.lb = match (balancer.simple, &balancer.consistent_hash) {
        (Some(SimpleLb::RoundRobin), _) => LbSpec::RoundRobin,
        (Some(SimpleLb::Random), _) => LbSpec::Random,
        (None, Some(hash)) => by_hash(hash),
        (Some(SimpleLb::Passthrough), _) => {
            if !matches!(spec.endpoints, EndpointSource::OriginalDestination { .. }) {
                spec.endpoints = EndpointSource::OriginalDestination { port: None };
            }
            LbSpec::LeastRequest
        }
        _ => LbSpec::LeastRequest,
    };
}

fn by_hash(from: &ConsistentHashLb) -> LbSpec {
    match (&from.maglev, &from.ring_hash) {
        (Some(maglev), _) => LbSpec::maglev(maglev.table_size),
        (None, Some(ring)) => LbSpec::ring_hash(ring.minimum_ring_size),
        // The deprecated place of the size.
        (None, None) => LbSpec::ring_hash(from.minimum_ring_size),
    }
}

fn apply_pool(pool: &ConnectionPoolSettings, spec: &mut ClusterSpec) {
    let mut limits = Limits::default();
    if let Some(tcp) = &pool.tcp {
        limits.connections = limit(tcp.max_connections);
        spec.connect_timeout = set(tcp.connect_timeout).unwrap_or(spec.connect_timeout);
        spec.pool.max_connection_duration = set(tcp.max_connection_duration);
        if let Some(idle) = tcp.idle_timeout {
            // Zero is a value here: never.
            spec.pool.idle_timeout = set(Some(idle));
        }
        if let Some(own) = &tcp.tcp_keepalive {
            // What the rule leaves out stays as the mesh has it.
            let (own, mesh) = (keepalive(own), spec.pool.keepalive.unwrap_or_default());
            spec.pool.keepalive = Some(Keepalive {
                probes: own.probes.or(mesh.probes),
                time: own.time.or(mesh.time),
                interval: own.interval.or(mesh.interval),
            });
        }
    }
    if let Some(http) = &pool.http {
        limits.pending_requests = limit(http.http1_max_pending_requests);
        limits.requests = limit(http.http2_max_requests);
        limits.retries = limit(http.max_retries);
        spec.pool.max_requests_per_connection = u32::try_from(http.max_requests_per_connection).unwrap_or(0);
        if let Some(idle) = set(http.idle_timeout) {
            spec.pool.idle_timeout = Some(idle);
        }
        if let Some(streams) = u32::try_from(http.max_concurrent_streams).ok().filter(|streams| *streams > 0) {
            spec.pool.max_concurrent_streams = streams;
        }
        spec.pool.pings = http
            .http2_keep_alive
            .as_ref()
            .and_then(|pings| Some(Pings { interval: set(pings.interval)?, timeout: set(pings.timeout)? }));
        spec.protocol = match http.h2_upgrade_policy {
            _ if http.use_client_protocol => UpstreamProtocol::FollowCaller,
            H2UpgradePolicy::Upgrade => UpstreamProtocol::Http2,
            H2UpgradePolicy::DoNotUpgrade | H2UpgradePolicy::Default => spec.protocol,
        };
    }
    spec.limits = limits;
}

/// Probes on idle connections, as a rule or the mesh asks for them.
pub(crate) fn keepalive(from: &TcpKeepalive) -> Keepalive {
    Keepalive {
        probes: Some(from.probes).filter(|probes| *probes > 0),
        time: set(from.time),
        interval: set(from.interval),
    }
}

/// Zero and what is negative is no limit, as unset is.
fn limit(value: i32) -> u32 {
    u32::try_from(value).ok().filter(|value| *value > 0).unwrap_or(u32::MAX)
}

fn set(duration: Option<value::Duration>) -> Option<Duration> {
    duration.map(|duration| duration.to_std()).filter(|duration| !duration.is_zero())
}

fn outlier(from: &OutlierDetection) -> OutlierSpec {
    let default = OutlierSpec::default();
    let percent = |value: i32| u32::try_from(value).unwrap_or(0).min(100);
    OutlierSpec {
        // `consecutiveErrors` is deprecated and does nothing in Istio either.
        consecutive_5xx: from.consecutive_5xx_errors.unwrap_or(default.consecutive_5xx),
        consecutive_gateway: from.consecutive_gateway_errors.unwrap_or(0),
        split_local_origin: from.split_external_local_origin_errors,
        consecutive_local: from
            .consecutive_local_origin_failures
            .filter(|n| *n > 0)
            .unwrap_or(default.consecutive_local),
        interval: set(from.interval).unwrap_or(default.interval),
        base_ejection: set(from.base_ejection_time).unwrap_or(default.base_ejection),
        max_ejection_percent: match percent(from.max_ejection_percent) {
            0 => default.max_ejection_percent,
            percent => percent,
        },
        min_health_percent: percent(from.min_health_percent),
        error_codes: from
            .outlier_detection_http_error_codes
            .iter()
            .filter_map(|code| u16::try_from(*code).ok())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterKey;

    fn policy(json: serde_json::Value) -> TrafficPolicy {
        serde_json::from_value(json).unwrap()
    }

    fn spec(top: serde_json::Value, subset: Option<serde_json::Value>, port: u16) -> ClusterSpec {
        let (top, subset) = (policy(top), subset.map(policy));
        let input = PolicyInput { top: Some(&top), subset: subset.as_ref(), port, mesh_default: None };
        let mut spec = ClusterSpec::new(ClusterKey::outbound(port, "", "a"), EndpointSource::Static(Vec::new()));
        apply(&effective(&input), &mut spec);
        spec
    }

    #[test]
    fn a_subsets_block_replaces_the_whole_block_and_no_other() {
        let top = serde_json::json!({
            "connectionPool": {"tcp": {"maxConnections": 100}, "http": {"http2MaxRequests": 7}},
            "outlierDetection": {"interval": "5s"},
        });
        let spec = spec(top, Some(serde_json::json!({"connectionPool": {"tcp": {"maxConnections": 3}}})), 80);
        assert_eq!((spec.limits.connections, spec.limits.requests), (3, u32::MAX));
        assert_eq!(spec.outlier.unwrap().interval, Duration::from_secs(5));
    }

    #[test]
    fn a_port_level_entry_replaces_all_blocks() {
        let top = serde_json::json!({
            "loadBalancer": {"simple": "ROUND_ROBIN"}, "tls": {"mode": "ISTIO_MUTUAL"},
            "portLevelSettings": [{"port": {"number": 8080}, "loadBalancer": {"simple": "RANDOM"}}],
        });
        assert_eq!(spec(top.clone(), None, 80).tls.describe(), Some("ISTIO_MUTUAL"));
        let at_port = spec(top, None, 8080);
        assert_eq!((at_port.lb, at_port.tls), (LbSpec::Random, TlsSpec::Plaintext));
    }

    #[test]
    fn zero_means_unset() {
        let top = serde_json::json!({
            "connectionPool": {"tcp": {"maxConnections": 0}, "http": {"http1MaxPendingRequests": 0, "maxRetries": 0}},
            "outlierDetection": {"maxEjectionPercent": 0, "consecutiveErrors": 3},
        });
        let spec = spec(top, None, 80);
        assert_eq!(spec.limits, Limits::default());
        let outlier = spec.outlier.unwrap();
        assert_eq!((outlier.max_ejection_percent, outlier.consecutive_5xx), (10, 5));
    }

    #[test]
    fn a_subsets_port_level_entry_takes_nothing_from_the_rule_but_its_budget() {
        let top = serde_json::json!({
            "loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": {}, "retryBudget": {"percent": 50.0},
        });
        let subset = serde_json::json!({
            "loadBalancer": {"simple": "RANDOM"},
            "portLevelSettings": [{"port": {"number": 8080}, "connectionPool": {"tcp": {"maxConnections": 1}}}],
        });
        let at_port = spec(top.clone(), Some(subset.clone()), 8080);
        assert_eq!((at_port.lb, at_port.limits.connections), (LbSpec::LeastRequest, 1));
        assert!(at_port.outlier.is_none() && at_port.budget.is_some_and(|budget| budget.percent == 50.0));
        let elsewhere = spec(top, Some(subset), 80);
        assert_eq!(elsewhere.lb, LbSpec::Random);
        assert!(elsewhere.outlier.is_some());
    }

    #[test]
    fn a_subset_without_policy_follows_the_rules_port_level_entry() {
        let top = serde_json::json!({
            "loadBalancer": {"simple": "ROUND_ROBIN"},
            "portLevelSettings": [{"port": {"number": 8080}, "outlierDetection": {}}],
        });
        let at_port = spec(top.clone(), Some(serde_json::json!({"connectionPool": {}})), 8080);
        assert_eq!(at_port.lb, LbSpec::LeastRequest);
        assert!(at_port.outlier.is_some());
        assert!(spec(top, None, 80).outlier.is_none());
    }

    #[test]
    fn the_rule_decides_about_http2_before_the_mesh_does() {
        let upgrades = |rule: &str, mesh| {
            let top = policy(serde_json::json!({"connectionPool": {"http": {"h2UpgradePolicy": rule}}}));
            let input = PolicyInput { top: Some(&top), ..PolicyInput::default() };
            effective(&input).upgrades_to_http2(mesh)
        };
        assert!(upgrades("UPGRADE", MeshH2UpgradePolicy::DoNotUpgrade));
        assert!(!upgrades("DO_NOT_UPGRADE", MeshH2UpgradePolicy::Upgrade));
        assert!(upgrades("DEFAULT", MeshH2UpgradePolicy::Upgrade));
        assert!(!upgrades("DEFAULT", MeshH2UpgradePolicy::DoNotUpgrade));
    }

    #[test]
    fn idle_and_connect_timeouts_are_taken_from_where_they_are_set() {
        let idle =
            |pool: serde_json::Value| spec(serde_json::json!({"connectionPool": pool}), None, 80).pool.idle_timeout;
        assert_eq!(idle(serde_json::json!({"tcp": {}})), Some(Duration::from_secs(3600)));
        assert_eq!(idle(serde_json::json!({"tcp": {"idleTimeout": "5s"}})), Some(Duration::from_secs(5)));
        assert_eq!(idle(serde_json::json!({"tcp": {"idleTimeout": "0s"}})), None);
        let both = serde_json::json!({"tcp": {"idleTimeout": "5s"}, "http": {"idleTimeout": "7s"}});
        assert_eq!(idle(both), Some(Duration::from_secs(7)));
        let top = serde_json::json!({"connectionPool": {"tcp": {"connectTimeout": "30ms"}}});
        assert_eq!(spec(top, None, 80).connect_timeout, Duration::from_millis(30));
    }

    #[test]
    fn a_hash_means_a_ring_unless_a_table_is_asked_for() {
        let lb =
            |hash: serde_json::Value| spec(serde_json::json!({"loadBalancer": {"consistentHash": hash}}), None, 80).lb;
        assert_eq!(lb(serde_json::json!({"useSourceIp": true})), LbSpec::RingHash { minimum_size: 1024 });
        assert_eq!(lb(serde_json::json!({"minimumRingSize": 7})), LbSpec::RingHash { minimum_size: 7 });
        assert_eq!(lb(serde_json::json!({"ringHash": {"minimumRingSize": 9}})), LbSpec::RingHash { minimum_size: 9 });
        assert_eq!(lb(serde_json::json!({"maglev": {"tableSize": 11}})), LbSpec::Maglev { table_size: 11 });
        assert_eq!(lb(serde_json::json!({"maglev": {}})), LbSpec::Maglev { table_size: 65_537 });
    }

    #[test]
    fn passthrough_goes_where_the_request_says() {
        let spec = spec(serde_json::json!({"loadBalancer": {"simple": "PASSTHROUGH"}}), None, 80);
        assert_eq!(spec.endpoints, EndpointSource::OriginalDestination { port: None });
    }

    #[test]
    fn the_meshs_default_fills_in_what_is_unset() {
        let default: DefaultTrafficPolicy = serde_json::from_value(
            serde_json::json!({"connectionPool": {"tcp": {"maxConnections": 9}}, "outlierDetection": {}}),
        )
        .unwrap();
        let top = policy(serde_json::json!({"connectionPool": {"tcp": {"maxConnections": 3}}}));
        let input = PolicyInput { top: Some(&top), mesh_default: Some(&default), ..PolicyInput::default() };
        let effective = effective(&input);
        assert_eq!(effective.connection_pool, top.connection_pool.as_ref());
        assert!(effective.outlier_detection.is_some());
    }
}
