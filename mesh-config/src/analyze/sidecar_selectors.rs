//! Sidecars that select nothing, or the same pods as another.

use std::collections::{BTreeMap, HashSet};

use super::selector_conflicts::{Selections, names, report_conflict, report_idle};
use super::workloads::is_ambient_namespace;
use super::{Analyzer, Context};
use crate::api::Sidecar;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;

/// `IST0110`, `IST0111`, `IST0167`, and `IST0101` for selectors.
pub(super) struct SidecarSelectors;

impl Analyzer for SidecarSelectors {
    fn name(&self) -> &'static str {
        "sidecar.SelectorAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[
            Code::REFERENCE_NOT_FOUND,
            Code::CONFLICTING_SIDECARS,
            Code::SIDECARS_WITHOUT_SELECTOR,
            Code::INEFFECTIVE_POLICY,
        ]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let mut ineffective = HashSet::new();
        if context.is_whole_cluster() {
            check_selectors(context, &mut ineffective, out);
        }
        let mut of_namespaces: BTreeMap<&str, Vec<&Object<Sidecar>>> = BTreeMap::new();
        for sidecar in context.set.sidecars().filter(|sidecar| selector(sidecar).is_none()) {
            of_namespaces.entry(&sidecar.meta.namespace).or_default().push(sidecar);
        }
        for (namespace, sidecars) in of_namespaces {
            if context.namespace(namespace).is_some_and(is_ambient_namespace) {
                let reason = "namespace is in ambient mode, the policy has no impact";
                sidecars.iter().for_each(|sidecar| report_ineffective(out, sidecar, reason, &mut ineffective));
            } else if sidecars.len() > 1 {
                report_many(out, namespace, &sidecars);
            }
        }
    }
}

/// The labels that a Sidecar asks for; none where it is for the whole namespace.
fn selector(sidecar: &Object<Sidecar>) -> Option<&Labels> {
    let selector = sidecar.spec.workload_selector.as_ref();
    selector.map(|selector| &selector.labels).filter(|labels| !labels.is_empty())
}

/// The Sidecars that are reported to have no effect, by where they are in memory.
type Ineffective = HashSet<*const Object<Sidecar>>;

fn check_selectors(context: &Context<'_>, ineffective: &mut Ineffective, out: &mut Report) {
    let selecting = context.set.sidecars().filter_map(|sidecar| Some((sidecar, selector(sidecar)?)));
    let selections = Selections::of(context, selecting);
    let spec = At::top("spec");
    for (sidecar, labels) in selections.idle {
        report_idle(out, &spec.field("workloadSelector").field("labels"), sidecar, labels);
    }
    for (sidecars, pods) in selections.groups {
        let (ambient, others): (Vec<_>, Vec<_>) = pods.into_iter().partition(super::workloads::Workload::is_ambient);
        if !ambient.is_empty() {
            let reason = "selected workload is in ambient mode, the policy has no impact";
            sidecars.iter().for_each(|sidecar| report_ineffective(out, sidecar, reason, ineffective));
        }
        if sidecars.len() > 1 {
            let namespace = &sidecars[0].meta.namespace;
            let at = At::top("metadata");
            report_conflict(out, &at.field("name"), &sidecars, &others, |names, pod| {
                let message = format!(
                    "The Sidecars {names} in namespace {namespace:?} select the same workload pod {pod:?}, which can lead to \
                     undefined behavior."
                );
                Diagnostic::error(Code::CONFLICTING_SIDECARS, message)
                    .effect("the oldest of them applies, of equally old ones the first by name; they are never merged")
                    .help("merge them, or let their selectors ask for different labels")
            });
        }
    }
}

