//! PeerAuthentications that another one of the same level displaces.

use std::collections::HashMap;

use super::{Analyzer, Context};
use crate::api::PeerAuthentication;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::{Labels, labels};

/// `MESH0602`: for the mesh, a namespace, or the workloads of a selector one policy counts, the oldest.
pub(super) struct OverruledPeerMode;

impl Analyzer for OverruledPeerMode {
    fn name(&self) -> &'static str {
        "mesh.OverruledPeerMode"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::OVERRULED_PEER_MODE]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let nothing = Labels::new();
        let mut first: HashMap<(&str, &Labels), &Object<PeerAuthentication>> = HashMap::new();
        for policy in set.peer_authentications() {
            let selector = policy.spec.selector.as_ref().map_or(&nothing, |selector| &selector.match_labels);
            let winner = *first.entry((&policy.meta.namespace, selector)).or_insert(policy);
            if std::ptr::eq(winner, policy) {
                continue;
            }
            let whom = match selector.is_empty() {
                true => format!("namespace {}", policy.meta.namespace),
                false => format!("the workloads with {}", labels::to_line(selector)),
            };
            let same = winner.spec == policy.spec;
            let message = format!("PeerAuthentication {} already counts for {whom}", winner.meta.namespaced_name());
            let finding = match same {
                true => Diagnostic::info(Code::OVERRULED_PEER_MODE, message),
                false => Diagnostic::warning(Code::OVERRULED_PEER_MODE, message),
            };
            let mode = winner.spec.mtls.map_or("UNSET", |mtls| mtls.mode.as_str());
            let cx = &mut Checker::new(Kind::PeerAuthentication, &policy.meta, &policy.origin, out);
            cx.push(
                &At::top("spec"),
                finding
                    .effect(format!(
                        "this one has no effect, and the mode is {mode}: of several the oldest counts, of equally old ones the \
                         first by name"
                    ))
                    .help("keep one of them"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, places};
    use super::*;

    #[test]
    fn of_two_policies_of_one_level_the_second_does_not_count() {
        let found = |one: &str, two: &str| {
            let policy = |name: &str, spec: &str| object("PeerAuthentication", name, spec);
            places(&OverruledPeerMode, &format!("{}{}", policy("one", one), policy("two", two)))
        };
        let (strict, disable) = ("{mtls: {mode: STRICT}}", "{mtls: {mode: DISABLE}}");
        assert_eq!(found(strict, disable), ["MESH0602 warning spec"]);
        assert_eq!(found(strict, strict), ["MESH0602 info spec"]);
        let selecting = "{selector: {matchLabels: {app: r}}, mtls: {mode: DISABLE}}";
        assert_eq!(found(strict, selecting), [""; 0]);
        assert_eq!(found(selecting, &selecting.replace("DISABLE", "STRICT")), ["MESH0602 warning spec"]);
        assert_eq!(found(selecting, &selecting.replace("app: r", "app: s")), [""; 0]);
    }
}
