//! The names under which a service is called.

use std::net::IpAddr;

/// What the names of a service come from.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceNames<'a> {
    /// Its host in full.
    pub host: &'a str,
    /// Hosts that stand for it (Services of type `ExternalName`).
    pub aliases: &'a [String],
    /// Whether each of its endpoints has a name of its own below the host (a Kubernetes Service without cluster IP).
    pub headless: bool,
    /// Addresses at which it is called.
    pub addresses: &'a [String],
}

/// A name under which a service is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The name, as a domain of a virtual host.
    pub name: String,
    /// Whether it is a short form: such a name belongs to the service that has it in full, if there is one.
    pub short: bool,
    /// Whether it stands for the endpoints of a headless service, by their own names.
    pub of_endpoints: bool,
}

impl ServiceNames<'_> {
    /// The names for a caller whose DNS domain is the given one: `default.svc.cluster.local` for a workload in
    /// Kubernetes.
    pub fn domains(&self, dns_domain: &str) -> Vec<Domain> {
        let mut domains = Vec::new();
        for host in std::iter::once(self.host).chain(self.aliases.iter().map(String::as_str)) {
            let full = [Some(literal(host)), has_dotted_form(host).then(|| format!("{host}."))];
            domains.extend(full.into_iter().flatten().map(|name| Domain { name, short: false, of_endpoints: false }));
            let short = short_forms(host, dns_domain).into_iter();
            domains.extend(short.map(|name| Domain { name, short: true, of_endpoints: false }));
        }
        if self.headless {
            let below = |domain: &Domain| Domain { name: format!("*.{}", domain.name), of_endpoints: true, ..*domain };
            let of_endpoints: Vec<_> = domains.iter().map(below).collect();
            domains.extend(of_endpoints);
        }
        let addresses = self.addresses.iter().map(|address| literal(address));
        domains.extend(addresses.map(|name| Domain { name, short: false, of_endpoints: false }));
        domains
    }
}

/// An IPv6 address stands in brackets in an authority.
pub(crate) fn literal(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

fn has_dotted_form(host: &str) -> bool {
    !host.starts_with('*') && host.parse::<IpAddr>().is_err()
}

/// What a search path of the caller's domain lets it leave out.
fn short_forms(host: &str, dns_domain: &str) -> Vec<String> {
    match dns_domain.split_once(".svc.") {
        Some((namespace, cluster)) => in_kubernetes(host, namespace, cluster),
        None => below_shared_suffix(host, dns_domain),
    }
}

/// Of a service of the same cluster: without the cluster's domain, without `svc`, and in its own namespace without that.
fn in_kubernetes(host: &str, namespace: &str, cluster: &str) -> Vec<String> {
    let Some(stem) = host.strip_suffix(cluster).and_then(|stem| stem.strip_suffix(".svc.")) else { return Vec::new() };
    let Some((name, home)) = stem.split_once('.') else { return Vec::new() };
    let own = (home == namespace).then(|| name.to_owned());
    own.into_iter().chain([format!("{stem}.svc"), stem.to_owned()]).collect()
}

/// Outside of Kubernetes: without the labels at the end that both have.
fn below_shared_suffix(host: &str, dns_domain: &str) -> Vec<String> {
    let shared = host.rsplit('.').zip(dns_domain.rsplit('.')).take_while(|(own, caller)| own == caller).count();
    let labels: Vec<&str> = host.split('.').collect();
    let unique = labels.len() - shared;
    if shared == 0 || unique == 0 {
        return Vec::new();
    }
    let mut forms = vec![labels[..unique].join(".")];
    if unique == 2 {
        forms.push(labels[..=unique].join("."));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(service: ServiceNames<'_>, dns_domain: &str) -> Vec<String> {
        service.domains(dns_domain).into_iter().map(|domain| domain.name).collect()
    }

    fn named(host: &str, dns_domain: &str) -> Vec<String> {
        names(ServiceNames { host, ..ServiceNames::default() }, dns_domain)
    }

    #[test]
    fn a_service_of_the_cluster_has_short_forms() {
        let host = "reviews.shop.svc.cluster.local";
        let away = [host, "reviews.shop.svc.cluster.local.", "reviews.shop.svc", "reviews.shop"];
        assert_eq!(named(host, "web.svc.cluster.local"), away);
        let home = [host, "reviews.shop.svc.cluster.local.", "reviews", "reviews.shop.svc", "reviews.shop"];
        assert_eq!(named(host, "shop.svc.cluster.local"), home);
    }

    #[test]
    fn other_hosts_have_none_in_kubernetes() {
        for host in ["api.example.com", "cluster.local", "reviews.shop.svc.other.local", "a.svc.cluster.local"] {
            assert_eq!(named(host, "shop.svc.cluster.local"), [host.to_owned(), format!("{host}.")], "{host}");
        }
    }

    #[test]
    fn outside_of_kubernetes_what_both_end_with_is_left_out() {
        assert_eq!(named("db.east.corp.net", "east.corp.net"), ["db.east.corp.net", "db.east.corp.net.", "db"]);
        let remote = ["db.east.corp.net", "db.east.corp.net.", "db.east", "db.east.corp"];
        assert_eq!(named("db.east.corp.net", "west.corp.net"), remote);
        assert_eq!(named("db.example.com", "east.corp.net"), ["db.example.com", "db.example.com."]);
    }

    #[test]
    fn an_address_and_a_wildcard_have_one_form() {
        for (host, expected) in [("10.0.0.1", "10.0.0.1"), ("2001:db8::1", "[2001:db8::1]"), ("*.a.com", "*.a.com")] {
            assert_eq!(named(host, "shop.svc.cluster.local"), [expected]);
        }
    }

    #[test]
    fn aliases_addresses_and_endpoints_are_names_too() {
        let (aliases, addresses) = (vec!["old.example.com".to_owned()], vec!["10.0.0.1".to_owned()]);
        let host = "new.example.com";
        let all = ServiceNames { host, aliases: &aliases, headless: true, addresses: &addresses };
        assert_eq!(
            names(all, "shop.svc.cluster.local"),
            [
                "new.example.com",
                "new.example.com.",
                "old.example.com",
                "old.example.com.",
                "*.new.example.com",
                "*.new.example.com.",
                "*.old.example.com",
                "*.old.example.com.",
                "10.0.0.1",
            ]
        );
    }
}
