//! Where traffic goes by locality.

use super::super::checker::{At, Checker};
use crate::api::destination_rule::{
    LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting, ZoneAwareLoadBalancerSetting,
};
use crate::value::locality::check_localities;

/// Checks the setting of a rule, or that of the mesh.
pub(in super::super) fn check_locality(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    setting: &LocalityLoadBalancerSetting,
    has_outlier_detection: bool,
) {
    if !setting.distribute.is_empty() && !setting.failover.is_empty() {
        return cx.error(at, "can not simultaneously specify 'distribute' and 'failover'");
    }
    if !setting.failover.is_empty() {
        check_priorities(cx, &at.field("failoverPriority"), &setting.failover_priority, |label| {
            format!("can not simultaneously set 'failover' and topology label '{label}' in 'failover_priority'")
        });
    }
    check_distribution(cx, &at.field("distribute"), &setting.distribute);
    let fails_over = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    check_outlier_detection(cx, at, fails_over && !has_outlier_detection);
    check_failover(cx, &at.field("failover"), &setting.failover);
}

/// Checks the setting that keeps traffic in a zone. Zones are told apart by the setting itself, so that the labels for
/// them say nothing.
pub(in super::super) fn check_zone_aware(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    setting: &ZoneAwareLoadBalancerSetting,
    has_outlier_detection: bool,
) {
    check_priorities(cx, &at.field("failoverPriority"), &setting.failover_priority, |label| {
        format!("topology label '{label}' is not supported in 'failover_priority' of zoneAwareLbSetting")
    });
    let fails_over = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    check_outlier_detection(cx, at, fails_over && !has_outlier_detection);
    check_failover(cx, &at.field("failover"), &setting.failover);
}

fn check_priorities(cx: &mut Checker<'_>, at: &At<'_>, labels: &[String], message: impl Fn(&str) -> String) {
    for (index, label) in labels.iter().enumerate() {
        if TOPOLOGY_LABELS.contains(&label.as_str()) {
            cx.error(&at.index(index), message(label));
        }
    }
}

const TOPOLOGY_LABELS: &[&str] =
    &["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

fn check_outlier_detection(cx: &mut Checker<'_>, at: &At<'_>, is_missing: bool) {
    if is_missing {
        cx.warn(at, "outlier detection policy must be provided for failover");
    }
}

fn check_distribution(cx: &mut Checker<'_>, at: &At<'_>, distribute: &[LocalityDistribute]) {
    for (index, entry) in distribute.iter().enumerate() {
        let at = at.index(index);
        let at = at.field("to");
        if let Some((locality, _)) = entry.to.iter().find(|(_, weight)| !(1..=100).contains(*weight)) {
            cx.error(&at.key(locality), "locality weight must be in range [1, 100]");
            continue;
        }
        let total: u64 = entry.to.values().map(|weight| u64::from(*weight)).sum();
        if total != 100 {
            cx.error(&at, format!("total locality weight {total} != 100"));
        }
        if let Err((_, problem)) = check_localities(entry.to.keys().map(String::as_str)) {
            cx.error(&at, problem);
        }
    }
    if let Err((index, problem)) = check_localities(distribute.iter().map(|entry| entry.from.as_str())) {
        let at = at.index(index);
        cx.error(&at.field("from"), problem);
    }
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
