//! Reads a document into a struct, and notes what it could not place.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::Limits;
use super::from_tree::{self, Reading, What};
use crate::diagnostic::{Advice, Code, FieldPath};
use crate::locate::{NodeId, Tree};
use crate::meta::ObjectMeta;

/// An object as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound = "T: Deserialize<'de> + Default")]
pub(super) struct Envelope<T> {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) metadata: Option<ObjectMeta>,
    pub(super) spec: Option<T>,
    status: Option<IgnoredAny>,
}

/// The parts that objects without a spec have, beside their own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Outside {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) metadata: Option<ObjectMeta>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) value: T,
    /// Fields that the struct does not have.
    pub(super) unknown: Vec<FieldPath>,
    /// Single letters read as texts that Kubernetes takes for booleans.
    pub(super) letters: Vec<(FieldPath, String)>,
}

/// Why nothing was read: everything that does not fit, and the fields that the struct does not have.
#[derive(Debug)]
pub(super) struct Failures {
    pub(super) failures: Vec<Failure>,
    pub(super) unknown: Vec<FieldPath>,
}

/// One thing that does not fit.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<Advice>,
    /// The field; empty where it is the whole document.
    pub(super) path: FieldPath,
    /// Line and column in the text, where they are known.
    pub(super) place: Option<(u32, u32)>,
}

/// Findings of wrong types in one document. Whoever has more has something else than this kind.
pub(super) const MAX_FAILURES: usize = 20;

/// Reads the whole document. An empty one is an empty object.
pub(super) fn read<T: DeserializeOwned>(tree: &Tree, limits: &Limits) -> Result<Read<T>, Failures> {
    match tree.root() {
        Some(root) => read_at(tree, root, limits),
        None => read_at(&Tree::empty_mapping(), 0, limits),
    }
}

/// Reads the first document of a text, unknown fields and all.
pub(crate) fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let tree = Tree::parse(text).map_err(|error| error.message)?;
    read(&tree, &Limits::default()).map(|read| read.value).map_err(|failures| failures.to_string())
}

/// Reads a text, and tells the fields that the struct does not have.
#[cfg(test)]
pub(crate) fn from_str_noting<T: DeserializeOwned>(text: &str) -> Result<(T, Vec<String>), String> {
    let tree = Tree::parse(text).map_err(|error| error.message)?;
    let read = read(&tree, &Limits::default()).map_err(|failures| failures.to_string())?;
    Ok((read.value, read.unknown.iter().map(ToString::to_string).collect()))
}

/// Reads what stands at a node, unknown fields and all.
pub(crate) fn from_node<T: DeserializeOwned>(tree: &Tree, node: NodeId) -> Result<T, String> {
    read_at(tree, node, &Limits::default()).map(|read| read.value).map_err(|failures| failures.to_string())
}

/// Reads what stands at a node. Unknown fields are noted, never an error here.
///
/// serde ends at the first value that does not fit. To find the others, too, the tree is read again without it.
fn read_at<T: DeserializeOwned>(tree: &Tree, node: NodeId, limits: &Limits) -> Result<Read<T>, Failures> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut masked = Vec::new();
    loop {
        let reading = Reading::new(tree, limits.max_depth, &masked);
        let read = reading.read(node);
        let (unknown, letters) = (reading.unknown.take(), reading.letters.take());
        match read {
            Ok(value) if failures.is_empty() => return Ok(Read { value, unknown, letters }),
            Ok(_) => return Err(Failures { failures, unknown }),
            Err(error) => {
                let at = error.place.map(|(node, _)| node);
                let failure = explain(&error);
                let ends = failure.code == Code::LIMIT || failures.len() + 1 >= MAX_FAILURES;
                failures.push(failure);
                match at {
                    Some(at) if !ends && at != node && !masked.contains(&at) => masked.push(at),
                    _ => return Err(Failures { failures, unknown }),
                }
            }
        }
    }
}

/// Says in our words what does not fit.
fn explain(error: &from_tree::Error) -> Failure {
    let message = || error.to_string();
    let (code, message, help) = match &*error.what {
        What::Message(_) => (Code::WRONG_TYPE, message(), None),
        What::UnknownName(name, known) => {
            let help = nearest(name, known.iter().copied()).map(|near| Advice::Name(near.to_owned()));
            (Code::WRONG_TYPE, message(), help)
        }
        What::Twice(field) => duplicate(field),
        What::Unquoted(text) => quote(text),
        What::QuotedBoolean(text) => {
            let help = Advice::Yaml { words: format!("without quotes: {text}"), yaml: text.clone() };
            (Code::WRONG_TYPE, message(), Some(help))
        }
        What::Limit(_) => (Code::LIMIT, message(), None),
    };
    Failure { code, message, help, path: error.path.clone(), place: error.place.map(|(_, place)| place) }
}

type Words = (Code, String, Option<Advice>);

pub(super) fn duplicate(key: &str) -> Words {
    (Code::DUPLICATE_KEY, format!("key {key:?} is there twice"), Some(Advice::Words("keep one of them".to_owned())))
}

pub(super) fn syntax(problem: &str) -> Words {
    if problem.contains("recursion limit") {
        return (Code::LIMIT, "lists and mappings are nested too deeply".to_owned(), None);
    }
    let help = if problem.contains("tab") {
        Some("YAML is indented with spaces")
    } else if problem.contains("unexpected character: `@'") || problem.contains("unexpected character: ``'") {
        Some("quote the value")
    } else if problem.contains("while scanning an anchor or alias") {
        // What follows a bare star is not known here; a host is the usual one.
        Some("quote it: \"*\"")
    } else if problem.contains("mapping values are not allowed") {
        Some("quote a value that contains a colon and a space, and check the indentation")
    } else {
        None
    };
    (Code::SYNTAX, format!("not YAML: {problem}"), help.map(|words| Advice::Words(words.to_owned())))
}

