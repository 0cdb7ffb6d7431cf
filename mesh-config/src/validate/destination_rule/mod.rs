//! DestinationRule.

mod connection_pool;
mod load_balancer;
mod locality;
mod outlier;
mod tls;

pub(super) use self::connection_pool::check as check_connection_pool;
pub(super) use self::locality::{check_locality, check_zone_aware};
pub(super) use self::outlier::check as check_outlier_detection;
pub(super) use self::tls::check as check_client_tls;

use super::checker::{At, Checker};
use super::common::{self, Exported};
use super::virtual_service::check_subset_name;
use crate::api::DestinationRule;
use crate::api::destination_rule::{PortTrafficPolicy, Subset, TrafficPolicy, TunnelSettings};
use crate::resource::Object;
use crate::value::address::check_ip;
use crate::value::host::{check_fqdn, check_wildcard_domain};
use crate::value::port::check_port;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<DestinationRule>) {
    let rule = &object.spec;
    let spec = At::top("spec");
    cx.check(&spec.field("host"), check_wildcard_domain(&rule.host));
    if let Some(policy) = &rule.traffic_policy {
        check_policy(cx, &spec.field("trafficPolicy"), policy);
    }
    check_subsets(cx, &spec.field("subsets"), &rule.subsets);
    let exported = match &rule.workload_selector {
        Some(_) => Exported::WithSelector,
        None => Exported::Ordinary,
    };
    common::export_to(cx, &spec.field("exportTo"), &rule.export_to, exported);
    if let Some(selector) = &rule.workload_selector {
        common::selector(cx, &spec.field("workloadSelector").field("matchLabels"), &selector.match_labels);
    }
}

fn check_subsets(cx: &mut Checker<'_>, at: &At<'_>, subsets: &[Subset]) {
    for (index, subset) in subsets.iter().enumerate() {
        let at = at.index(index);
        if subsets[..index].iter().any(|earlier| earlier.name == subset.name) {
            cx.error(&at.field("name"), format!("duplicate subset names: {}", subset.name));
        }
        cx.check(&at.field("name"), check_subset_name(&subset.name));
        common::labels(cx, &at.field("labels"), &subset.labels);
        if let Some(policy) = &subset.traffic_policy {
            cx.without_warnings(|cx| check_policy(cx, &at.field("trafficPolicy"), policy));
        }
    }
}

fn check_policy(cx: &mut Checker<'_>, at: &At<'_>, policy: &TrafficPolicy) {
    if *policy == TrafficPolicy::default() {
        cx.error(at, "traffic policy must have at least one field");
    }
    let blocks = Blocks {
        load_balancer: policy.load_balancer.as_ref(),
        connection_pool: policy.connection_pool.as_ref(),
        outlier_detection: policy.outlier_detection.as_ref(),
        tls: policy.tls.as_ref(),
    };
    blocks.check(cx, at);
    for (index, port) in policy.port_level_settings.iter().enumerate() {
        cx.without_warnings(|cx| check_port_policy(cx, &at.field("portLevelSettings").index(index), port));
    }
    if let Some(tunnel) = &policy.tunnel {
        check_tunnel(cx, &at.field("tunnel"), tunnel);
    }
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        cx.error(&at.field("tunnel"), "tunnel and proxyProtocol must not be set together");
    }
    let percent = policy.retry_budget.as_ref().and_then(|budget| budget.percent);
    if let Some(percent) = percent.filter(|percent| !(0.0..=100.0).contains(percent)) {
        let budget = at.field("retryBudget");
        cx.error(&budget.field("percent"), format!("percentage {percent} is not in range 0..100"));
    }
}

/// The blocks that a policy and a policy for one port have in common.
struct Blocks<'a> {
    load_balancer: Option<&'a crate::api::destination_rule::LoadBalancerSettings>,
    connection_pool: Option<&'a crate::api::destination_rule::ConnectionPoolSettings>,
    outlier_detection: Option<&'a crate::api::destination_rule::OutlierDetection>,
    tls: Option<&'a crate::api::tls::ClientTlsSettings>,
}

impl Blocks<'_> {
    fn check(&self, cx: &mut Checker<'_>, at: &At<'_>) {
        if let Some(outlier) = self.outlier_detection {
            outlier::check(cx, &at.field("outlierDetection"), outlier);
        }
        if let Some(pool) = self.connection_pool {
            connection_pool::check(cx, &at.field("connectionPool"), pool);
        }
        if let Some(balancer) = self.load_balancer {
            load_balancer::check(cx, &at.field("loadBalancer"), balancer, self.outlier_detection.is_some());
        }
        if let Some(tls) = self.tls {
            tls::check(cx, &at.field("tls"), tls);
        }
    }
}

fn check_port_policy(cx: &mut Checker<'_>, at: &At<'_>, policy: &PortTrafficPolicy) {
    match policy.port {
        Some(port) => cx.unchecked(|cx| cx.check(&at.field("port").field("number"), check_port(port.number))),
        None => cx.error(at, "portTrafficPolicy must have valid port"),
    }
    let blocks = Blocks {
        load_balancer: policy.load_balancer.as_ref(),
        connection_pool: policy.connection_pool.as_ref(),
        outlier_detection: policy.outlier_detection.as_ref(),
        tls: policy.tls.as_ref(),
    };
    let PortTrafficPolicy { load_balancer: None, connection_pool: None, outlier_detection: None, tls: None, .. } =
        policy
    else {
        return blocks.check(cx, at);
    };
    cx.error(at, "port traffic policy must have at least one field");
}

fn check_tunnel(cx: &mut Checker<'_>, at: &At<'_>, tunnel: &TunnelSettings) {
    if !matches!(tunnel.protocol.as_str(), "" | "CONNECT" | "POST") {
        cx.error(&at.field("protocol"), r#"tunnel protocol must be "CONNECT" or "POST""#);
    }
    if let (Err(no_name), Err(no_address)) = (check_fqdn(&tunnel.target_host), check_ip(&tunnel.target_host)) {
        let message = format!("tunnel target host must be valid FQDN or IP address: {no_name}; {no_address}");
        cx.error(&at.field("targetHost"), message);
    }
    if let Err(problem) = check_port(tunnel.target_port) {
        cx.error(&at.field("targetPort"), format!("tunnel target port is invalid: {problem}"));
    }
}
