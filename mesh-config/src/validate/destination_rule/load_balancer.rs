//! Load balancing and locality.

use std::collections::HashSet;

use super::super::checker::{At, Checker};
use super::super::common::duration;
use crate::api::destination_rule::{
    ConsistentHashLb, HttpCookie, LoadBalancerSettings, LocalityDistribute, LocalityFailover,
    LocalityLoadBalancerSetting, Maglev, WarmupConfiguration,
};

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, settings: &LoadBalancerSettings, has_outlier_detection: bool) {
    if settings.simple.is_some() && settings.consistent_hash.is_some() {
        cx.error(&at.field("consistentHash"), "only one of simple or consistentHash can be set");
    }
    if let Some(hash) = &settings.consistent_hash {
        check_hash(cx, &at.field("consistentHash"), hash);
    }
    if settings.locality_lb_setting.is_some() && settings.zone_aware_lb_setting.is_some() {
        let message = "only one of localityLbSetting and zoneAwareLbSetting can be set";
        cx.error(&at.field("zoneAwareLbSetting"), message);
    }
    if let Some(locality) = &settings.locality_lb_setting {
        check_locality(cx, &at.field("localityLbSetting"), locality, has_outlier_detection);
    }
    if let Some(zone_aware) = &settings.zone_aware_lb_setting {
        check_failover(cx, &at.field("zoneAwareLbSetting").field("failover"), &zone_aware.failover);
    }
    duration(cx, &at.field("warmupDurationSecs"), settings.warmup_duration_secs);
    if let Some(warmup) = &settings.warmup {
        check_warmup(cx, &at.field("warmup"), warmup);
    }
}

fn check_hash(cx: &mut Checker<'_>, at: &At<'_>, hash: &ConsistentHashLb) {
    let keys = [
        hash.http_header_name.is_some(),
        hash.http_cookie.is_some(),
        hash.use_source_ip.is_some(),
        hash.http_query_parameter_name.is_some(),
    ];
    if keys.iter().filter(|is_set| **is_set).count() > 1 {
        cx.error(at, "only one of httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName can be set");
    }
    if let Some(cookie) = &hash.http_cookie {
        check_cookie(cx, &at.field("httpCookie"), cookie);
    }
    if hash.minimum_ring_size != 0 {
        let at = at.field("minimumRingSize");
        let message =
            "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's RingHash configuration instead";
        cx.warn(&at, message);
        if hash.ring_hash.is_some() || hash.maglev.is_some() {
            cx.error(&at, "only one of MinimumRingSize or Maglev/Ringhash can be specified");
        }
    }
    if let Some(Maglev { table_size }) = hash.maglev {
        check_table_size(cx, &at.field("maglev"), table_size);
    }
}

fn check_cookie(cx: &mut Checker<'_>, at: &At<'_>, cookie: &HttpCookie) {
    cx.error_if(cookie.name.is_empty(), at, "name required for HttpCookie");
    let mut seen = HashSet::new();
    for (index, attribute) in cookie.attributes.iter().enumerate() {
        let at = at.field("attributes");
        let at = at.index(index);
        if attribute.name.is_empty() {
            cx.error(&at, "cookie attribute name cannot be empty");
        } else if !seen.insert(attribute.name.as_str()) {
            cx.error(&at.field("name"), format!("duplicate cookie attribute name: {}", attribute.name));
        }
    }
}

fn check_table_size(cx: &mut Checker<'_>, at: &At<'_>, size: u64) {
    const MOST: u64 = 5_000_011;
    if size == 0 {
        return cx.error(at, "tableSize must be set for maglev");
    }
    let at = at.field("tableSize");
    if size >= MOST {
        cx.error(&at, format!("tableSize must be less than {MOST} for maglev"));
    } else if !is_prime(size) {
        cx.error(&at, "tableSize must be a prime number for maglev");
    }
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|divisor| divisor * divisor <= n).all(|divisor| !n.is_multiple_of(divisor))
}

fn check_warmup(cx: &mut Checker<'_>, at: &At<'_>, warmup: &WarmupConfiguration) {
    cx.error_if(warmup.duration.is_none(), at, "duration is required");
    duration(cx, &at.field("duration"), warmup.duration);
    if warmup.minimum_percent.is_some_and(|percent| percent > 100.0) {
        cx.error(&at.field("minimumPercent"), "minimumPercent value should be less than or equal to 100");
    }
    if warmup.aggression.is_some_and(|aggression| aggression <= 0.0) {
        cx.error(&at.field("aggression"), "aggression should be greater than 0");
    }
}

