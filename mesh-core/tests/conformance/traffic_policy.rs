//! What traffic policies come to: which blocks count, and what they make of a cluster.

use std::path::Path;
use std::time::Duration;

use mesh_config::api::MeshConfig;
use mesh_config::api::destination_rule::{
    ConnectionPoolSettings, OutlierDetection, TrafficPolicy, WarmupConfiguration,
};
use mesh_config::api::mesh_config::DefaultTrafficPolicy;
use mesh_core::Site;
use mesh_core::cluster::policy::{EffectivePolicy, PolicyInput, effective};
use mesh_core::cluster::{ClusterSpec, EndpointSource, Keepalive, Locality, UpstreamProtocol};
use mesh_core::lb::{LbSpec, WarmUp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::{compiled, read};
use crate::{differs, table};

pub(crate) fn traffic_policy(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    match table(case) {
        "MergeSubsetTrafficPolicy" => merged(input, expect),
        "ApplyDefaultTrafficPolicy" => filled_in(input, expect),
        "ConnectionPoolSettings" => pools(input, expect),
        "ApplyOutlierDetection" => outlier(input, expect),
        "Warmup" => warm_up(input),
        "ApplyLoadBalancer" => balancer(input, expect),
        "ApplyTCPKeepalive" => keepalive(input, expect),
        "ShouldH2Upgrade" => upgrade(input, expect),
        "LocalityMatch" => locality_match(input, expect),
        "ConvertLocality" => locality(input, expect),
        _ => Some("nothing in process has this".to_owned()),
    }
}

fn optional<T: DeserializeOwned>(json: &Value) -> Option<T> {
    (!json.is_null()).then(|| read(json))
}

fn merged(input: &Value, expect: &Value) -> Option<String> {
    let (top, subset) = (optional(&input["original"]), optional(&input["subset"]));
    let port = input["port"]["Port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let expected: TrafficPolicy = read(&expect["expected"]);
    let found = effective(&PolicyInput { top: top.as_ref(), subset: subset.as_ref(), port, mesh_default: None });
    differs(
        found,
        EffectivePolicy {
            load_balancer: expected.load_balancer.as_ref(),
            connection_pool: expected.connection_pool.as_ref(),
            outlier_detection: expected.outlier_detection.as_ref(),
            tls: expected.tls.as_ref(),
            retry_budget: expected.retry_budget.as_ref(),
        },
    )
}

fn filled_in(input: &Value, expect: &Value) -> Option<String> {
    let (policy, default) = (optional(&input["policy"]), optional::<DefaultTrafficPolicy>(&input["meshDefault"]));
    let found =
        effective(&PolicyInput { top: policy.as_ref(), mesh_default: default.as_ref(), ..PolicyInput::default() });
    if expect["wantNil"] == true {
        return differs(found, EffectivePolicy::default());
    }
    let pool: Option<ConnectionPoolSettings> = optional(&expect["wantConnPool"]);
    let outlier: Option<OutlierDetection> = optional(&expect["wantOutlier"]);
    differs(found.connection_pool, pool.as_ref()).or_else(|| differs(found.outlier_detection, outlier.as_ref()))
}

/// A service that a cluster is made for.
struct Case<'a> {
    policy: Value,
    mesh: &'a Value,
    protocol: &'a str,
    resolution: &'a str,
    site: Site,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self { policy: Value::Null, mesh: &Value::Null, protocol: "HTTP", resolution: "STATIC", site: Site::default() }
    }
}

impl Case<'_> {
    fn cluster(&self) -> ClusterSpec {
        let entry = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {
                "hosts": ["a.example.org"], "resolution": self.resolution,
                "ports": [{"number": 8080, "name": "default", "protocol": self.protocol}],
            },
        });
        let rule = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"host": "a.example.org", "trafficPolicy": self.policy},
        });
        let mut texts = vec![entry.to_string()];
        texts.extend(self.policy.as_object().filter(|policy| !policy.is_empty()).map(|_| rule.to_string()));
        let mesh: MeshConfig = read(self.mesh);
        let compiled = compiled(&texts, &mesh, &self.site);
        let found = compiled.snapshot.clusters().iter().find(|spec| spec.name.ends_with("||a.example.org"));
        ClusterSpec::clone(found.expect("the service's cluster"))
    }
}

fn of_policy(policy: Value) -> ClusterSpec {
    Case { policy, ..Case::default() }.cluster()
}

/// A policy with the blocks that are set.
fn policy_of(blocks: &[(&str, Value)]) -> Value {
    blocks
        .iter()
        .filter(|(_, block)| !block.is_null())
        .map(|(name, block)| ((*name).to_owned(), block.clone()))
        .collect()
}

/// Only of calls: the pools of a sidecar towards its application do not exist in process.
fn pools(input: &Value, expect: &Value) -> Option<String> {
    let found = of_policy(input["destrule"]["trafficPolicy"].clone());
    let want = expect["want"].as_object()?.iter().find(|(cluster, _)| cluster.starts_with("outbound"))?.1;
    let expected = of_policy(policy_of(&[("connectionPool", want.clone())]));
    differs(
        (found.limits, found.pool, found.connect_timeout),
        (expected.limits, expected.pool, expected.connect_timeout),
    )
}

