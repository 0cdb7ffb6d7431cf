//! The hosts of an egress listener: `namespace/host`, with `*`, `.` and `~` for the namespace.

use std::collections::{HashMap, HashSet};

use mesh_config::value::host;

/// Any namespace.
const ANY: &str = "*";

/// What an egress listener lets in, and what it leaves out again.
#[derive(Debug, Default)]
pub(super) struct EgressHosts {
    imported: HashMap<String, Patterns>,
    excluded: HashMap<String, Patterns>,
}

impl EgressHosts {
    /// Reads the entries as a workload of `namespace` means them. What is not `namespace/host` says nothing.
    pub(super) fn read<'h>(entries: impl IntoIterator<Item = &'h str>, namespace: &str) -> Self {
        let mut hosts = Self::default();
        for entry in entries {
            let Some((scope, host)) = entry.split_once('/').filter(|(_, host)| !host.contains('/')) else { continue };
            // `~prod/x` leaves out what another entry lets in; `~` alone is a namespace that there is not.
            let (side, scope) = match scope.strip_prefix('~').filter(|rest| !rest.is_empty()) {
                Some(scope) => (&mut hosts.excluded, scope),
                None => (&mut hosts.imported, scope),
            };
            let scope = if scope == "." { namespace } else { scope };
            side.entry(scope.to_owned()).or_default().add(host);
        }
        hosts
    }

    /// Whether a service of a namespace is let in.
    pub(super) fn take_service(&self, namespace: &str, host: &str) -> bool {
        covers(&self.imported, namespace, host) && !covers(&self.excluded, namespace, host)
    }

    /// Whether a VirtualService of a namespace is let in: one of its hosts has to have names in
    /// common with what is.
    pub(super) fn take_rules<'h>(&self, namespace: &str, mut hosts: impl Iterator<Item = &'h str>) -> bool {
        hosts.any(|host| {
            !covers(&self.excluded, namespace, host)
                && of_namespace(&self.imported, namespace).any(|patterns| patterns.touch(host))
        })
    }
}

fn of_namespace<'p>(side: &'p HashMap<String, Patterns>, namespace: &str) -> impl Iterator<Item = &'p Patterns> {
    side.get(namespace).into_iter().chain(side.get(ANY))
}

fn covers(side: &HashMap<String, Patterns>, namespace: &str, host: &str) -> bool {
    of_namespace(side, namespace).any(|patterns| patterns.cover(host))
}

/// Exact hosts, of which there may be many, and wildcards.
#[derive(Debug, Default)]
struct Patterns {
    exact: HashSet<String>,
    wildcards: Vec<String>,
}

impl Patterns {
    fn add(&mut self, host: &str) {
        let host = host.to_ascii_lowercase();
        if host::is_wildcard(&host) {
            self.wildcards.push(host);
        } else {
            self.exact.insert(host);
        }
    }

    fn cover(&self, host: &str) -> bool {
        self.exact.contains(host) || self.wildcards.iter().any(|wildcard| host::subset_of(host, wildcard))
    }

    fn touch(&self, host: &str) -> bool {
        self.exact.contains(host)
            || self.wildcards.iter().any(|wildcard| host::matches(host, wildcard))
            || (host::is_wildcard(host) && self.exact.iter().any(|exact| host::matches(host, exact)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services<'s>(entries: &[&str], candidates: &[&'s str]) -> Vec<&'s str> {
        let hosts = EgressHosts::read(entries.iter().copied(), "default");
        let taken = |candidate: &&&str| {
            let (namespace, host) = candidate.split_once('/').unwrap();
            hosts.take_service(namespace, host)
        };
        candidates.iter().filter(taken).copied().collect()
    }

    const ALL: &[&str] = &["default/a.com", "prod/a.com", "prod/b.com", "prod/*.b.com"];

    #[test]
    fn a_namespace_is_a_name_or_stands_for_its_own_or_any() {
        assert_eq!(services(&["./*"], ALL), ["default/a.com"]);
        assert_eq!(services(&["prod/*"], ALL), ["prod/a.com", "prod/b.com", "prod/*.b.com"]);
        assert_eq!(services(&["*/a.com"], ALL), ["default/a.com", "prod/a.com"]);
        assert_eq!(services(&["*/*"], ALL), ALL);
        assert_eq!(services(&["~/*"], ALL), [""; 0]);
    }

    #[test]
    fn a_wildcard_takes_what_lies_in_it_and_never_what_is_wider() {
        assert_eq!(services(&["prod/*.com"], ALL), ["prod/a.com", "prod/b.com", "prod/*.b.com"]);
        assert_eq!(services(&["prod/x.b.com"], ALL), [""; 0]);
        assert_eq!(services(&["prod/*.b.com"], ALL), ["prod/*.b.com"]);
    }

    #[test]
    fn an_exclusion_takes_out_what_another_entry_lets_in_whatever_the_order() {
        assert_eq!(services(&["~prod/b.com", "prod/*"], ALL), ["prod/a.com", "prod/*.b.com"]);
        assert_eq!(services(&["*/*", "~*/a.com", "~./*"], ALL), ["prod/b.com", "prod/*.b.com"]);
    }

    #[test]
    fn what_is_not_of_the_form_says_nothing() {
        assert_eq!(services(&["a.com", "prod/a.com/x"], ALL), [""; 0]);
    }

    #[test]
    fn rules_are_let_in_if_one_host_has_a_name_in_common() {
        let rules = |entry: &str, hosts: &[&str]| {
            EgressHosts::read([entry], "default").take_rules("prod", hosts.iter().copied())
        };
        assert!(rules("prod/x.b.com", &["a.com", "*.b.com"]));
        assert!(rules("prod/*.b.com", &["x.b.com"]));
        assert!(!rules("prod/x.b.com", &["y.b.com"]));
        assert!(!rules("./*", &["x.b.com"]));
    }
}