fn check_locality(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    setting: &LocalityLoadBalancerSetting,
    has_outlier_detection: bool,
) {
    if !setting.distribute.is_empty() && !setting.failover.is_empty() {
        return cx.error(at, "can not simultaneously specify 'distribute' and 'failover'");
    }
    if !setting.failover.is_empty() {
        for (index, label) in setting.failover_priority.iter().enumerate() {
            if TOPOLOGY_LABELS.contains(&label.as_str()) {
                let message = format!(
                    "can not simultaneously set 'failover' and topology label '{label}' in 'failover_priority'"
                );
                return cx.error(&at.field("failoverPriority").index(index), message);
            }
        }
    }
    check_distribution(cx, &at.field("distribute"), &setting.distribute);
    if (!setting.failover.is_empty() || !setting.failover_priority.is_empty()) && !has_outlier_detection {
        cx.warn(at, "outlier detection policy must be provided for failover");
    }
    check_failover(cx, &at.field("failover"), &setting.failover);
}

const TOPOLOGY_LABELS: &[&str] =
    &["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

fn check_distribution(cx: &mut Checker<'_>, at: &At<'_>, distribute: &[LocalityDistribute]) {
    for (index, entry) in distribute.iter().enumerate() {
        let at = at.index(index);
        let at = at.field("to");
        if let Some((locality, _)) = entry.to.iter().find(|(_, weight)| !(1..=100).contains(*weight)) {
            return cx.error(&at.key(locality), "locality weight must be in range [1, 100]");
        }
        let total: u64 = entry.to.values().map(|weight| u64::from(*weight)).sum();
        if total != 100 {
            return cx.error(&at, format!("total locality weight {total} != 100"));
        }
        check_localities(cx, &at, entry.to.keys().map(String::as_str));
    }
    check_localities(cx, at, distribute.iter().map(|entry| entry.from.as_str()));
}

fn check_localities<'l>(cx: &mut Checker<'_>, at: &At<'_>, localities: impl Iterator<Item = &'l str>) {
    let mut earlier: Vec<&str> = Vec::new();
    for locality in localities {
        let stars = locality.matches('*').count();
        if stars > 1 || (stars == 1 && !locality.ends_with('*')) {
            return cx
                .error(at, format!("locality {locality} wildcard '*' number can not exceed 1 and must be in the end"));
        }
        if locality.splitn(3, '/').any(str::is_empty) {
            return cx.error(at, format!("locality {locality} must not contain empty region/zone/subzone info"));
        }
        if earlier.iter().any(|earlier| overlap(earlier, locality)) {
            return cx.error(at, format!("locality {locality} overlap with previous specified ones"));
        }
        earlier.push(locality);
    }
}

/// Whether two localities have places in common. One that ends early, or with a star, is everything below it.
fn overlap(a: &str, b: &str) -> bool {
    a.split('/').zip(b.split('/')).take_while(|(a, b)| *a != "*" && *b != "*").all(|(a, b)| a == b)
}

fn check_failover(cx: &mut Checker<'_>, at: &At<'_>, failover: &[LocalityFailover]) {
    for (index, LocalityFailover { from, to }) in failover.iter().enumerate() {
        let at = at.index(index);
        cx.error_if(from == to, &at, "locality lb failover settings must specify different regions");
        cx.error_if(from.contains('/') || to.contains('/'), &at, "locality lb failover only specify region");
        let has_star = from.contains('*') || to.contains('*');
        cx.error_if(has_star, &at, "locality lb failover region should not contain '*' wildcard");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_apart() {
        assert!([2, 3, 65_537, 4_999_999].into_iter().all(is_prime));
        assert!(![0, 1, 4, 65_536].into_iter().any(is_prime));
    }

    #[test]
    fn localities_overlap_where_one_is_above_the_other() {
        for (a, b, expected) in
            [("a/b/c", "a/b", true), ("a/*", "a/b/c", true), ("*", "a", true), ("a/b", "a/c", false), ("a", "b", false)]
        {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
        }
    }
}
