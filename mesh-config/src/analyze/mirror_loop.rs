//! Mirrors that send copies to where the originals came in.

use super::{Analyzer, Context};
use crate::api::VirtualService;
use crate::api::virtual_service::{Destination, HttpRoute};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::host::resolve_short_name;

/// `MESH0410`: the host of a mirror is one that the VirtualService is about, and the rule itself sends its requests
/// elsewhere. A mirror to another subset of the same destination is ordinary.
pub(super) struct MirrorLoop;

impl Analyzer for MirrorLoop {
    fn name(&self) -> &'static str {
        "mesh.MirrorLoop"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::MIRROR_LOOP]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        for object in set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &object.meta, &object.origin, out);
            let spec = At::top("spec");
            for (index, route) in object.spec.http.iter().enumerate() {
                check(cx, &spec.field("http").index(index), object, route);
            }
        }
    }
}

fn check(cx: &mut Checker<'_>, at: &At<'_>, object: &Object<VirtualService>, route: &HttpRoute) {
    let resolve = |host: &str| resolve_short_name(host, &object.meta.namespace, "cluster.local");
    let returns = |mirror: &Destination| {
        let host = resolve(&mirror.host);
        let is_own = object.spec.hosts.iter().any(|own| resolve(own) == host);
        let destinations = route.route.iter().filter_map(|destination| destination.destination.as_ref());
        is_own && mirror.subset.is_empty() && destinations.into_iter().all(|to| resolve(&to.host) != host)
    };
    let mut warn = |at: &At<'_>, host: &str| {
        let finding = Diagnostic::warning(Code::MIRROR_LOOP, format!("requests for {host} are mirrored to {host}"))
            .effect("where the copies meet these rules again, each is copied again, and load grows without end")
            .help("mirror to a host of its own, or to a subset");
        cx.push(at, finding);
    };
    if let Some(mirror) = route.mirror.as_ref().filter(|mirror| returns(mirror)) {
        warn(&at.field("mirror").field("host"), &mirror.host);
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        if let Some(to) = mirror.destination.as_ref().filter(|to| returns(to)) {
            warn(&at.field("mirrors").index(index).field("destination").field("host"), &to.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(rule: &str) -> Vec<(u32, u32)> {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: x}}\nspec:\n  hosts: [orders]\n  http:\n  \
             - {rule}\n"
        );
        let (documents, _) = crate::parse("f", &text);
        let report = crate::ConfigSet::from_documents(documents).0.analyze();
        let of_this = report.iter().filter(|finding| finding.code == Code::MIRROR_LOOP);
        of_this.map(|finding| (finding.origin.line, finding.origin.column)).collect()
    }

    #[test]
    fn a_mirror_back_to_the_own_host_is_found() {
        let own = "orders.default.svc.cluster.local";
        assert_eq!(places(&format!("{{route: [{{destination: {{host: v2}}}}], mirror: {{host: {own}}}}}")), [(7, 57)]);
        assert_eq!(places("{route: [{destination: {host: v2}}], mirrors: [{destination: {host: orders}}]}").len(), 1);
    }

    #[test]
    fn a_mirror_beside_the_destination_is_ordinary() {
        for rule in [
            "{route: [{destination: {host: orders, subset: v1}}], mirror: {host: orders, subset: v2}}",
            "{route: [{destination: {host: orders}}], mirror: {host: orders}}",
            "{route: [{destination: {host: v2}}], mirror: {host: shadow}}",
        ] {
            assert!(places(rule).is_empty(), "{rule}");
        }
    }
}
