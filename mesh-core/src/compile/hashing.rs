//! What the requests of a route are hashed by, as its destinations ask for it.
//!
//! Istio finds that out for the route and not for the cluster: a `portLevelSettings` entry counts for a
//! rule only where the rule names the port, though the cluster balances by it in any case.

use mesh_config::api::destination_rule::{ConsistentHashLb, LoadBalancerSettings, TrafficPolicy};
use mesh_config::api::virtual_service::Destination;

use super::clusters::{Clusters, Place};
use super::registry::Service;
use crate::route::HashPolicy;

impl<'a> Clusters<'a> {
    /// What requests to a destination of a rule are hashed by. A `portLevelSettings` entry counts only
    /// where the destination names the port.
    pub(crate) fn hash_of(&self, destination: &Destination, place: Place<'_>) -> Option<HashPolicy> {
        let (_, service) = self.service(destination, place);
        let rule = self.rule(service?)?;
        let port = destination.port.as_ref().map(|port| port.number);
        let subset = rule.subset(&destination.subset).and_then(|subset| subset.traffic_policy.as_ref());
        let of_port = |policy: Option<&'a TrafficPolicy>| at_port(policy?, port?)?;
        let of_policy = |policy: Option<&'a TrafficPolicy>| asked_for(policy?.load_balancer.as_ref());
        let (own, top) = (subset, rule.policy());
        let found = of_port(own).or_else(|| of_policy(own)).or_else(|| of_port(top)).or_else(|| of_policy(top))?;
        HashPolicy::lower(found)
    }

    /// What requests to a service without rules are hashed by.
    pub(crate) fn hash_of_service(&self, service: &Service, port: u16) -> Option<HashPolicy> {
        let policy = self.rule(service)?.policy()?;
        let of_policy = || asked_for(policy.load_balancer.as_ref());
        let found = at_port(policy, u32::from(port)).unwrap_or_else(of_policy)?;
        HashPolicy::lower(found)
    }
}

/// The hash that a block asks for.
fn asked_for(balancer: Option<&LoadBalancerSettings>) -> Option<&ConsistentHashLb> {
    balancer?.consistent_hash.as_ref()
}

/// The hash that the entry for a port asks for; the outer `None` if there is no entry.
fn at_port(policy: &TrafficPolicy, port: u32) -> Option<Option<&ConsistentHashLb>> {
    let mut entries = policy.port_level_settings.iter();
    let entry = entries.find(|entry| entry.port.as_ref().is_some_and(|own| own.number == port))?;
    Some(asked_for(entry.load_balancer.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::tests::World;
    use crate::route::Route;

    /// The routes for a service whose policies hash by headers, made from a rule if there is one.
    fn routes(rule: &str) -> Vec<Route> {
        let hash = |name: &str| format!("loadBalancer: {{consistentHash: {{httpHeaderName: {name}}}}}");
        let at_port = |name: &str| format!("portLevelSettings: [{{port: {{number: 80}}, {}}}]", hash(name));
        let mut text = format!(
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: a, namespace: default}}
spec: {{hosts: [a.example.com], resolution: STATIC, ports: [{{number: 80, name: http}}, {{number: 81, name: http-b}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a, namespace: default}}
spec:
  host: a.example.com
  trafficPolicy: {{{}, {}}}
  subsets:
  - {{name: plain}}
  - {{name: own, trafficPolicy: {{{}}}}}
  - {{name: both, trafficPolicy: {{{}, {}}}}}
",
            hash("top"),
            at_port("top-port"),
            hash("own"),
            hash("both"),
            at_port("both-port")
        );
        if !rule.is_empty() {
            text += &format!(
                "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a, namespace: default}}
spec: {{hosts: [a.example.com], http: [{rule}]}}
"
            );
        }
        let world = World::new(&text);
        let snapshot = &world.compiled.snapshot;
        [80, 81]
            .into_iter()
            .map(|port| snapshot.rule(world.route(port, "a.example.com", "/").unwrap().route).clone())
            .collect()
    }

    fn headers(route: &Route) -> Vec<String> {
        let name = |policy: &HashPolicy| format!("{policy:?}").split('"').nth(1).unwrap().to_owned();
        route.hash.iter().map(name).collect()
    }

    fn hashed(destinations: &str) -> Vec<String> {
        headers(&routes(&format!("{{route: [{destinations}]}}"))[0])
    }

    #[test]
    fn a_service_without_rules_goes_by_the_port() {
        let routes = routes("");
        assert_eq!([headers(&routes[0]), headers(&routes[1])], [["top-port"], ["top"]]);
    }

    #[test]
    fn a_rule_goes_by_the_port_only_where_it_names_it() {
        let to = |rest: &str| hashed(&format!("{{destination: {{host: a.example.com{rest}}}}}"));
        assert_eq!(to(""), ["top"]);
        assert_eq!(to(", port: {number: 80}"), ["top-port"]);
        assert_eq!(to(", port: {number: 81}"), ["top"]);
        assert_eq!(to(", subset: plain"), ["top"]);
        assert_eq!(to(", subset: own"), ["own"]);
        assert_eq!(to(", subset: own, port: {number: 80}"), ["own"]);
        assert_eq!(to(", subset: both, port: {number: 80}"), ["both-port"]);
        assert_eq!(to(", subset: both"), ["both"]);
    }

    #[test]
    fn a_split_goes_by_all_its_destinations_that_get_anything() {
        let to = |subset: &str, weight: u32| {
            format!("{{destination: {{host: a.example.com, subset: {subset}}}, weight: {weight}}}")
        };
        assert_eq!(hashed(&[to("own", 60), to("both", 40)].join(", ")), ["own", "both"]);
        assert_eq!(hashed(&[to("own", 0), to("both", 40)].join(", ")), ["both"]);
        assert_eq!(hashed(&to("own", 0)), ["own"]);
    }

    #[test]
    fn a_single_destination_that_is_hashed_is_asked_again_by_retries() {
        let avoids = |rest: &str| {
            let rule = format!("{{route: [{{destination: {{host: a.example.com}}}}]{rest}}}");
            routes(&rule)[0].retry.as_ref().unwrap().ignore_previous_hosts
        };
        assert!(!avoids("") && !avoids(", retries: {attempts: 1}"));
        assert!(avoids(", retries: {attempts: 1, retryIgnorePreviousHosts: true}"));
        assert!(routes("")[0].retry.as_ref().unwrap().ignore_previous_hosts);
    }
}
