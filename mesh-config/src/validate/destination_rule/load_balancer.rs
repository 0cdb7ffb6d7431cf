//! Load balancing and locality.

use std::collections::HashSet;

use super::super::checker::{At, Checker};
use super::super::common::duration;
use super::locality::{check_locality, check_zone_aware};
use crate::api::destination_rule::{ConsistentHashLb, HttpCookie, LoadBalancerSettings, Maglev, WarmupConfiguration};

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
        check_zone_aware(cx, &at.field("zoneAwareLbSetting"), zone_aware, has_outlier_detection);
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
    cx.error_if(size >= MOST, &at, &format!("tableSize must be less than {MOST} for maglev"));
    cx.error_if(!is_prime(size), &at, "tableSize must be a prime number for maglev");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_apart() {
        assert!([2, 3, 65_537, 4_999_999].into_iter().all(is_prime));
        assert!(![0, 1, 4, 65_536].into_iter().any(is_prime));
    }
}
