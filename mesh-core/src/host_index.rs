//! Finds the virtual host of an authority: exact, then longest `*suffix`, then longest `prefix*`, then `*`.
//!
//! As Envoy: case and the port in the authority do not count, and a choice is final: a virtual
//! host without a matching route does not hand the request on to another one. Looking up costs one
//! hash per distinct wildcard length, whatever the number of hosts.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::snapshot::VhostId;

/// The domains of one route table.
#[derive(Clone, Debug, Default)]
pub struct HostIndex {
    exact: HashMap<Box<str>, VhostId, RandomState>,
    suffix: Wildcards,
    prefix: Wildcards,
    any: Option<VhostId>,
}

/// Wildcards by what stands beside the `*`, and the lengths that occur, longest first.
#[derive(Clone, Debug, Default)]
struct Wildcards {
    by_fixed_part: HashMap<Box<str>, VhostId, RandomState>,
    lengths: Vec<usize>,
}

impl HostIndex {
    /// Adds a domain (any case; `*`, `*.example.com`, `example.*` or exact).
    ///
    /// The first virtual host that claims a domain keeps it: `Err` names the one that has it.
    pub fn insert(&mut self, domain: &str, vhost: VhostId) -> Result<(), VhostId> {
        let domain = domain.to_ascii_lowercase();
        if domain == "*" {
            return claim(&mut self.any, vhost);
        }
        if let Some(suffix) = domain.strip_prefix('*') {
            return self.suffix.insert(suffix, vhost);
        }
        if let Some(prefix) = domain.strip_suffix('*') {
            return self.prefix.insert(prefix, vhost);
        }
        match self.exact.get(domain.as_str()) {
            Some(owner) => Err(*owner),
            None => {
                self.exact.insert(domain.into(), vhost);
                Ok(())
            }
        }
    }

    /// The virtual host of an authority as the caller sent it; `None` for an unknown one.
    pub fn find(&self, authority: &str) -> Option<VhostId> {
        let host = host_of(authority)?;
        if !host.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.find_lower(host);
        }
        // A host name has at most 255 bytes; a longer one can only match `*`.
        let mut buffer = [0_u8; 256];
        let Some(lower) = buffer.get_mut(..host.len()) else { return self.any };
        lower.copy_from_slice(host.as_bytes());
        lower.make_ascii_lowercase();
        std::str::from_utf8(lower).map_or(self.any, |lower| self.find_lower(lower))
    }

    /// The domains and their virtual hosts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (String, VhostId)> {
        let exact = self.exact.iter().map(|(domain, vhost)| (domain.to_string(), *vhost));
        let suffix = self.suffix.by_fixed_part.iter().map(|(part, vhost)| (format!("*{part}"), *vhost));
        let prefix = self.prefix.by_fixed_part.iter().map(|(part, vhost)| (format!("{part}*"), *vhost));
        exact.chain(suffix).chain(prefix).chain(self.any.map(|vhost| ("*".to_owned(), vhost)))
    }

    /// The domain by which [`find`](Self::find) finds the virtual host of an authority.
    pub fn domain_of(&self, authority: &str) -> Option<String> {
        let host = host_of(authority)?.to_ascii_lowercase();
        if self.exact.contains_key(host.as_str()) {
            return Some(host);
        }
        let suffix = self.suffix.longest_part(&host, |host, length| host.get(host.len() - length..));
        let prefix = || self.prefix.longest_part(&host, |host, length| host.get(..length));
        suffix
            .map(|part| format!("*{part}"))
            .or_else(|| prefix().map(|part| format!("{part}*")))
            .or_else(|| self.any.map(|_| "*".to_owned()))
    }

    /// The virtual hosts behind the domains, in no order, those of several domains several times.
    pub fn vhosts(&self) -> Vec<VhostId> {
        let maps = [&self.exact, &self.suffix.by_fixed_part, &self.prefix.by_fixed_part];
        maps.into_iter().flat_map(|map| map.values().copied()).chain(self.any).collect()
    }

    /// The number of domains.
    pub fn len(&self) -> usize {
        self.exact.len()
            + self.suffix.by_fixed_part.len()
            + self.prefix.by_fixed_part.len()
            + usize::from(self.any.is_some())
    }

    /// Whether there is no domain at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find_lower(&self, host: &str) -> Option<VhostId> {
        self.exact
            .get(host)
            .copied()
            .or_else(|| self.suffix.longest(host, |host, length| host.get(host.len() - length..)))
            .or_else(|| self.prefix.longest(host, |host, length| host.get(..length)))
            .or(self.any)
    }
}

