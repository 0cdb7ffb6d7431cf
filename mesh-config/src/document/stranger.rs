//! Words for a document that is none of the objects that are read, and for what it probably was meant to be.

use super::head::Head;
use super::probe::{self, Expected};
use super::typed::nearest;
use crate::diagnostic::{Code, Diagnostic, FieldPath, Severity};
use crate::locate::Tree;
use crate::resource::{Kind, Lookup, for_each_kind, skipped_kinds};

const KUSTOMIZE: &str = "load what `kubectl kustomize` makes of it";
const HELM: &str = "load what `helm template` makes of the chart";

/// An object of a kind that is not read.
pub(super) fn other_object(head: &Head, known: Lookup, tree: &Tree) -> Diagnostic {
    let Head { api_version, kind } = head;
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match known {
        Lookup::UnknownVersion(of) => {
            let versions = of.versions().join(", ");
            Diagnostic::error(Code::UNKNOWN_VERSION, format!("{kind} has no version `{api_version}`"))
                .path("apiVersion")
                .help(format!("{} has {versions}", of.group()))
        }
        Lookup::WrongGroup(of) => wrong_group(head, of),
        Lookup::Skipped => {
            let message = format!("{kind} speaks about Envoy, which is not part of this mesh; skipped");
            Diagnostic::warning(Code::SKIPPED_KIND, message).path("kind")
        }
        _ if api_version.is_empty() => without_version(kind, tree),
        _ => {
            if let Some(near) = nearest_kind(group, kind) {
                return Diagnostic::error(Code::UNKNOWN_KIND, format!("`{group}` has no kind `{kind}`"))
                    .path("kind")
                    .effect("nothing of this document acts")
                    .suggest(near);
            }
            match kind_of_other_group(group, kind) {
                Some(of) => wrong_group(head, of),
                None => {
                    let message = format!("{kind} of `{api_version}` is not read; passed over");
                    Diagnostic::info(Code::FOREIGN_KIND, message).path("kind")
                }
            }
        }
    }
}

fn wrong_group(head: &Head, of: Kind) -> Diagnostic {
    let Head { api_version, kind } = head;
    Diagnostic::warning(Code::FOREIGN_KIND, format!("`{api_version}` has no {kind}; passed over"))
        .path("apiVersion")
        .effect("nothing of this document acts")
        .suggest(newest(of))
}

/// `networking.istio.io/v1`.
fn newest(kind: Kind) -> String {
    format!("{}/{}", kind.group(), kind.versions().first().unwrap_or(&"v1"))
}

fn without_version(kind: &str, tree: &Tree) -> Diagnostic {
    let finding = Diagnostic::warning(Code::FRAGMENT, format!("{kind} without `apiVersion`; passed over")).path("kind");
    if let Some(written) = misspelt(tree, "apiVersion") {
        return finding.path(written).at_key().suggest("apiVersion");
    }
    finding.help("a patch or a reference to an object is not the object")
}

/// A kind of a group of Istio's that a misspelt one probably stands for.
fn nearest_kind(group: &str, kind: &str) -> Option<&'static str> {
    let of_group = |known: &&Kind| known.is_istio() && known.group() == group;
    let known = Kind::ALL.iter().filter(of_group).map(|known| known.as_str());
    let skipped = skipped_kinds().filter(|(of, _)| *of == group).map(|(_, kind)| kind);
    let whole = kind.strip_suffix('s').unwrap_or(kind);
    nearest(kind, known.clone().chain(skipped.clone())).or_else(|| nearest(whole, known.chain(skipped)))
}

/// A kind of Istio's under a group that is nobody's, or nearly Istio's.
fn kind_of_other_group(group: &str, kind: &str) -> Option<Kind> {
    let known = Kind::ALL.iter().copied().find(|known| known.is_istio() && known.as_str() == kind)?;
    (group.is_empty() || nearest(group, [known.group()].into_iter()).is_some()).then_some(known)
}

/// The key at the top that stands for another one.
fn misspelt<'t>(tree: &'t Tree, name: &str) -> Option<&'t str> {
    let keys = top_keys(tree);
    keys.into_iter().find(|key| nearest(key, [name].into_iter()).is_some())
}

fn top_keys(tree: &Tree) -> Vec<&str> {
    tree.entries(tree.root().unwrap_or_default()).iter().map(|(key, _)| key.text.as_str()).collect()
}

