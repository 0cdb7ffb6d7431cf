//! What compiling has to say: who lost, what is missing, what does not act yet.

use std::collections::BTreeSet;

use mesh_config::api::{DestinationRule, Gateway, VirtualService};
use mesh_config::{Code, Diagnostic, Object, Report, Typed};

use crate::route::{LowerError, RuleOrigin};

/// A report that holds each finding once, however many ports or routes lead to it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    report: Report,
    seen: BTreeSet<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Diagnostic) {
        let text = format!("{} {:?} {} {}", finding.code, finding.resource, finding.path, finding.message);
        if self.seen.insert(text) {
            self.report.push(finding);
        }
    }

    pub(crate) fn into_report(mut self) -> Report {
        self.report.locate();
        self.report
    }
}

pub(crate) fn about<T: Typed>(finding: Diagnostic, object: &Object<T>) -> Diagnostic {
    finding.at(&object.origin).resource(object.id())
}

/// Of two DestinationRules for one host the first one's policy counts.
pub(crate) fn policy_lost(loser: &Object<DestinationRule>, winner: &Object<DestinationRule>, host: &str) -> Diagnostic {
    let message = format!("the trafficPolicy has no effect: {} already sets the one for {host}", winner.id());
    about(Diagnostic::warning(Code::OVERRULED, message), loser)
        .path("spec.trafficPolicy")
        .effect(format!("requests to {host} follow the policy of {}", winner.id()))
        .help("merge the two rules: policies of several rules for one host are not combined")
}

/// A subset that an earlier rule for the host defines too.
pub(crate) fn subset_lost(loser: &Object<DestinationRule>, subset: &str, host: &str) -> Diagnostic {
    let message = format!("subset {subset:?} of {host} is already defined by an earlier rule, which counts");
    about(Diagnostic::warning(Code::OVERRULED, message), loser).path("spec.subsets")
}

/// A rule that is not used at all.
pub(crate) fn rule_lost(loser: &Object<DestinationRule>, host: &str, winner: &str) -> Diagnostic {
    let message = format!("the rule has no effect on {host}: {winner} counts");
    about(Diagnostic::warning(Code::OVERRULED, message), loser).path("spec.host")
}

/// Two mesh VirtualServices for one host: the first owns it, nothing is merged.
pub(crate) fn host_lost(loser: &Object<VirtualService>, winner: &Object<VirtualService>, host: &str) -> Diagnostic {
    let message = format!("the rules have no effect on {host} in the mesh: {} owns the host", winner.id());
    about(Diagnostic::warning(Code::OVERRULED, message), loser)
        .path("spec.hosts")
        .effect(format!("requests to {host} are routed by {} alone", winner.id()))
        .help("put the rules into one VirtualService: in the mesh, rules of several are not merged")
}

/// A host that no service defines gets a virtual host on port 80, and on the ports of services beside it.
pub(crate) fn literal_host(owner: &Object<VirtualService>, host: &str, ports: &BTreeSet<u16>) -> Diagnostic {
    let numbers: Vec<_> = ports.iter().map(u16::to_string).collect();
    let ports = format!("{} {}", if ports.len() == 1 { "port" } else { "ports" }, numbers.join(", "));
    let message = format!("no service or ServiceEntry in sight defines {host}: its rules act on {ports} only");
    about(Diagnostic::info(Code::LITERAL_HOST, message), owner)
        .path("spec.hosts")
        .effect(format!("a request to {host} on {ports} follows the rules; one to another port does not"))
        .help("add a ServiceEntry with the host and its ports")
}

/// A destination that does not exist for this workload.
pub(crate) fn unknown_destination(origin: &RuleOrigin, cluster: &str, why: &str) -> Diagnostic {
    Diagnostic::warning(Code::UNKNOWN_DESTINATION, format!("{origin}: {why}"))
        .effect(format!("requests to {cluster} are answered 503 NC"))
}

/// A destination that exists, but has nobody to send to.
pub(crate) fn no_endpoints(origin: &RuleOrigin, cluster: &str) -> Diagnostic {
    Diagnostic::warning(Code::NO_ENDPOINTS, format!("{origin}: there are no endpoints behind {cluster}"))
        .effect(format!("requests to {cluster} are answered 503 UH"))
}

