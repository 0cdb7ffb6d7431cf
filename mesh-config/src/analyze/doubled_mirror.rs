//! Mirrors to the destination that has the request already.

use super::rules::each_http_rule;
use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::virtual_service::Destination;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::value::host::resolve_short_name;

/// `MESH0303`: a copy to the same host and subset makes the destination do everything twice.
pub(super) struct DoubledMirror;

impl Analyzer for DoubledMirror {
    fn name(&self) -> &'static str {
        "mesh.DoubledMirror"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::DOUBLED_MIRROR]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        each_http_rule(set, out, |cx, at, rule| {
            let namespace = rule.service.meta.namespace.as_str();
            let several = rule
                .route
                .mirrors
                .iter()
                .enumerate()
                .filter_map(|(n, mirror)| Some((Some(n), mirror.destination.as_ref()?)));
            for (index, mirror) in rule.route.mirror.iter().map(|mirror| (None, mirror)).chain(several) {
                let mut destinations = rule.route.route.iter().filter_map(|to| to.destination.as_ref());
                if !destinations.any(|to| is_same(to, mirror, namespace)) {
                    continue;
                }
                let finding = doubled(mirror);
                match index {
                    None => cx.push(&at.field("mirror"), finding),
                    Some(index) => cx.push(&at.field("mirrors").index(index).field("destination"), finding),
                }
            }
        });
    }
}

fn doubled(mirror: &Destination) -> Diagnostic {
    let message = format!("the mirror is a destination of the rule itself: {} gets requests twice", mirror.host);
    Diagnostic::warning(Code::DOUBLED_MIRROR, message)
        .effect("what the requests do is done twice, and the load doubles; a POST is carried out two times")
        .help("mirror to another host or subset, or leave the mirror out")
}

fn is_same(to: &Destination, mirror: &Destination, namespace: &str) -> bool {
    let host = |destination: &Destination| resolve_short_name(&destination.host, namespace, CLUSTER_DOMAIN);
    let ports = (to.port.map(|port| port.number), mirror.port.map(|port| port.number));
    to.subset == mirror.subset
        && (ports.0 == ports.1 || ports.0.is_none() || ports.1.is_none())
        && host(to) == host(mirror)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{places, rules};
    use super::*;

    #[test]
    fn a_mirror_to_the_same_destination_is_pointed_out() {
        let found = |mirror: &str| {
            let yaml = rules(&format!("{{route: [{{destination: {{host: r, subset: v1}}}}], {mirror}}}"));
            places(&DoubledMirror, &yaml)
        };
        assert_eq!(
            found("mirror: {host: r.a.svc.cluster.local, subset: v1}"),
            ["MESH0303 warning spec.http[0].mirror"]
        );
        let several = found("mirrors: [{destination: {host: s}}, {destination: {host: r, subset: v1}}]");
        assert_eq!(several, ["MESH0303 warning spec.http[0].mirrors[1].destination"]);
        for good in ["mirror: {host: r, subset: v2}", "mirror: {host: r}", "mirror: {host: s, subset: v1}"] {
            assert_eq!(found(good), [""; 0], "{good}");
        }
    }
}
