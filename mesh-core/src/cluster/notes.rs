//! What a traffic policy asks for that is read and checked, but does not act yet.
//!
//! What Istio ignores as well, such as `consecutiveErrors`, is for validation to tell.

use mesh_config::api::destination_rule::{LoadBalancerSettings, PortTrafficPolicy, TrafficPolicy};
use mesh_config::api::tls::ClientTlsSettings;

/// A field that has no effect, or not the one it has in Istio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowerNote {
    /// The field, below the `trafficPolicy`, such as `loadBalancer.zoneAwareLbSetting`.
    pub path: String,
    /// What happens instead.
    pub message: &'static str,
}

/// The fields of a policy, and of its `portLevelSettings`, that do not act.
pub fn without_effect(policy: &TrafficPolicy) -> Vec<LowerNote> {
    let mut notes = Notes::default();
    notes.load_balancer(policy.load_balancer.as_ref());
    notes.tls(policy.tls.as_ref());
    notes.add(policy.tunnel.is_some(), "tunnel", "TCP and TLS routes are not served, so nothing is tunnelled");
    notes.add(policy.proxy_protocol.is_some(), "proxyProtocol", "connections begin without a PROXY header");
    for (index, entry) in policy.port_level_settings.iter().enumerate() {
        notes.port(index, entry);
    }
    notes.found
}

#[derive(Default)]
struct Notes {
    prefix: String,
    found: Vec<LowerNote>,
}

impl Notes {
    fn add(&mut self, is_set: bool, field: &str, message: &'static str) {
        if is_set {
            self.found.push(LowerNote { path: format!("{}{field}", self.prefix), message });
        }
    }

    fn port(&mut self, index: usize, entry: &PortTrafficPolicy) {
        self.prefix = format!("portLevelSettings[{index}].");
        self.load_balancer(entry.load_balancer.as_ref());
        self.tls(entry.tls.as_ref());
        self.prefix.clear();
    }

    fn load_balancer(&mut self, balancer: Option<&LoadBalancerSettings>) {
        let Some(balancer) = balancer else { return };
        let by_zone = balancer.zone_aware_lb_setting.as_ref().is_some_and(|setting| setting.enabled != Some(false));
        self.add(by_zone, "loadBalancer.zoneAwareLbSetting", "the zone of an endpoint plays no part");
    }

    fn tls(&mut self, tls: Option<&ClientTlsSettings>) {
        self.add(
            tls.is_some_and(|tls| tls.insecure_skip_verify == Some(true)),
            "tls.insecureSkipVerify",
            "requests fail unless the process allows it (identity::danger::allow_insecure_skip_verify)",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(json: serde_json::Value) -> Vec<String> {
        let policy: TrafficPolicy = serde_json::from_value(json).unwrap();
        without_effect(&policy).into_iter().map(|note| note.path).collect()
    }

    #[test]
    fn what_acts_is_not_noted() {
        let policy = serde_json::json!({
            "loadBalancer": {"simple": "ROUND_ROBIN", "localityLbSetting": {}, "warmup": {"duration": "10s"}},
            "connectionPool": {"tcp": {"maxConnections": 1}, "http": {"http2MaxRequests": 1}},
            "outlierDetection": {"consecutive5xxErrors": 1},
            "tls": {"mode": "ISTIO_MUTUAL"},
            "retryBudget": {"percent": 10},
        });
        assert_eq!(paths(policy), [""; 0]);
    }

    #[test]
    fn what_does_not_act_is_named_by_its_path() {
        let policy = serde_json::json!({
            "loadBalancer": {"zoneAwareLbSetting": {}},
            "proxyProtocol": {},
            "portLevelSettings": [
                {"port": {"number": 80}},
                {"port": {"number": 443}, "tls": {"mode": "SIMPLE", "insecureSkipVerify": true}},
            ],
        });
        let expected =
            ["loadBalancer.zoneAwareLbSetting", "proxyProtocol", "portLevelSettings[1].tls.insecureSkipVerify"];
        assert_eq!(paths(policy), expected);
    }
}