fn report_ineffective(out: &mut Report, sidecar: &Object<Sidecar>, reason: &str, reported: &mut Ineffective) {
    if reported.insert(std::ptr::from_ref(sidecar)) {
        let finding = Diagnostic::warning(Code::INEFFECTIVE_POLICY, format!("The policy has no impact: {reason}."))
            .effect("there is no proxy beside the workload that it could set up");
        let cx = &mut Checker::new(Kind::Sidecar, &sidecar.meta, &sidecar.origin, out);
        cx.push(&At::top("metadata").field("name"), finding);
    }
}

fn report_many(out: &mut Report, namespace: &str, sidecars: &[&Object<Sidecar>]) {
    let message = format!(
        "The Sidecars {} in namespace {namespace:?} have no workload selector, which can lead to undefined behavior.",
        names(sidecars)
    );
    for sidecar in sidecars {
        let finding = Diagnostic::error(Code::SIDECARS_WITHOUT_SELECTOR, message.clone())
            .effect("the oldest of them applies, of equally old ones the first by name; they are never merged")
            .help("merge them, or give all but one a workloadSelector");
        let cx = &mut Checker::new(Kind::Sidecar, &sidecar.meta, &sidecar.origin, out);
        cx.push(&At::top("metadata").field("name"), finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn sidecar(name: &str, selector: &str) -> String {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: {name}, namespace: a}}, \
             spec: {{egress: [{{hosts: ['*/*']}}] {selector}}}}}\n"
        )
    }

    fn pod(meta: &str) -> String {
        format!("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: a, {meta}}}}}\n")
    }

    const BY_APP: &str = ", workloadSelector: {labels: {app: x}}";
    const BY_TIER: &str = ", workloadSelector: {labels: {tier: front}}";

    #[test]
    fn a_sidecar_has_to_select_pods_of_its_namespace_that_no_other_selects() {
        let one = sidecar("one", BY_APP);
        let of = |texts: &[&str]| found(&SidecarSelectors, &texts.concat());
        assert_eq!(of(&[&one]), ["IST0101 Sidecar a/one spec.workloadSelector.labels"]);
        let pod = pod("labels: {app: x, tier: front}");
        assert_eq!(of(&[&one, &pod]), [""; 0]);
        assert_eq!(of(&[&one, &pod.replace("namespace: a", "namespace: b")]).len(), 1);
        assert_eq!(
            of(&[&one, &sidecar("two", BY_TIER), &pod]),
            ["IST0110 Sidecar a/one metadata.name", "IST0110 Sidecar a/two metadata.name"]
        );
    }

    #[test]
    fn one_sidecar_is_for_the_whole_namespace() {
        let both = sidecar("one", "") + &sidecar("two", "");
        let reported = ["IST0111 Sidecar a/one metadata.name", "IST0111 Sidecar a/two metadata.name"];
        assert_eq!(found(&SidecarSelectors, &both), reported);
        assert_eq!(
            found(
                &SidecarSelectors,
                &(sidecar("one", "") + &sidecar("two", "").replace("namespace: a", "namespace: b"))
            ),
            [""; 0]
        );
    }

    #[test]
    fn in_the_ambient_mode_a_sidecar_has_no_effect() {
        let namespace = |labels: &str| {
            format!("---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: a, labels: {{{labels}}}}}}}\n")
        };
        let of = |labels: &str| found(&SidecarSelectors, &(sidecar("one", "") + &namespace(labels)));
        assert_eq!(of("istio.io/dataplane-mode: ambient"), ["IST0167 Sidecar a/one metadata.name"]);
        assert_eq!(of("istio.io/dataplane-mode: ambient, istio-injection: enabled"), [""; 0]);
        assert_eq!(of("istio.io/dataplane-mode: ambient, istio.io/rev: canary"), [""; 0]);
        let ambient = pod("labels: {app: x}, annotations: {ambient.istio.io/redirection: enabled}");
        assert_eq!(
            found(&SidecarSelectors, &(sidecar("one", BY_APP) + &ambient)),
            ["IST0167 Sidecar a/one metadata.name"]
        );
    }
}
