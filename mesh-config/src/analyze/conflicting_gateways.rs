//! Gateways that want the same host on the same port of the same workloads.

use std::collections::{BTreeMap, HashMap, HashSet};

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
                let own = &gateway.spec.selector;
                let mut rivals = Rivals::new(gateway);
                for host in &server.hosts {
                    let by_selector = &claims[&Claim::of(server, host)];
                    rivals.add(&by_selector[own]);
                    let others = by_selector.iter().filter(|(other, _)| **other != own).take(MOST_SELECTORS);
                    for (_, gateways) in others.filter(|(other, _)| overlaps.overlap(own, other)) {
                        rivals.add(gateways);
                    }
                    if rivals.is_cut {
                        break;
                    }
                }
                report(out, gateway, index, server, &rivals);
            }
        }
    }
}

/// With how many other selectors for the same host and port that of a server is compared. The rest is not examined: to
/// compare each with each would take minutes where there are thousands.
const MOST_SELECTORS: usize = 500;

/// How many rivals of a server are counted, since each of them has as many.
const MOST_RIVALS: usize = 200;

/// How many of them a message names.
const SHOWN: usize = 20;

/// The other gateways that claim something of a server, each once.
struct Rivals<'a> {
    gateway: &'a Object<Gateway>,
    known: HashSet<*const Object<Gateway>>,
    found: Vec<&'a Object<Gateway>>,
    /// Whether there are more that were not counted.
    is_cut: bool,
}

impl<'a> Rivals<'a> {
    fn new(gateway: &'a Object<Gateway>) -> Self {
        Self { gateway, known: HashSet::new(), found: Vec::new(), is_cut: false }
    }

    fn add(&mut self, gateways: &[&'a Object<Gateway>]) {
        for rival in gateways.iter().filter(|rival| !std::ptr::eq(**rival, self.gateway)) {
            if self.known.contains(&std::ptr::from_ref(*rival)) {
                continue;
            }
            if self.found.len() == MOST_RIVALS {
                self.is_cut = true;
                return;
            }
            self.known.insert(std::ptr::from_ref(*rival));
            self.found.push(rival);
        }
    }

    /// The names of some, and how many there are besides.
    fn names(&self) -> (Vec<String>, String) {
        let mut names: Vec<String> =
            self.found.iter().take(SHOWN).map(|rival| rival.meta.namespaced_name().to_string()).collect();
        names.sort_unstable();
        let more = match self.found.len() - names.len() {
            0 => String::new(),
            more if self.is_cut => format!(" and more than {more} others"),
            more => format!(" and {more} more"),
        };
        (names, more)
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

fn report(out: &mut Report, gateway: &Object<Gateway>, index: usize, server: &Server, rivals: &Rivals<'_>) {
    let (names, more) = rivals.names();
    if names.is_empty() {
        return;
    }
    let message = format!(
        "Conflict with gateways {}{more} (workload selector {}, port {}, hosts {}).",
        names.join(","),
        to_line(&gateway.spec.selector),
        server.port.as_ref().map_or(0, |port| port.number),
        server.hosts.join(",")
    );
    let finding = Diagnostic::error(Code::CONFLICTING_GATEWAYS, message)
        .effect("of plain HTTP servers the routes are merged; of servers with TLS the oldest is used and the others are not")
        .help(match more.is_empty() {
            true => format!("merge it with {}, or let them have different hosts", some_of(&names)),
            false => "merge them, or let them have different hosts".to_owned(),
        });
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
    fn very_many_are_not_all_named() {
        let all = |count: usize| -> String {
            (0..count).map(|number| gateway(&format!("g{number}"), "app: x", SERVER)).collect()
        };
        let first = |count: usize| {
            let (documents, _) = crate::parse("f", &all(count));
            let found = crate::ConfigSet::from_documents(documents).0.analyze();
            let found: Vec<_> = found.iter().filter(|finding| finding.code == Code::CONFLICTING_GATEWAYS).collect();
            assert_eq!(found.len(), count);
            found[0].message.clone()
        };
        assert!(first(21).contains("a/g9 (workload"), "{}", first(21));
        assert!(first(31).contains(" and 10 more (workload"), "{}", first(31));
        assert!(first(202).contains(" and more than 180 others (workload"), "{}", first(202));
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
