//! Fields that newer ones replace.

use super::Analyzer;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::set::ConfigSet;
use crate::validate::{At, Checker};

/// `IST0002`. What validation warns about (`consecutiveErrors`, `mirrorPercent`, `minimumRingSize`) is not repeated here.
pub(super) struct Deprecated;

impl Analyzer for Deprecated {
    fn codes(&self) -> &'static [Code] {
        &[Code::DEPRECATED]
    }

    fn analyze(&self, set: &ConfigSet, out: &mut Report) {
        let spec = At::top("spec");
        for service in set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            for (index, route) in service.spec.http.iter().enumerate() {
                let delay = route.fault.as_ref().and_then(|fault| fault.delay.as_ref());
                if delay.is_some_and(|delay| delay.percent != 0) {
                    let route = spec.field("http");
                    let route = route.index(index);
                    let delay = route.field("fault");
                    let delay = delay.field("delay");
                    let finding = Diagnostic::warning(Code::DEPRECATED, "Deprecated: fault.delay.percent");
                    cx.push(&delay.field("percent"), finding.help("use `percentage: {value: ...}`"));
                }
            }
        }
        for sidecar in set.sidecars() {
            let cx = &mut Checker::new(Kind::Sidecar, &sidecar.meta, &sidecar.origin, out);
            let policy = sidecar.spec.outbound_traffic_policy.as_ref();
            if policy.is_some_and(|policy| policy.egress_proxy.is_some()) {
                let policy = spec.field("outboundTrafficPolicy");
                let finding = Diagnostic::warning(Code::DEPRECATED, "Deprecated: outboundTrafficPolicy.egressProxy");
                cx.push(&policy.field("egressProxy"), finding);
            }
        }
    }
}
