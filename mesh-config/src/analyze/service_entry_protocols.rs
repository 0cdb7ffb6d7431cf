//! ServiceEntries that disagree about the protocol of a port.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::services::{EVERYBODY, scopes};
use super::{Analyzer, Context, some_of};
use crate::api::service_entry::ServiceEntry;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};

/// `IST0177`: entries that some namespace sees together, for one host and port. Each is reported once.
pub(super) struct ServiceEntryProtocols;

impl Analyzer for ServiceEntryProtocols {
    fn name(&self) -> &'static str {
        "serviceentry.ConflictingServiceEntryProtocolAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::CONFLICTING_PROTOCOLS]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let mut claims: HashMap<Key<'_>, Vec<Claim<'_>>> = HashMap::new();
        for entry in context.set.service_entries() {
            for scope in scopes(entry.spec.export_to.iter().map(String::as_str), &entry.meta.namespace) {
                for host in &entry.spec.hosts {
                    for (index, port) in entry.spec.ports.iter().enumerate() {
                        let protocol = port.protocol.to_uppercase();
                        claims.entry((scope, host, port.number)).or_default().push(Claim { entry, index, protocol });
                    }
                }
            }
        }
        let mut keys: Vec<_> = claims.keys().copied().collect();
        keys.sort_unstable();
        let mut reported = HashSet::new();
        for key @ (scope, host, port) in keys {
            let public = (scope != EVERYBODY).then(|| claims.get(&(EVERYBODY, host, port))).flatten();
            let group: Vec<_> = claims[&key].iter().chain(public.into_iter().flatten()).collect();
            report(out, host, port, &group, &mut reported);
        }
    }
}

/// Who sees the entry, host, and port.
type Key<'a> = (&'a str, &'a str, u32);

/// What an entry says of a port.
struct Claim<'a> {
    entry: &'a Object<ServiceEntry>,
    index: usize,
    protocol: String,
}

/// The entries that are reported already, by where they are in memory.
type Reported = HashSet<*const Object<ServiceEntry>>;

fn report(out: &mut Report, host: &str, port: u32, group: &[&Claim<'_>], reported: &mut Reported) {
    let protocols: BTreeSet<&str> = group.iter().map(|claim| claim.protocol.as_str()).collect();
    if protocols.len() < 2 {
        return;
    }
    let names: BTreeSet<String> = group.iter().map(|claim| claim.entry.meta.namespaced_name().to_string()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let message = format!(
        "Multiple ServiceEntries ({}) define the same host {host:?} and port {port} with conflicting protocols ({}).",
        some_of(&names),
        protocols.into_iter().collect::<Vec<_>>().join(", ")
    );
    for claim in group {
        let entry = claim.entry;
        if reported.insert(std::ptr::from_ref(entry)) {
            let finding = Diagnostic::warning(Code::CONFLICTING_PROTOCOLS, message.clone())
                .effect("the traffic of the port is read by one of the protocols, whichever host it is for")
                .help("give the port the same protocol in all of them");
            let cx = &mut Checker::new(Kind::ServiceEntry, &entry.meta, &entry.origin, out);
            cx.push(&At::top("spec").field("ports").index(claim.index).field("protocol"), finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn entry(namespace: &str, protocol: &str, export_to: &str) -> String {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: e, namespace: {namespace}}}, \
             spec: {{hosts: [e.com], ports: [{{number: 1, name: p, protocol: {protocol}}}], exportTo: [{export_to}]}}}}\n"
        )
    }

    #[test]
    fn entries_that_somebody_sees_together_have_to_agree() {
        let a = "IST0177 ServiceEntry a/e spec.ports[0].protocol";
        let b = "IST0177 ServiceEntry b/e spec.ports[0].protocol";
        let of = |one: &str, two: &str| found(&ServiceEntryProtocols, &format!("{one}{two}"));
        assert_eq!(of(&entry("a", "HTTP", ""), &entry("b", "HTTPS", "")), [a, b]);
        assert_eq!(of(&entry("a", "HTTP", "'.'"), &entry("b", "HTTPS", "'*'")), [a, b]);
        assert_eq!(of(&entry("a", "HTTP", "c"), &entry("b", "HTTPS", "c, d")), [a, b]);
        assert_eq!(of(&entry("a", "HTTP", "'.'"), &entry("b", "HTTPS", "'.'")), [""; 0]);
        assert_eq!(of(&entry("a", "HTTP", ""), &entry("b", "http", "")), [""; 0]);
    }
}
