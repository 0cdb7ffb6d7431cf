//! Objects of a kind that should select pods, each pod by one of them.

use std::collections::BTreeMap;

use super::workloads::Workload;
use super::{Context, printed};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Object, Typed};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::labels::to_line;

/// Objects and the pods of their namespaces that they select.
pub(super) struct Selections<'a, T> {
    /// Those that select nothing.
    pub(super) idle: Vec<(&'a Object<T>, &'a Labels)>,
    /// Pods by the objects that select them.
    pub(super) groups: Vec<(Vec<&'a Object<T>>, Vec<Workload<'a>>)>,
}

impl<'a, T> Selections<'a, T> {
    /// An object without labels selects all pods of its namespace and is not among the given ones.
    pub(super) fn of(context: &Context<'a>, objects: impl Iterator<Item = (&'a Object<T>, &'a Labels)>) -> Self {
        let mut idle = Vec::new();
        let mut all = Vec::new();
        let mut by_pod: BTreeMap<(&str, &str), (Workload<'a>, Vec<usize>)> = BTreeMap::new();
        for (object, selector) in objects {
            let mut is_idle = true;
            for pod in context.workloads().selected_in(&object.meta.namespace, selector) {
                is_idle = false;
                by_pod.entry((pod.namespace, pod.name)).or_insert_with(|| (*pod, Vec::new())).1.push(all.len());
            }
            if is_idle {
                idle.push((object, selector));
            }
            all.push(object);
        }
        let mut groups: BTreeMap<Vec<usize>, Vec<Workload<'a>>> = BTreeMap::new();
        for (pod, selecting) in by_pod.into_values() {
            groups.entry(selecting).or_default().push(pod);
        }
        let named = |indexes: Vec<usize>| indexes.into_iter().map(|index| all[index]).collect();
        Self { idle, groups: groups.into_iter().map(|(indexes, pods)| (named(indexes), pods)).collect() }
    }
}

/// The names of objects, as Istio's messages list them. As there is a message for each of them, very many are not all
/// named.
pub(super) fn names<T>(objects: &[&Object<T>]) -> String {
    let list = printed(objects.iter().take(SHOWN).map(|object| &object.meta.name));
    match objects.len().saturating_sub(SHOWN) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

/// How many names a message lists.
const SHOWN: usize = 20;

/// Reports a selector that no pod has the labels of.
pub(super) fn report_idle<T: Typed>(out: &mut Report, at: &At<'_>, object: &Object<T>, selector: &Labels) {
    let message = format!("Referenced selector not found: {:?}", to_line(selector));
    let finding = Diagnostic::error(Code::REFERENCE_NOT_FOUND, message)
        .effect("it applies to nothing")
        .help(format!("no pod of the namespace `{}` has these labels", object.meta.namespace));
    Checker::new(T::KIND, &object.meta, &object.origin, out).push(at, finding);
}

/// Reports objects that select the same pods: each for each pod, until there are very many.
pub(super) fn report_conflict<T: Typed>(
    out: &mut Report,
    at: &At<'_>,
    objects: &[&Object<T>],
    pods: &[Workload<'_>],
    finding: impl Fn(&str, &str) -> Diagnostic,
) {
    let names = names(objects);
    let shown = MOST_PODS.min(MOST_FINDINGS / objects.len().max(1)).max(1);
    for pod in pods.iter().take(shown) {
        for object in objects {
            let mut finding = finding(&names, pod.name);
            if pods.len() > shown {
                finding = finding.help(format!("{} pods are selected by all of them", pods.len()));
            }
            Checker::new(T::KIND, &object.meta, &object.origin, out).push(at, finding);
        }
    }
}

/// How many pods a conflict is reported for.
const MOST_PODS: usize = 20;

/// How many findings the conflict of very many objects makes at most, if there is no more than one for each of them.
const MOST_FINDINGS: usize = 1000;