/// A subset that selects none of the endpoints there are. It is about the rule that defines it, as what the analysis says
/// of it from the documents alone, so that of the two one can be left out.
pub(crate) fn empty_subset(rule: &Object<DestinationRule>, subset: usize, host: &str) -> Diagnostic {
    let name = rule.spec.subsets.get(subset).map_or("", |subset| &subset.name);
    let message = format!("subset {name:?} selects no endpoint of {host}");
    about(Diagnostic::warning(Code::SUBSET_WITHOUT_ENDPOINTS, message), rule)
        .path(format!("spec.subsets[{subset}].labels").as_str())
        .effect("requests to the subset are answered 503 UH (no healthy upstream)")
        .help("compare its labels with those of the endpoints")
}

/// A rule that could not be turned into routes. Validation refuses such rules first; this is the net below it.
pub(crate) fn rule_refused(object: &Object<VirtualService>, rule: usize, error: &LowerError) -> Diagnostic {
    about(Diagnostic::error(Code::SCHEMA_ERROR, error.message.clone()), object)
        .path(format!("spec.http[{rule}].{}", error.path).as_str())
        .effect("the set is refused; the last good configuration stays")
}

/// A rule whose delegate cannot be put in.
pub(crate) fn delegate_missing(root: &Object<VirtualService>, rule: usize, why: &str) -> Diagnostic {
    about(Diagnostic::warning(Code::DELEGATE_MISSING, why.to_owned()), root)
        .path(format!("spec.http[{rule}].delegate").as_str())
        .effect("the rule is left out; requests go on to the rules below it")
        .help("name a VirtualService without hosts that is exported to this namespace")
}

/// A rule of a delegate that the rule naming the delegate lets no request through to.
pub(crate) fn delegate_conflict(
    delegate: &Object<VirtualService>,
    rule: usize,
    root: &Object<VirtualService>,
    root_rule: usize,
) -> Diagnostic {
    let message =
        format!("the rule is left out below {} http[{root_rule}]: its match does not fit that rule's", root.id());
    about(Diagnostic::warning(Code::DELEGATE_CONFLICT, message), delegate)
        .path(format!("spec.http[{rule}].match").as_str())
        .effect("requests that it speaks of go on to the rules below the delegating one")
        .help(
            "every block has to narrow a block of the delegating rule: a longer prefix or an exact path below its \
             prefix, no regex where the other has a condition, the same ignoreUriCase",
        )
}

/// A rule of a delegate that delegates in its turn.
pub(crate) fn delegate_of_delegate(
    delegate: &Object<VirtualService>,
    rule: usize,
    root: &Object<VirtualService>,
) -> Diagnostic {
    let message = format!("the rule is left out below {}: delegate HTTP route cannot contain delegate", root.id());
    about(Diagnostic::warning(Code::DELEGATE_MISSING, message), delegate)
        .path(format!("spec.http[{rule}].delegate").as_str())
        .effect("requests that it speaks of go on to the rules below the delegating one")
        .help("delegation goes one level deep: put the rules of the second delegate into the first")
}

/// A server of a Gateway that an earlier one leaves no room for.
pub(crate) fn server_refused(gateway: &Object<Gateway>, server: usize, why: &str) -> Diagnostic {
    about(Diagnostic::warning(Code::SERVER_CONFLICT, format!("the server is left out: {why}")), gateway)
        .path(format!("spec.servers[{server}]").as_str())
        .effect("what came first serves the port; the Gateway's other servers work")
        .help("give the server another port, another bind address, or hosts that no other server of the port has")
}

/// A server of a Gateway that is not opened.
pub(crate) fn server_not_served(gateway: &Object<Gateway>, server: usize, why: &str) -> Diagnostic {
    about(Diagnostic::warning(Code::NOT_ENFORCED, format!("the server is not served: {why}")), gateway)
        .path(format!("spec.servers[{server}]").as_str())
        .effect("its port is not opened; the Gateway's other servers work")
}

/// Something that loads but does not act yet.
pub(crate) fn not_enforced<T: Typed>(object: &Object<T>, path: &str, what: &str, effect: &str) -> Diagnostic {
    about(Diagnostic::warning(Code::NOT_ENFORCED, what.to_owned()), object).path(path).effect(effect.to_owned())
}
