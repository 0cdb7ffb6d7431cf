//! Localities: which endpoints come first for a caller somewhere, and how much each place takes.
//!
//! As Istio lowers `localityLbSetting`: with outlier detection, endpoints of the caller's own subzone
//! come before those of its zone, its region, the region that takes over for it and all others;
//! `failoverPriority` orders by labels instead. `distribute` sets fixed shares, and drops endpoints of
//! places that it does not name. A rule without the setting has the mesh's, which is on unless turned
//! off: **outlier detection alone keeps traffic near.**

use mesh_config::api::destination_rule::{LocalityDistribute, LocalityLoadBalancerSetting};
use mesh_config::value::Labels;

use crate::Site;
use crate::cluster::{EndpointSpec, Locality};

/// What the locality of an endpoint has to do with the choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalitySpec {
    /// Which endpoints come first; `None` if all are alike.
    pub failover: Option<Failover>,
    /// Whether first a locality is chosen, by weight, and then an endpoint in it.
    pub weighted: bool,
    /// Percent for localities (`region/zone/subzone`, `*` at the end allowed). Endpoints elsewhere get
    /// nothing. Empty: a locality weighs as much as its endpoints together.
    pub shares: Vec<(Box<str>, u32)>,
}

/// The order of endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Failover {
    /// Where this workload runs.
    pub own: Locality,
    /// Labels with the values that count: the more of them an endpoint has, from the first on, the
    /// sooner it comes.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Whether endpoints that are alike by labels are ordered by locality.
    pub by_locality: bool,
    /// The region that takes over for our own.
    pub takes_over: Option<Box<str>>,
}

impl LocalitySpec {
    /// Endpoints are alike wherever they are.
    pub const NONE: &'static Self = &Self { failover: None, weighted: false, shares: Vec::new() };

    /// The rule's setting, else the mesh's, for a workload somewhere. `ejects` tells that there is
    /// outlier detection, without which nothing would ever fail over.
    pub(crate) fn lower(
        rule: Option<&LocalityLoadBalancerSetting>,
        mesh: Option<&LocalityLoadBalancerSetting>,
        ejects: bool,
        site: &Site,
    ) -> Self {
        let unset = LocalityLoadBalancerSetting::default();
        let setting = rule.or(mesh).unwrap_or(&unset);
        if setting.enabled == Some(false) {
            return Self::default();
        }
        let own = Locality::parse(&site.locality);
        if !setting.distribute.is_empty() {
            return Self { failover: None, weighted: true, shares: shares(&own, &setting.distribute) };
        }
        if !ejects {
            return Self::default();
        }
        let takes_over = setting.failover.iter().find(|failover| *failover.from == *own.region);
        let by_label = |entry: &String| label(entry, &own, &site.labels);
        Self {
            weighted: !setting.failover.is_empty() || !setting.failover_priority.is_empty(),
            shares: Vec::new(),
            failover: Some(Failover {
                labels: setting.failover_priority.iter().map(by_label).collect(),
                by_locality: setting.failover_priority.is_empty() || !setting.failover.is_empty(),
                takes_over: takes_over.map(|failover| failover.to.as_str().into()),
                own,
            }),
        }
    }

    /// Whether an endpoint gets anything at all.
    pub(super) fn has_share(&self, locality: &Locality) -> bool {
        self.shares.is_empty() || self.share_of(locality).is_some()
    }

    /// The first of the shares that is meant for a locality.
    pub(super) fn share_of(&self, locality: &Locality) -> Option<usize> {
        self.shares.iter().position(|(pattern, _)| locality.matches(pattern))
    }

    /// The less, the sooner; only the order counts.
    pub(super) fn rank(&self, endpoint: &EndpointSpec) -> usize {
        self.failover.as_ref().map_or(0, |failover| failover.rank(endpoint))
    }
}