fn outlier(input: &Value, expect: &Value) -> Option<String> {
    let found = of_policy(policy_of(&[("outlierDetection", input["cfg"].clone())])).outlier;
    let expect = &expect["o"];
    let Some(found) = found else { return differs(expect.is_null(), true) };
    let number = |name: &str, otherwise: u32| expect[name].as_u64().map_or(otherwise, |number| number as u32);
    differs(found.consecutive_5xx, number("Consecutive_5Xx", 5))
        .or_else(|| differs(found.consecutive_gateway, number("ConsecutiveGatewayFailure", 0)))
        .or_else(|| differs(found.split_local_origin, expect["SplitExternalLocalOriginErrors"] == true))
        .or_else(|| differs(found.consecutive_local, number("ConsecutiveLocalOriginFailure", 5)))
}

fn warm_up(input: &Value) -> Option<String> {
    let simple = ("simple", input["lbType"].clone());
    let balancer = policy_of(&[simple, ("warmup", input["warmup"].clone())]);
    let found = of_policy(json!({"loadBalancer": balancer})).warm_up;
    let expected = optional::<WarmupConfiguration>(&input["warmup"]).map(|warm_up| WarmUp {
        window: warm_up.duration.expect("a duration").to_std(),
        minimum_percent: warm_up.minimum_percent.unwrap_or(10.0),
        aggression: warm_up.aggression.unwrap_or(1.0),
    });
    differs(found, expected)
}

fn balancer(input: &Value, expect: &Value) -> Option<String> {
    let threshold = &input["presetPanicThreshold"];
    let ejects = input["outlierDetection"] == true || !threshold.is_null();
    let outlier = if ejects { json!({"minHealthPercent": threshold.as_u64()}) } else { Value::Null };
    let outlier = threshold.as_f64().map_or(outlier, |percent| json!({"minHealthPercent": percent as u64}));
    let labels = optional(&input["proxyLabels"]).unwrap_or_default();
    let found = Case {
        policy: policy_of(&[("loadBalancer", input["lbSettings"].clone()), ("outlierDetection", outlier)]),
        resolution: match input["discoveryType"].as_str()? {
            "Cluster_ORIGINAL_DST" => "NONE",
            "Cluster_STRICT_DNS" => "DNS",
            _ => "STATIC",
        },
        protocol: input["port"]["Protocol"].as_str().unwrap_or("HTTP"),
        site: Site { labels, ..Site::default() },
        ..Case::default()
    }
    .cluster();
    let policy = match found.lb {
        _ if matches!(found.endpoints, EndpointSource::OriginalDestination { .. }) => "Cluster_CLUSTER_PROVIDED",
        LbSpec::LeastRequest => "LEAST_REQUEST",
        LbSpec::Random => "Cluster_RANDOM",
        LbSpec::RoundRobin => "ROUND_ROBIN",
        LbSpec::RingHash { .. } => "Cluster_RING_HASH",
        LbSpec::Maglev { .. } => "Cluster_MAGLEV",
        _ => "another",
    };
    let expected = expect["expectedLbPolicy"].as_str()?.trim_start_matches("Cluster_");
    let percent = expect["expectedPanicThreshold"].as_f64();
    differs(policy.trim_start_matches("Cluster_"), expected)
        .or_else(|| differs(Some(found.locality.weighted), expect["expectedLocalityWeightedConfig"].as_bool()))
        .or_else(|| percent.and_then(|percent| differs(f64::from(found.panic_threshold()), percent)))
}

fn keepalive(input: &Value, expect: &Value) -> Option<String> {
    let policy = policy_of(&[("connectionPool", input["connectionPool"].clone())]);
    let found = Case { policy, mesh: &input["mesh"], ..Case::default() }.cluster().pool.keepalive;
    let want = &expect["wantConnOpts"]["TcpKeepalive"];
    let seconds = |name: &str| want[name].as_u64().map(Duration::from_secs);
    let probes = want["KeepaliveProbes"].as_u64().map(|probes| probes as u32);
    let (time, interval) = (seconds("KeepaliveTime"), seconds("KeepaliveInterval"));
    differs(found, (!want.is_null()).then_some(Keepalive { probes, time, interval }))
}

fn upgrade(input: &Value, expect: &Value) -> Option<String> {
    let found = Case {
        policy: policy_of(&[("connectionPool", input["connectionPool"].clone())]),
        mesh: &input["mesh"],
        // A protocol that nobody knows is found out from the bytes.
        protocol: input["port"]["Protocol"].as_str().filter(|name| *name != "UnsupportedProtocol").unwrap_or(""),
        ..Case::default()
    }
    .cluster();
    differs(Some(found.protocol == UpstreamProtocol::Http2), expect["upgrade"].as_bool())
}

fn locality_of(json: &Value) -> Locality {
    let part = |name: &str| json[name].as_str().unwrap_or_default().into();
    Locality { region: part("Region"), zone: part("Zone"), subzone: part("SubZone") }
}

fn locality_match(input: &Value, expect: &Value) -> Option<String> {
    let found = locality_of(&input["locality"]).matches(input["rule"].as_str()?);
    differs(Some(found), expect["match"].as_bool())
}

fn locality(input: &Value, expect: &Value) -> Option<String> {
    differs(Locality::parse(input["locality"].as_str()?), locality_of(&expect["want"]))
}