impl Wildcards {
    fn insert(&mut self, fixed_part: &str, vhost: VhostId) -> Result<(), VhostId> {
        if let Some(owner) = self.by_fixed_part.get(fixed_part) {
            return Err(*owner);
        }
        self.by_fixed_part.insert(fixed_part.into(), vhost);
        if let Err(place) = self.lengths.binary_search_by(|length| fixed_part.len().cmp(length)) {
            self.lengths.insert(place, fixed_part.len());
        }
        Ok(())
    }

    fn longest_part<'h>(&self, host: &'h str, cut: impl Fn(&'h str, usize) -> Option<&'h str>) -> Option<&'h str> {
        let lengths = self.lengths.iter().filter(|length| **length < host.len());
        lengths.filter_map(|length| cut(host, *length)).find(|part| self.by_fixed_part.contains_key(*part))
    }

    fn longest(&self, host: &str, cut: impl Fn(&str, usize) -> Option<&str>) -> Option<VhostId> {
        // The `*` stands for at least one character.
        self.lengths
            .iter()
            .filter(|length| **length < host.len())
            .find_map(|length| cut(host, *length).and_then(|part| self.by_fixed_part.get(part)))
            .copied()
    }
}

fn claim(slot: &mut Option<VhostId>, vhost: VhostId) -> Result<(), VhostId> {
    match slot {
        Some(owner) => Err(*owner),
        None => {
            *slot = Some(vhost);
            Ok(())
        }
    }
}

/// The host part of an authority, the port cut off; `None` for one that matches no host.
///
/// One colon and what follows it goes, an empty or non-numeric port too. An IPv6 literal keeps its
/// brackets. Two colons outside brackets, or user information, match nothing.
pub fn host_of(authority: &str) -> Option<&str> {
    if authority.contains('@') {
        return None;
    }
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let rest = &authority[end..];
        return (rest.is_empty() || (rest.starts_with(':') && !rest[1..].contains(':'))).then(|| &authority[..end]);
    }
    match authority.split_once(':') {
        None => Some(authority),
        Some((_, port)) if port.contains(':') => None,
        Some((host, _)) => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(domains: &[&str]) -> HostIndex {
        let mut index = HostIndex::default();
        for (n, domain) in domains.iter().enumerate() {
            index.insert(domain, VhostId(n as u32)).unwrap();
        }
        index
    }

    fn found(index: &HostIndex, authority: &str) -> Option<u32> {
        index.find(authority).map(|vhost| vhost.0)
    }

    #[test]
    fn the_most_specific_domain_wins() {
        let index = index(&["*", "*.com", "*.example.com", "www.*", "www.example.com"]);
        assert_eq!(found(&index, "www.example.com"), Some(4));
        assert_eq!(found(&index, "api.example.com"), Some(2));
        assert_eq!(found(&index, "example.com"), Some(1));
        assert_eq!(found(&index, "www.example.org"), Some(3));
        assert_eq!(found(&index, "elsewhere"), Some(0));
    }

    #[test]
    fn case_and_port_do_not_count() {
        let index = index(&["Reviews", "[::1]"]);
        for authority in ["reviews", "REVIEWS", "reviews:9080", "Reviews:", "reviews:abc"] {
            assert_eq!(found(&index, authority), Some(0), "{authority}");
        }
        assert_eq!(found(&index, "[::1]:80"), Some(1));
    }

    #[test]
    fn two_colons_and_user_information_match_nothing() {
        let index = index(&["*", "a"]);
        for authority in ["a:1:2", "me@a", "[::1]x", "[::1"] {
            assert_eq!(found(&index, authority), None, "{authority}");
        }
    }

    #[test]
    fn a_wildcard_does_not_match_its_bare_suffix() {
        assert_eq!(found(&index(&["*.example.com"]), ".example.com"), None);
    }

    #[test]
    fn the_first_to_claim_a_domain_keeps_it() {
        let mut index = index(&["a", "*.b"]);
        assert_eq!(index.insert("A", VhostId(7)), Err(VhostId(0)));
        assert_eq!(index.insert("*.B", VhostId(7)), Err(VhostId(1)));
        assert_eq!(index.len(), 2);
    }
}
