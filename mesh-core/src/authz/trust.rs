//! Trust domains that stand for each other in policies.

use super::text::TextMatch;
use crate::identity::TrustDomains;

/// Stands for the mesh's own trust domain, whatever that is.
const LOCAL: &str = "cluster.local";

impl TrustDomains {
    /// The principals that a principal of a policy stands for: one of the mesh's trust domain, or of an alias, stands
    /// for that in all of them. One without exactly the five parts of an identity stands for itself.
    pub fn expand_principal(&self, principal: &str) -> Vec<String> {
        let Some((domain, rest)) = domain_of(principal).filter(|(domain, _)| *domain != "*") else {
            return vec![principal.to_owned()];
        };
        let pattern = TextMatch::parse(domain);
        if domain != LOCAL && !self.iter().any(|own| pattern.matches(own.as_bytes())) {
            return vec![principal.to_owned()];
        }
        let mut principals = Vec::new();
        for own in self.iter() {
            // A pattern that the domain is in already says so.
            let covers = matches!(&pattern, TextMatch::Suffix(_)) && pattern.matches(own.as_bytes());
            let expanded = if covers { principal.to_owned() } else { format!("{own}/{rest}") };
            if !principals.contains(&expanded) {
                principals.push(expanded);
            }
        }
        principals
    }

    /// The trust domains that one of a policy stands for. Patterns stand for themselves.
    pub fn expand_domain<'a>(&'a self, domain: &'a str) -> Vec<&'a str> {
        if self.iter().any(|own| own == domain) { self.iter().collect() } else { vec![domain] }
    }
}

/// The trust domain of a principal as a policy writes it, `td/ns/x/sa/y`, and what follows it.
pub fn domain_of(principal: &str) -> Option<(&str, &str)> {
    let (domain, rest) = principal.split_once('/')?;
    (principal.split('/').count() == 5).then_some((domain, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_of_the_mesh_stands_for_that_of_every_alias() {
        let domains = TrustDomains::new(["td2", "td1", "old-td"]);
        let expanded = |principal: &str| domains.expand_principal(principal).join(" ");
        let all = "td2/ns/a/sa/b td1/ns/a/sa/b old-td/ns/a/sa/b";
        assert_eq!(expanded("td1/ns/a/sa/b"), all);
        assert_eq!(expanded("cluster.local/ns/a/sa/b"), all);
        assert_eq!(expanded("*-td/ns/a/sa/b"), "td2/ns/a/sa/b td1/ns/a/sa/b *-td/ns/a/sa/b");
        for alone in ["other/ns/a/sa/b", "*/ns/a/sa/b", "td1/*", "*", "td1/ns/a"] {
            assert_eq!(expanded(alone), alone);
        }
    }

    #[test]
    fn only_exact_domains_of_the_mesh_stand_for_each_other() {
        let domains = TrustDomains::new(["td2", "td1"]);
        assert_eq!(domains.expand_domain("td1"), ["td2", "td1"]);
        assert_eq!(domains.expand_domain("td*"), ["td*"]);
        assert_eq!(domains.expand_domain("cluster.local"), ["cluster.local"]);
    }
}
