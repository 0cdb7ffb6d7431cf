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
    /// belongs to it.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/').map(Into::into);
        let mut next = || parts.next().unwrap_or_default();
        Self { region: next(), zone: next(), subzone: next() }
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
        assert_eq!(Locality::of_zone("b").to_string(), "/b");
        assert!(Locality::parse("").is_empty());
    }
}