impl Failover {
    fn rank(&self, endpoint: &EndpointSpec) -> usize {
        let has = |(key, value): &(Box<str>, Box<str>)| value_of(key, &endpoint.locality, &endpoint.labels) == &**value;
        let agree = self.labels.iter().take_while(|label| has(label)).count();
        // Localities have five ranks.
        let by_labels = 5 * (self.labels.len() - agree);
        by_labels + if self.by_locality { self.distance(&endpoint.locality) } else { 0 }
    }

    fn distance(&self, there: &Locality) -> usize {
        let own = &self.own;
        let same = [own.region == there.region, own.zone == there.zone, own.subzone == there.subzone];
        match (same, &self.takes_over) {
            ([true, true, true], _) => 0,
            ([true, true, false], _) => 1,
            ([true, false, _], _) => 2,
            ([false, ..], Some(region)) if *region != there.region => 4,
            ([false, ..], _) => 3,
        }
    }
}

/// The shares for callers at a place: those of the first entry that speaks of it.
fn shares(own: &Locality, distribute: &[LocalityDistribute]) -> Vec<(Box<str>, u32)> {
    let entry = distribute.iter().find(|entry| own.matches(&entry.from));
    let to = entry.map(|entry| &entry.to).into_iter().flatten();
    to.map(|(locality, percent)| (locality.as_str().into(), *percent)).collect()
}

/// `key=value`, or a key whose value is that of this workload.
fn label(entry: &str, own: &Locality, labels: &Labels) -> (Box<str>, Box<str>) {
    match entry.split_once('=') {
        Some((key, value)) => (key.into(), value.into()),
        None => (entry.into(), value_of(entry, own, labels).into()),
    }
}

