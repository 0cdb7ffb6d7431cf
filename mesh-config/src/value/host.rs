//! Host names: which are valid, how a short one is completed, and which of several patterns is meant.
//!
//! A host is text; one that begins with `*` is a wildcard for everything that ends as it does. `*.foo.com` does not cover
//! `foo.com`. Comparisons are byte for byte: hosts of requests are put in lower case before they get here.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;

mod check;
mod gateway_name;

pub use check::{check_fqdn, check_gateway_domain, check_wildcard_domain, is_dns_label, is_partial_wildcard};
pub use gateway_name::{check_gateway_name, resolve_gateway_name};

/// Whether the host is a wildcard.
#[must_use]
pub fn is_wildcard(host: &str) -> bool {
    host.starts_with('*')
}

/// Whether some name is covered by both hosts.
///
/// ```
/// use mesh_config::value::host;
///
/// assert!(host::matches("*.foo.com", "a.foo.com"));
/// assert!(host::matches("*.com", "*.foo.com"));
/// assert!(!host::matches("*.foo.com", "foo.com"));
/// ```
#[must_use]
pub fn matches(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (None, None) => a == b,
        (Some(suffix), None) => b.ends_with(suffix),
        (None, Some(suffix)) => a.ends_with(suffix),
        (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
    }
}

/// Whether every name that `host` covers is covered by `of`. A wildcard is never a part of an exact host.
#[must_use]
pub fn subset_of(host: &str, of: &str) -> bool {
    match (host.strip_prefix('*'), of.strip_prefix('*')) {
        (None, None) => host == of,
        (Some(_), None) => false,
        (None, Some(suffix)) => host.ends_with(suffix),
        (Some(host), Some(of)) => host.ends_with(of),
    }
}

/// Orders hosts, the more specific first: exact before wildcard, longer before shorter, then by alphabet.
#[must_use]
pub fn by_specificity(a: &str, b: &str) -> Ordering {
    is_wildcard(a).cmp(&is_wildcard(b)).then_with(|| b.len().cmp(&a.len())).then_with(|| a.cmp(b))
}

/// Of the hosts, the most specific one that covers `needle`.
///
/// An exact needle finds itself or a wildcard; a wildcard finds itself or a wider one, and never an exact host.
#[must_use]
pub fn most_specific_match<'a>(needle: &str, hosts: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    hosts.into_iter().filter(|host| subset_of(needle, host)).min_by(|a, b| by_specificity(a, b))
}

/// The hosts that both lists cover: of each pair that has names in common, the narrower one, without repetition.
#[must_use]
pub fn intersection<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<&'a str> {
    let mut common = Vec::new();
    for left in a {
        for right in b {
            let narrower = if subset_of(left, right) {
                *left
            } else if subset_of(right, left) {
                *right
            } else {
                continue;
            };
            if !common.contains(&narrower) {
                common.push(narrower);
            }
        }
    }
    common
}

/// Of hosts with an optional namespace in front (`ns/host`, `*/host`), those that are open to a namespace, without it.
#[must_use]
pub fn for_namespace<'a>(hosts: &[&'a str], namespace: &str) -> Vec<&'a str> {
    hosts
        .iter()
        .filter_map(|scoped| match scoped.split_once('/') {
            None => Some(*scoped),
            Some((scope, host)) => (scope == "*" || scope == namespace).then_some(host),
        })
        .collect()
}

/// Completes a short name with the namespace of the object it stands in, and with the cluster domain where there is one.
///
/// Left as they are: `*`, addresses, and whatever holds a dot. `reviews.prod` counts as a full name.
///
/// ```
/// use mesh_config::value::host::resolve_short_name;
///
/// assert_eq!(
///     resolve_short_name("reviews", "default", "cluster.local"),
///     "reviews.default.svc.cluster.local"
/// );
/// assert_eq!(resolve_short_name("reviews.prod", "default", "cluster.local"), "reviews.prod");
/// ```
#[must_use]
pub fn resolve_short_name(host: &str, namespace: &str, cluster_domain: &str) -> String {
    if host == "*" || host.contains('.') || host.parse::<IpAddr>().is_ok() {
        return host.to_owned();
    }
    let mut full = host.to_owned();
    if !namespace.is_empty() {
        full.push('.');
        full.push_str(namespace);
    }
    if !cluster_domain.is_empty() {
        full.push_str(".svc.");
        full.push_str(cluster_domain);
    }
    full
}

/// Values by host, of which the most specific for a name can be found.
///
/// Exact hosts are found at once; a wildcard costs one look-up for each dot-separated suffix, and a scan of those few that
/// do not begin with `*.`.
#[derive(Clone, Debug)]
pub struct HostMap<T> {
    hosts: HashMap<Box<str>, T>,
    /// Wildcards such as `*` and `*foo.com`, the most specific first.
    partial: Vec<Box<str>>,
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self { hosts: HashMap::new(), partial: Vec::new() }
    }
}

impl<T> HostMap<T> {
    /// A map without hosts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host unless it is there; the value that was there first stays and comes back.
    pub fn insert_first(&mut self, host: &str, value: T) -> &mut T {
        if is_wildcard(host) && !host.starts_with("*.") && !self.hosts.contains_key(host) {
            self.partial.push(host.into());
            self.partial.sort_by(|a, b| by_specificity(a, b));
        }
        self.hosts.entry(host.into()).or_insert(value)
    }

    /// The value of exactly this host.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<&T> {
        self.hosts.get(host)
    }

    /// The value of exactly this host, to be changed.
    pub fn get_mut(&mut self, host: &str) -> Option<&mut T> {
        self.hosts.get_mut(host)
    }

    /// The most specific host that covers `needle`, as [`most_specific_match`] finds it.
    #[must_use]
    pub fn most_specific(&self, needle: &str) -> Option<(&str, &T)> {
        if let Some(found) = self.entry(needle) {
            return Some(found);
        }
        let dotted = self.longest_suffix(needle);
        let partial = self.partial.iter().find(|host| subset_of(needle, host)).and_then(|host| self.entry(host));
        match (dotted, partial) {
            (Some(dotted), Some(partial)) => {
                let dotted_first = by_specificity(dotted.0, partial.0).is_le();
                Some(if dotted_first { dotted } else { partial })
            }
            (dotted, partial) => dotted.or(partial),
        }
    }

    /// The longest `*.suffix` that covers `needle`.
    fn longest_suffix(&self, needle: &str) -> Option<(&str, &T)> {
        let rest = needle.strip_prefix('*').unwrap_or(needle);
        let mut pattern = String::with_capacity(rest.len() + 1);
        rest.match_indices('.').find_map(|(at, _)| {
            pattern.clear();
            pattern.push('*');
            pattern.push_str(&rest[at..]);
            self.entry(&pattern)
        })
    }

    fn entry(&self, host: &str) -> Option<(&str, &T)> {
        self.hosts.get_key_value(host).map(|(host, value)| (&**host, value))
    }

    /// The hosts and their values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.hosts.iter().map(|(host, value)| (&**host, value))
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}

#[cfg(test)]
mod tests;