fn quote(value: &str) -> Words {
    let read_as = match value.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => "a number",
        Some(b'~') | None => "null",
        Some(_) if value.eq_ignore_ascii_case("null") => "null",
        Some(_) => "a boolean",
    };
    let quoted = format!("\"{value}\"");
    let help = Advice::Yaml { words: format!("quote it: {quoted}"), yaml: quoted };
    (Code::WRONG_TYPE, format!("`{value}` is {read_as} in YAML, and a string is needed here"), Some(help))
}

/// The name that a misspelt one probably stands for.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |name: &str| name.chars().filter(|c| *c != '_' && *c != '-').collect::<String>().to_lowercase();
    let wanted = plain(name);
    known
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.failures.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{}: {failure}", failure.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DestinationRule, Gateway, VirtualService};

    fn tree(text: &str) -> Tree {
        Tree::parse(text).unwrap()
    }

    fn fails(spec: &str) -> Failure {
        let tree = tree(&format!("spec:\n  {spec}\n"));
        read::<Envelope<VirtualService>>(&tree, &Limits::default()).unwrap_err().failures.remove(0)
    }

    #[test]
    fn unknown_fields_are_noted_at_every_level() {
        let text = "a: 1\nmetadata: {nam: x}\nspec: {hots: [], http: [{}, {ruote: []}]}\nstatus: {x: {y: 1}}\n";
        let read: Read<Envelope<VirtualService>> = read(&tree(text), &Limits::default()).unwrap();
        let paths: Vec<_> = read.unknown.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["a", "metadata.nam", "spec.hots", "spec.http[1].ruote", "status"]);
    }

    #[test]
    fn a_boolean_or_number_is_no_string() {
        for (spec, message) in [
            ("hosts: [no]", "`no` is a boolean in YAML, and a string is needed here"),
            ("hosts: [123]", "`123` is a number in YAML, and a string is needed here"),
            ("hosts: [1e3]", "`1e3` is a number in YAML, and a string is needed here"),
        ] {
            let failure = fails(spec);
            assert_eq!((failure.code, failure.message.as_str()), (Code::WRONG_TYPE, message));
            assert_eq!((failure.path.to_string().as_str(), failure.place), ("spec.hosts[0]", Some((2, 11))));
            assert!(failure.help.is_some_and(|help| help.to_string().starts_with("quote it")));
        }
        assert!(
            read::<Envelope<VirtualService>>(&tree("spec: {hosts: ['no', \"123\", v1, 1.2.3.4]}"), &Limits::default())
                .is_ok()
        );
    }

    #[test]
    fn type_errors_name_the_field() {
        for (spec, path, message) in [
            ("http: {}", "spec.http", "expected a list"),
            ("http: [{timeout: soon}]", "spec.http[0].timeout", ""),
            (
                "http: [{route: [{weight: many}]}]",
                "spec.http[0].route[0].weight",
                "expected a whole number that fits the field",
            ),
            ("hosts: [{a: b}]", "spec.hosts[0]", "expected a single value"),
        ] {
            let failure = fails(spec);
            assert_eq!((failure.code, failure.path.to_string().as_str()), (Code::WRONG_TYPE, path));
            assert!(failure.message.contains(message), "{failure}");
        }
    }

    #[test]
    fn a_bad_enum_name_gets_the_nearest_one() {
        let text = "spec: {trafficPolicy: {loadBalancer: {simple: ROUNDROBIN}}}";
        let failures = read::<Envelope<DestinationRule>>(&tree(text), &Limits::default()).unwrap_err().failures;
        assert_eq!(failures[0].help, Some(Advice::Name("ROUND_ROBIN".to_owned())));
    }

    #[test]
    fn the_nearest_name_ignores_case_and_underscores() {
        assert_eq!(nearest("sourcelabels", ["source", "sourceLabels"].into_iter()), Some("sourceLabels"));
        assert_eq!(nearest("wieght", ["weight", "headers"].into_iter()), Some("weight"));
        assert_eq!(nearest("banana", ["weight", "headers"].into_iter()), None);
    }

    #[test]
    fn everything_that_does_not_fit_is_found() {
        let text = "spec: {hosts: [1, a, no], http: [{timeout: 5}, {route: {}}], exportTo: x, nonsense: 1}";
        let Failures { failures, unknown } =
            read::<Envelope<VirtualService>>(&tree(text), &Limits::default()).unwrap_err();
        let paths: Vec<_> = failures.iter().map(|failure| failure.path.to_string()).collect();
        assert_eq!(
            paths,
            ["spec.hosts[0]", "spec.hosts[2]", "spec.http[0].timeout", "spec.http[1].route", "spec.exportTo"]
        );
        assert_eq!(unknown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["spec.nonsense"]);
    }

    #[test]
    fn merged_mappings_give_what_is_not_there() {
        let text = "a: &a {number: 1, name: x}\nspec: {servers: [{port: {<<: *a, number: 80}}]}";
        let read: Read<Envelope<Gateway>> = read(&tree(text), &Limits::default()).unwrap();
        let port = read.value.spec.unwrap().servers.remove(0).port.unwrap();
        assert_eq!((port.number, port.name.as_str()), (80, "x"));
    }

    #[test]
    fn what_is_nested_too_deeply_is_not_read() {
        let limits = Limits { max_depth: 4, ..Limits::default() };
        let text = "spec: {http: [{match: [{uri: {exact: /}}]}]}";
        let failures = read::<Envelope<VirtualService>>(&tree(text), &limits).unwrap_err().failures;
        assert_eq!((failures[0].code, failures[0].path.to_string().as_str()), (Code::LIMIT, "spec.http[0].match"));
    }
}