/// A label of a workload, to which Istio adds those of its locality; empty if it has none, as a missing
/// label is as good as any other.
fn value_of<'a>(key: &str, locality: &'a Locality, labels: &'a Labels) -> &'a str {
    let of_locality: &str = match key {
        "topology.kubernetes.io/region" => &locality.region,
        "topology.kubernetes.io/zone" => &locality.zone,
        "topology.istio.io/subzone" => &locality.subzone,
        _ => "",
    };
    if of_locality.is_empty() { labels.get(key).map_or("", String::as_str) } else { of_locality }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::EndpointAddress;

    fn lowered(rule: &Value, mesh: &Value, ejects: bool, locality: &str, labels: &[(&str, &str)]) -> LocalitySpec {
        let read = |json: &Value| (!json.is_null()).then(|| serde_json::from_value(json.clone()).unwrap());
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let site = Site { locality: locality.into(), labels, ..Site::default() };
        LocalitySpec::lower(read(rule).as_ref(), read(mesh).as_ref(), ejects, &site)
    }

    fn ranks(spec: &LocalitySpec, endpoints: &[(&str, &[(&str, &str)])]) -> Vec<usize> {
        let endpoint = |(locality, labels): &(&str, &[(&str, &str)])| {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let address = EndpointAddress::parse("10.0.0.1", 80).unwrap();
            spec.rank(&EndpointSpec { locality: Locality::parse(locality), labels, ..EndpointSpec::at(address) })
        };
        endpoints.iter().map(endpoint).collect()
    }

    const PLACES: [(&str, &[(&str, &str)]); 6] =
        [("e/1/a", &[]), ("e/1/b", &[]), ("e/2/a", &[]), ("w/1/a", &[]), ("c/1/a", &[]), ("", &[])];

    #[test]
    fn with_outlier_detection_near_endpoints_come_first() {
        let spec = lowered(&Value::Null, &Value::Null, true, "e/1/a", &[]);
        assert_eq!(ranks(&spec, &PLACES), [0, 1, 2, 3, 3, 3]);
        assert!(!spec.weighted);
        assert_eq!(lowered(&Value::Null, &Value::Null, false, "e/1/a", &[]), LocalitySpec::default());
    }

    #[test]
    fn a_workload_without_a_place_prefers_endpoints_without_one() {
        let spec = lowered(&Value::Null, &Value::Null, true, "", &[]);
        assert_eq!(ranks(&spec, &PLACES), [3, 3, 3, 3, 3, 0]);
    }

    #[test]
    fn one_region_takes_over_before_all_others() {
        let rule = json!({"failover": [{"from": "w", "to": "e"}, {"from": "e", "to": "c"}]});
        let spec = lowered(&rule, &Value::Null, true, "e/1/a", &[]);
        assert_eq!(ranks(&spec, &PLACES), [0, 1, 2, 4, 3, 4]);
        assert!(spec.weighted);
        assert_eq!(ranks(&lowered(&rule, &Value::Null, true, "c/1/a", &[]), &PLACES), [3, 3, 3, 3, 0, 3]);
    }

    #[test]
    fn the_rule_counts_before_the_mesh_and_may_turn_it_off() {
        let off = json!({"enabled": false});
        assert!(lowered(&off, &json!({"enabled": true}), true, "e", &[]).failover.is_none());
        assert!(lowered(&Value::Null, &off, true, "e", &[]).failover.is_none());
        assert!(lowered(&json!({}), &off, true, "e", &[]).failover.is_some());
    }

    #[test]
    fn labels_count_from_the_first_on() {
        let rule = json!({"failoverPriority": ["version", "topology.kubernetes.io/region"]});
        let spec = lowered(&rule, &Value::Null, true, "e/1/a", &[("version", "1")]);
        let endpoints: [(&str, &[(&str, &str)]); 4] = [
            ("e/2/a", &[("version", "1")]),
            ("w/1/a", &[("version", "1")]),
            ("e/1/a", &[("version", "2")]),
            ("w/1/a", &[]),
        ];
        assert_eq!(ranks(&spec, &endpoints), [0, 5, 10, 10]);
        let given = lowered(&json!({"failoverPriority": ["version=2"]}), &Value::Null, true, "", &[("version", "1")]);
        assert_eq!(ranks(&given, &endpoints), [5, 5, 0, 5]);
        let neither = lowered(&json!({"failoverPriority": ["version"]}), &Value::Null, true, "", &[]);
        assert_eq!(ranks(&neither, &endpoints), [5, 5, 5, 0]);
    }

    #[test]
    fn localities_order_what_is_alike_by_labels() {
        let rule = json!({"failoverPriority": ["version"], "failover": [{"from": "e", "to": "c"}]});
        let spec = lowered(&rule, &Value::Null, true, "e/1/a", &[("version", "1")]);
        let endpoints: [(&str, &[(&str, &str)]); 3] =
            [("w/1/a", &[("version", "1")]), ("e/1/a", &[("version", "2")]), ("c/1/a", &[("version", "1")])];
        assert_eq!(ranks(&spec, &endpoints), [4, 5, 3]);
    }

    #[test]
    fn fixed_shares_are_those_of_the_first_entry_for_the_caller() {
        let rule = json!({"distribute": [
            {"from": "e/2/*", "to": {"e/2/*": 100}},
            {"from": "e/*", "to": {"e/1/*": 80, "w": 20}},
            {"from": "e/1/a", "to": {"c": 100}},
        ]});
        let spec = lowered(&rule, &Value::Null, false, "e/1/a", &[]);
        let share = |locality: &str| spec.share_of(&Locality::parse(locality)).map(|share| spec.shares[share].1);
        assert_eq!([share("e/1/b"), share("w/7"), share("e/2/a"), share("c")], [Some(80), Some(20), None, None]);
        assert!(!spec.has_share(&Locality::parse("c")));
        let elsewhere = lowered(&rule, &Value::Null, true, "c", &[]);
        assert!(elsewhere.weighted && elsewhere.has_share(&Locality::parse("w")) && elsewhere.failover.is_none());
    }
}