/// A mapping without `kind`.
pub(super) fn untyped(tree: &Tree) -> Diagnostic {
    let keys = top_keys(tree);
    let has = |name: &str| keys.contains(&name);
    let api_version = tree.at(&FieldPath::from("apiVersion")).and_then(|id| tree.scalar(id)).unwrap_or_default();
    let is_istio = api_version.split('/').next().is_some_and(|group| group.ends_with("istio.io"));
    let severity = if is_istio { Severity::Error } else { Severity::Warning };
    let not_an_object = Diagnostic::new(Code::NOT_AN_OBJECT, severity, NO_KIND);
    if let Some(written) = keys.iter().find(|key| key.eq_ignore_ascii_case("kind")) {
        return not_an_object.path(*written).at_key().suggest("kind");
    }
    if is_istio {
        let guess = kind_of_fields(&keys_of(tree, "spec"));
        return match guess {
            Some(kind) => not_an_object.help(format!("its spec is one of a {kind}: add `kind: {kind}`")),
            None => not_an_object.help("an object says what it is: add `kind`"),
        };
    }
    if has("apiVersion") && has("name") && has("version") {
        return Diagnostic::warning(Code::NOT_AN_OBJECT, "the description of a Helm chart; passed over").help(HELM);
    }
    if has("MANIFEST") || (has("NAME") && has("STATUS")) {
        return Diagnostic::info(Code::NOT_AN_OBJECT, "the head of what Helm prints; passed over");
    }
    if keys.iter().any(|key| OF_KUSTOMIZE.contains(key)) {
        return Diagnostic::warning(Code::FRAGMENT, "a configuration of Kustomize; passed over").help(KUSTOMIZE);
    }
    if let Some(kind) = kind_of_fields(&keys).filter(|_| keys.len() > 1) {
        let message = format!("the fields of a {kind} without the object around them; passed over");
        let help =
            format!("they belong under `spec`, below `apiVersion: {}`, `kind: {kind}` and `metadata`", newest(kind));
        return Diagnostic::warning(Code::FRAGMENT, message).help(help);
    }
    if has("metadata") {
        let message = "an object without `apiVersion` and `kind`; passed over";
        return Diagnostic::warning(Code::FRAGMENT, message)
            .help("a patch or a reference to an object is not the object");
    }
    not_an_object.help(format!("are these values of a Helm chart? {HELM}; of values only `meshConfig` is read"))
}

const NO_KIND: &str = "no `kind`: not a Kubernetes object; passed over";

/// Keys that only files of Kustomize have at the top.
const OF_KUSTOMIZE: &[&str] = &[
    "commonAnnotations",
    "commonLabels",
    "configMapGenerator",
    "configurations",
    "generatorOptions",
    "images",
    "namePrefix",
    "nameReference",
    "nameSuffix",
    "patchesJson6902",
    "patchesStrategicMerge",
    "resources",
    "secretGenerator",
    "varReference",
];

fn keys_of<'t>(tree: &'t Tree, name: &str) -> Vec<&'t str> {
    let below = tree.root().and_then(|root| tree.get(root, name));
    below.map_or(&[][..], |id| tree.entries(id)).iter().map(|(key, _)| key.text.as_str()).collect()
}

/// The one kind of Istio's whose spec has all these fields.
fn kind_of_fields(names: &[&str]) -> Option<Kind> {
    macro_rules! expected_by_kind {
        ($($kind:ident $(($name:literal))? = $type:path, $form:ident, $group:literal, $versions:tt;)*) => {
            [$((Kind::$kind, probe::expected::<$type>(&FieldPath::root()))),*]
        };
    }
    if names.is_empty() {
        return None;
    }
    let has_all = |expected: &Option<Expected>| match expected {
        Some(Expected::Struct(fields)) => names.iter().all(|name| fields.contains(name)),
        _ => false,
    };
    let all = for_each_kind!(expected_by_kind);
    let mut fitting = all.iter().filter(|(kind, expected)| kind.is_istio() && has_all(expected)).map(|(kind, _)| *kind);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// A list where an object should be.
pub(super) fn list(tree: &Tree) -> Diagnostic {
    let elements = tree.elements(tree.root().unwrap_or_default());
    let all_have = |name: &str| !elements.is_empty() && elements.iter().all(|id| tree.get(*id, name).is_some());
    if all_have("op") && all_have("path") {
        return Diagnostic::error(Code::FRAGMENT, "a JSON patch, not a Kubernetes object").help(KUSTOMIZE);
    }
    let finding = Diagnostic::error(Code::NOT_AN_OBJECT, "a list, not a Kubernetes object");
    if all_have("kind") {
        return finding.help("put the objects under `items` of a `kind: List`, or a line `---` between them");
    }
    finding
}

/// A single text where an object should be.
pub(super) fn text(text: &str) -> Diagnostic {
    let finding = Diagnostic::error(Code::NOT_AN_OBJECT, "plain text, not a Kubernetes object");
    match surroundings(text) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// What to do about YAML that stands within something else.
pub(super) fn surroundings(text: &str) -> Option<&'static str> {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with(['#', '-']));
    let first = lines.next()?;
    let starts = |marks: &[&str]| marks.iter().any(|mark| first.starts_with(mark));
    if starts(&["cat ", "kubectl ", "oc ", "helm ", "echo ", "$ ", "istioctl "]) || first.contains("<<EOF") {
        return Some("take the YAML out of the commands around it");
    }
    if text.lines().any(|line| line.starts_with("```")) {
        return Some("take the YAML out of the Markdown around it");
    }
    let is_conflict = |mark: &str| text.lines().any(|line| line.starts_with(mark));
    if is_conflict("<<<<<<< ") && is_conflict(">>>>>>> ") {
        return Some("settle the merge conflict first");
    }
    None
}
