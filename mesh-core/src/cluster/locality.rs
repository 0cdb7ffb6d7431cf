//! Where an endpoint or a workload runs.

use std::fmt;

/// `region/zone/subzone`, each part possibly empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// The region.
    pub region: Box<str>,
    /// The zone in the region.
    pub zone: Box<str>,
    /// The part of the zone.
    pub subzone: Box<str>,
}

impl Locality {
    /// Reads `region/zone/subzone`; parts may be missing from the right, what comes after the third
    /// (a rack) does not count.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split('/').map(Into::into);
        let mut next = || parts.next().unwrap_or_default();
        Self { region: next(), zone: next(), subzone: next() }
    }

    /// Whether a rule's `region/zone/subzone` means this one. `*` is any, and so is a zone or subzone
    /// that is left out.
    pub fn matches(&self, rule: &str) -> bool {
        let rule = Self::parse(rule);
        let fits = |rule: &str, own: &str| rule == "*" || rule == own;
        fits(&rule.region, &self.region)
            && (rule.zone.is_empty() || fits(&rule.zone, &self.zone))
            && (rule.subzone.is_empty() || fits(&rule.subzone, &self.subzone))
    }

    /// A zone whose region is not known.
    pub fn of_zone(zone: &str) -> Self {
        Self { zone: zone.into(), ..Self::default() }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.region.is_empty() && self.zone.is_empty() && self.subzone.is_empty()
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.region, &self.zone, &self.subzone].map(|part| &**part);
        let known = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        f.write_str(&parts[..known].join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_be_missing_from_the_right() {
        for text in ["", "eu", "eu/west", "eu/west/rack-1"] {
            assert_eq!(Locality::parse(text).to_string(), text);
        }
        assert_eq!(Locality::parse("eu/west/1/rack-1"), Locality::parse("eu/west/1"));
        assert_eq!(Locality::of_zone("b").to_string(), "/b");
        assert!(Locality::parse("").is_empty());
    }

    #[test]
    fn a_rule_may_leave_open_what_stands_at_the_end() {
        let own = Locality::parse("eu/west/1");
        for rule in ["eu", "eu/*", "eu/west", "eu/west/*", "eu/west/1", "*"] {
            assert!(own.matches(rule), "{rule}");
        }
        for rule in ["us", "eu/east", "eu/west/2", "", "eu/east/*"] {
            assert!(!own.matches(rule), "{rule}");
        }
        assert!(Locality::default().matches("*") && !Locality::parse("eu/west").matches("eu/west/1"));
    }
}
