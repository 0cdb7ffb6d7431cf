//! Where a field belongs that stands where there is none of its name.

use serde::de::DeserializeOwned;

use super::probe::{self, Expected};
use crate::diagnostic::{Advice, Diagnostic, FieldPath, Segment};

enum Remedy {
    /// It goes by this name here.
    Name(&'static str),
    /// It goes into this field, which stands beside it.
    Under(&'static str),
    /// It goes into this field, in these words.
    Words(&'static str, &'static str),
}

use Remedy::{Name, Under, Words};

/// The commonest mistakes: the field they are made in, what is written there, and what is meant. They count where the
/// kind has the field that is meant.
const USUAL: &[(&str, &[&str], Remedy)] = &[
    ("match", &["prefix", "exact", "regex"], Under("uri")),
    ("subsets", &["version", "app", "track"], Under("labels")),
    ("abort", &["percent"], Words("percentage", "write `percentage: {value: 10}` for ten in a hundred")),
    ("spec", &["route", "match"], Under("http")),
    ("spec", &["selector"], Words("workloadSelector", "did you mean `workloadSelector`, and `labels` in it?")),
    ("http", &["retry"], Name("retries")),
    ("http", &["cors"], Name("corsPolicy")),
    ("http", &["uri"], Under("match")),
    ("http", &["destination"], Under("route")),
    ("http", &["host", "subset"], Words("route", "it belongs under `destination` of an element of `route`")),
    ("outlierDetection", &["consecutive5xx"], Name("consecutive5xxErrors")),
    ("selector", &["matchExpressions"], Words("matchLabels", "only `matchLabels` is known here")),
];

/// What to do about one of the commonest mistakes. `fields` are those that there are beside it.
pub(super) fn usual<T: DeserializeOwned>(path: &FieldPath, name: &str, fields: &[&'static str]) -> Option<Advice> {
    let parent = path.parent();
    let within = parent.segments().iter().rev().find_map(Segment::name)?;
    let remedies = USUAL.iter().filter(|(place, names, _)| *place == within && names.contains(&name));
    for (_, _, remedy) in remedies {
        let (Name(meant) | Under(meant) | Words(meant, _)) = remedy;
        if !fields.contains(meant) {
            continue;
        }
        return Some(match remedy {
            Name(meant) => Advice::Name((*meant).to_owned()),
            Under(meant) => belongs(name, &[owner::<T>(&parent, meant)]),
            Words(_, words) => Advice::Words((*words).to_owned()),
        });
    }
    None
}

/// A field of a field that stands beside it, or an entry of the only one there is.
pub(super) fn just_below<T: DeserializeOwned>(path: &FieldPath, name: &str, fields: &[&'static str]) -> Option<Advice> {
    let parent = path.parent();
    let has_it = |field: &&&'static str| fields_of::<T>(&parent, field).iter().any(|f| f.eq_ignore_ascii_case(name));
    let owners: Vec<_> = fields.iter().filter(has_it).map(|field| owner::<T>(&parent, field)).collect();
    match fields {
        [only] if probe::expected::<T>(&parent.field(*only)) == Some(Expected::Map) => {
            Some(belongs(name, &[(*only).to_owned()]))
        }
        _ => (!owners.is_empty()).then(|| belongs(name, &owners)),
    }
}

/// A field of that name anywhere in the spec, the places that share most of the path.
pub(super) fn far<T: DeserializeOwned>(path: &FieldPath, name: &str) -> Option<Advice> {
    let places = probe::places_of::<T>(name, &FieldPath::from("spec"));
    let most = places.iter().map(|place| shared(place, path)).max()?;
    let nearest = places.iter().filter(|place| shared(place, path) == most);
    let owners: Vec<_> = nearest.clone().map(|place| printed(&place.parent())).collect();
    let name = nearest.clone().next()?.segments().last()?.name()?;
    Some(belongs(name, &owners))
}

/// The findings without those that miss a field whose own fields are written beside it: that is one mistake.
pub(super) fn without_consequences<T: DeserializeOwned>(
    mut findings: Vec<Diagnostic>,
    unknown: &[FieldPath],
) -> Vec<Diagnostic> {
    findings.retain(|finding| {
        let Some(missed) = finding.path.segments().last().and_then(Segment::name) else { return true };
        if !finding.message.ends_with(": Required value") {
            return true;
        }
        let parent = finding.path.parent();
        let below = fields_of::<T>(&parent, missed);
        let is_beside = |path: &&FieldPath| path.parent() == parent;
        let mut beside = unknown.iter().filter(is_beside).filter_map(|path| path.segments().last()?.name());
        !beside.any(|name| below.contains(&name))
    });
    findings
}

/// The fields of a field, or of the elements of a list.
fn fields_of<T: DeserializeOwned>(parent: &FieldPath, field: &str) -> Vec<&'static str> {
    let below = parent.clone().field(field.to_owned());
    let expected = match probe::expected::<T>(&below) {
        Some(Expected::List) => probe::expected::<T>(&below.index(0)),
        other => other,
    };
    match expected {
        Some(Expected::Struct(fields)) => fields,
        _ => Vec::new(),
    }
}

/// How a field beside it is called: by its name, or as a list by its path, which shows that it is one.
fn owner<T: DeserializeOwned>(parent: &FieldPath, field: &'static str) -> String {
    let path = parent.clone().field(field);
    match probe::expected::<T>(&path) {
        Some(Expected::List) => printed(&path.index(0)),
        _ => field.to_owned(),
    }
}

/// A path without the numbers of elements.
fn printed(path: &FieldPath) -> String {
    let mut text = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Index(_) => text.push_str("[]"),
            other => {
                let dot = if text.is_empty() { "" } else { "." };
                text.push_str(dot);
                text.push_str(other.name().unwrap_or_default());
            }
        }
    }
    if text.is_empty() { "the top".to_owned() } else { text }
}

fn belongs(name: &str, owners: &[String]) -> Advice {
    let listed: Vec<_> = owners.iter().take(MOST_OWNERS).map(|owner| format!("`{owner}`")).collect();
    let (last, others) = listed.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let owners = match others {
        [] => last.to_owned(),
        others => format!("{} or {last}", others.join(", ")),
    };
    Advice::Words(format!("`{name}` belongs under {owners}"))
}

const MOST_OWNERS: usize = 3;

/// How many steps two paths have in common, elements of a list being alike.
fn shared(one: &FieldPath, other: &FieldPath) -> usize {
    let alike = |(a, b): &(&Segment, &Segment)| a.name() == b.name();
    one.segments().iter().zip(other.segments()).take_while(alike).count()
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn helps(kind: &str, spec: &str) -> Vec<String> {
        let group = if kind.contains("Auth") { "security" } else { "networking" };
        let text = format!("apiVersion: {group}.istio.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n");
        parse("f", &text).1.iter().map(|finding| finding.help.clone().unwrap_or_default()).collect()
    }

    #[test]
    fn a_misplaced_field_is_sent_to_the_likeliest_place() {
        let route = "route: [{destination: {host: a}}]";
        for (kind, spec, help) in [
            (
                "VirtualService",
                format!("{{hosts: [a], http: [{{match: [{{prefix: /a}}], {route}}}]}}"),
                "`prefix` belongs under `uri`",
            ),
            (
                "VirtualService",
                format!("{{hosts: [a], http: [{{headers: {{set: {{a: b}}}}, {route}}}]}}"),
                "`set` belongs under `request` or `response`",
            ),
            (
                "VirtualService",
                format!("{{hosts: [a], http: [{{retry: {{attempts: 1}}, {route}}}]}}"),
                "did you mean `retries`?",
            ),
            (
                "VirtualService",
                format!("{{hosts: [a], http: [{{cors: {{}}, {route}}}]}}"),
                "did you mean `corsPolicy`?",
            ),
            (
                "VirtualService",
                format!("{{hosts: [a], http: [{{{route}}}], route: []}}"),
                "`route` belongs under `spec.http[]`",
            ),
            (
                "VirtualService",
                format!("{{hosts: [a], http: [{{fault: {{abort: {{httpStatus: 500, percent: 10}}}}, {route}}}]}}"),
                "write `percentage: {value: 10}` for ten in a hundred",
            ),
            (
                "VirtualService",
                "{hosts: [a], http: [{route: [{host: a}]}]}".to_owned(),
                "`host` belongs under `destination`",
            ),
            (
                "DestinationRule",
                "{host: a, subsets: [{name: v1, version: v1}]}".to_owned(),
                "`version` belongs under `labels`",
            ),
            (
                "DestinationRule",
                "{host: a, trafficPolicy: {outlierDetection: {consecutive5xx: 1}}}".to_owned(),
                "did you mean `consecutive5xxErrors`?",
            ),
            ("PeerAuthentication", "{selector: {app: x}}".to_owned(), "`app` belongs under `matchLabels`"),
            ("AuthorizationPolicy", "{selector: {app: x}}".to_owned(), "`app` belongs under `matchLabels`"),
            ("RequestAuthentication", "{selector: {app: x}}".to_owned(), "`app` belongs under `matchLabels`"),
            ("Sidecar", "{selector: {app: x}}".to_owned(), "did you mean `workloadSelector`, and `labels` in it?"),
        ] {
            assert_eq!(helps(kind, &spec), [help], "{spec}");
        }
    }

    #[test]
    fn a_list_of_one_is_proposed_as_yaml() {
        let server = |hosts: &str| {
            format!(
                "{{selector: {{a: b}}, servers: [{{port: {{number: 80, name: a, protocol: HTTP}}, hosts: {hosts}}}]}}"
            )
        };
        assert_eq!(helps("Gateway", &server("\"*\"")), ["a list of one: [\"*\"]"]);
        assert_eq!(helps("Gateway", &server("a.example.com")), ["a list of one: [a.example.com]"]);
    }

    #[test]
    fn a_star_without_quotes_is_told_to_be_quoted() {
        assert_eq!(helps("VirtualService", "{hosts: [*]}"), ["quote it: \"*\""]);
    }

    #[test]
    fn a_placeholder_for_a_name_hides_no_other() {
        let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: \"{{ .Release.Name }}\"}\nspec: {hosts: [\"${HOST}\"], http: [{route: [{destination: {host: a}}]}]}\n";
        let (documents, report) = parse("f", text);
        let codes: Vec<_> = report.iter().map(|finding| (finding.code.as_str(), finding.severity.as_str())).collect();
        assert_eq!((documents.len(), codes), (0, vec![("MESH0008", "error"), ("MESH0008", "warning")]), "{report}");
        assert!(report.iter().all(|finding| finding.help.as_deref().is_some_and(|help| help.starts_with("render"))));
    }
}
