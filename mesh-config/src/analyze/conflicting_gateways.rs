//! Gateways that want the same host on the same port of the same workloads.

use std::collections::{BTreeMap, HashMap};

use super::{Analyzer, Context, some_of};
use crate::api::Gateway;
use crate::api::gateway::Server;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::labels::{subset_of, to_line};

/// `IST0145`. Gateways are for the same workloads if they select by the same labels, or if one asks for some of the labels of
/// the other and some pod has them all.
pub(super) struct ConflictingGateways;

impl Analyzer for ConflictingGateways {
    fn name(&self) -> &'static str {
        "gateway.ConflictingGatewayAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::CONFLICTING_GATEWAYS]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let mut claims: HashMap<Claim<'_>, BTreeMap<&Labels, Vec<&Object<Gateway>>>> = HashMap::new();
        for gateway in context.set.gateways() {
            for server in &gateway.spec.servers {
                for host in &server.hosts {
                    let by_selector = claims.entry(Claim::of(server, host)).or_default();
                    let gateways = by_selector.entry(&gateway.spec.selector).or_default();
                    if !gateways.last().is_some_and(|last| std::ptr::eq(*last, gateway)) {
                        gateways.push(gateway);
                    }
                }
            }
        }
        let mut overlaps = Overlaps { context, known: HashMap::new() };
        for gateway in context.set.gateways() {
            for (index, server) in gateway.spec.servers.iter().enumerate() {
                let mut rivals: Vec<&Object<Gateway>> = Vec::new();
                for host in &server.hosts {
                    let by_selector = &claims[&Claim::of(server, host)];
                    let others =
                        by_selector.iter().filter(|(other, _)| overlaps.overlap(&gateway.spec.selector, other));
                    rivals.extend(others.flat_map(|(_, gateways)| gateways));
                }
                rivals.retain(|rival| !std::ptr::eq(*rival, gateway));
                report(out, gateway, index, server, &rivals);
            }
        }
    }
}

/// What only one of the gateways of a workload can have. Istio takes hosts as they are written, whatever their namespace.
#[derive(PartialEq, Eq, Hash)]
struct Claim<'a> {
    port: u32,
    bind: &'a str,
    host: &'a str,
}

impl<'a> Claim<'a> {
    fn of(server: &'a Server, host: &'a str) -> Self {
        Self { port: server.port.as_ref().map_or(0, |port| port.number), bind: &server.bind, host }
    }
}

/// Which selectors are for some workload together.
struct Overlaps<'c, 'a> {
    context: &'c Context<'a>,
    known: HashMap<(Labels, Labels), bool>,
}

impl Overlaps<'_, '_> {
    fn overlap(&mut self, one: &Labels, other: &Labels) -> bool {
        if one == other {
            return true;
        }
        let (fewer, more) = if one.len() < other.len() { (one, other) } else { (other, one) };
        if !self.context.is_whole_cluster() || !subset_of(fewer, more) {
            return false;
        }
        let workloads = self.context.workloads();
        let key = (fewer.clone(), more.clone());
        *self.known.entry(key).or_insert_with(|| workloads.selected(more).next().is_some())
    }
}

fn report(out: &mut Report, gateway: &Object<Gateway>, index: usize, server: &Server, rivals: &[&Object<Gateway>]) {
    let mut names: Vec<String> = rivals.iter().map(|rival| rival.meta.namespaced_name().to_string()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let message = format!(
        "Conflict with gateways {} (workload selector {}, port {}, hosts {}).",
        names.join(","),
        to_line(&gateway.spec.selector),
        server.port.as_ref().map_or(0, |port| port.number),
        server.hosts.join(",")
    );
    let finding = Diagnostic::error(Code::CONFLICTING_GATEWAYS, message)
        .effect("of plain HTTP servers the routes are merged; of servers with TLS the oldest is used and the others are not")
        .help(format!("merge it with {}, or let them have different hosts", some_of(&names)));
    let cx = &mut Checker::new(Kind::Gateway, &gateway.meta, &gateway.origin, out);
    cx.push(&At::top("spec").field("servers").index(index).field("hosts"), finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn gateway(name: &str, selector: &str, server: &str) -> String {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: a}}, \
             spec: {{selector: {{{selector}}}, servers: [{{{server}}}]}}}}\n"
        )
    }

    const SERVER: &str = "port: {number: 80, name: http, protocol: HTTP}, hosts: [r.com, s.com]";

    fn conflict(one: &str, two: &str) -> bool {
        let pod =
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: b, labels: {app: x, tier: front}}}\n";
        let found = found(&ConflictingGateways, &format!("{one}{two}{pod}"));
        assert!(found.is_empty() || found.len() == 2, "{found:?}");
        !found.is_empty()
    }

    #[test]
    fn a_host_on_a_port_of_the_same_workloads_is_for_one_gateway() {
        let one = gateway("one", "app: x", SERVER);
        assert!(conflict(&one, &gateway("two", "app: x", SERVER)));
        for server in [
            "port: {number: 81, name: http, protocol: HTTP}, hosts: [r.com]",
            "port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.com', a/r.com]",
            "port: {number: 80, name: http, protocol: HTTP}, bind: 10.0.0.1, hosts: [r.com]",
        ] {
            assert!(!conflict(&one, &gateway("two", "app: x", server)), "{server}");
        }
        assert_eq!(
            found(&ConflictingGateways, &(one + &gateway("two", "app: x", SERVER))),
            ["IST0145 Gateway a/one spec.servers[0].hosts", "IST0145 Gateway a/two spec.servers[0].hosts"]
        );
    }

    #[test]
    fn of_other_selectors_one_has_to_be_a_part_of_the_other_and_a_pod_has_to_have_both() {
        let one = gateway("one", "app: x", SERVER);
        assert!(conflict(&one, &gateway("two", "app: x, tier: front", SERVER)));
        assert!(conflict(&one, &gateway("two", "", SERVER)));
        assert!(!conflict(&one, &gateway("two", "app: x, tier: back", SERVER)));
        assert!(!conflict(&one, &gateway("two", "tier: front", SERVER)));
    }
}
