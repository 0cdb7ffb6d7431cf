//! Reads the text of a document into a struct, and notes what it could not place.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::{DuplicateKeyPolicy, MessageFormatter, NonFiniteFloatPolicy};

use super::Limits;
use crate::diagnostic::{Code, FieldPath, Segment};
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
}

/// Why nothing was read.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// The field, as far as it is known.
    pub(super) path: FieldPath,
    /// Line and column in the text, where they are known.
    pub(super) place: Option<(u32, u32)>,
    /// Fields that the struct does not have, up to where reading ended.
    pub(super) unknown: Vec<FieldPath>,
}

/// Reads a text. Unknown fields are noted, never an error here.
pub(super) fn read<T: DeserializeOwned>(text: &str, limits: &Limits) -> Result<Read<T>, Box<Failure>> {
    let mut unknown = Vec::new();
    let mut path = FieldPath::root();
    let result = serde_saphyr::with_deserializer_from_str_with_options(text, options(limits), |yaml| {
        let mut note = |path: serde_ignored::Path<'_>| unknown.push(ignored_path(&path));
        let mut track = serde_path_to_error::Track::new();
        let noting = serde_ignored::Deserializer::new(yaml, &mut note);
        let result = T::deserialize(serde_path_to_error::Deserializer::new(noting, &mut track));
        if result.is_err() {
            path = error_path(&track.path());
        }
        result
    });
    match result {
        Ok(value) => Ok(Read { value, unknown }),
        Err(error) => Err(Box::new(Failure { unknown, ..explain(&error, path) })),
    }
}

fn options(limits: &Limits) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits.max_depth,
            max_nodes: limits.max_nodes,
            max_events: limits.max_nodes.saturating_mul(2),
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: limits.max_alias_nodes },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // As Kubernetes reads YAML: `no` and `123` are no strings, `0755` is octal.
        no_schema: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn ignored_path(path: &serde_ignored::Path<'_>) -> FieldPath {
    match path {
        serde_ignored::Path::Root => FieldPath::root(),
        serde_ignored::Path::Seq { parent, index } => ignored_path(parent).index(*index),
        serde_ignored::Path::Map { parent, key } => ignored_path(parent).field(key.clone()),
        serde_ignored::Path::Some { parent }
        | serde_ignored::Path::NewtypeStruct { parent }
        | serde_ignored::Path::NewtypeVariant { parent } => ignored_path(parent),
    }
}

fn error_path(path: &serde_path_to_error::Path) -> FieldPath {
    let segments = path.iter().filter_map(|segment| match segment {
        serde_path_to_error::Segment::Seq { index } => Some(Segment::Index(*index)),
        serde_path_to_error::Segment::Map { key } => Some(Segment::Field(key.clone().into())),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
    });
    segments.collect::<Vec<_>>().into()
}

/// Says in our words what the reader objects to.
fn explain(error: &serde_saphyr::Error, path: FieldPath) -> Failure {
    use serde_saphyr::Error;
    let mut innermost = error.without_snippet();
    while let Error::AliasError { error, .. } = innermost {
        innermost = error.without_snippet();
    }
    let place = error.location().map(|at| (narrow(at.line()), narrow(at.column())));
    let (code, message, help) = match innermost {
        Error::DuplicateMappingKey { key, .. } => duplicate(key.as_deref().unwrap_or_default()),
        Error::Budget { breach, .. } => {
            (Code::LIMIT, format!("the document is too large or too deep: {breach:?}"), None)
        }
        Error::AliasReplayLimitExceeded { max_total_replayed_events: most, .. } => {
            (Code::LIMIT, format!("aliases stand for more than {most} nodes"), None)
        }
        Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => {
            (Code::LIMIT, "aliases refer to aliases too often".to_owned(), None)
        }
        Error::ExternalMessage { msg, .. } => syntax(msg),
        Error::Eof { .. } => syntax("the document ends in the middle"),
        Error::UnknownAnchor { .. } => syntax("an alias refers to an anchor that is not there"),
        Error::QuotingRequired { value, .. } => quote(value),
        other => mismatch(other),
    };
    Failure { code, message, help, path, place, unknown: Vec::new() }
}

type Words = (Code, String, Option<String>);

pub(super) fn duplicate(key: &str) -> Words {
    (Code::DUPLICATE_KEY, format!("key {key:?} is there twice"), Some("keep one of them".to_owned()))
}

pub(super) fn syntax(problem: &str) -> Words {
    if problem.contains("recursion limit") {
        return (Code::LIMIT, "lists and mappings are nested too deeply".to_owned(), None);
    }
    let help = if problem.contains("tab") {
        Some("YAML is indented with spaces")
    } else if problem.contains("unexpected character: `@'") || problem.contains("unexpected character: ``'") {
        Some("quote the value")
    } else if problem.contains("mapping values are not allowed") {
        Some("quote a value that contains a colon and a space, and check the indentation")
    } else {
        None
    };
    (Code::SYNTAX, format!("not YAML: {problem}"), help.map(str::to_owned))
}

fn quote(value: &str) -> Words {
    let read_as = match value.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => "a number",
        Some(b'~') | None => "null",
        Some(_) if value.eq_ignore_ascii_case("null") => "null",
        Some(_) => "a boolean",
    };
    (
        Code::WRONG_TYPE,
        format!("`{value}` is {read_as} in YAML, and a string is needed here"),
        Some(format!("quote it: \"{value}\"")),
    )
}

fn mismatch(error: &serde_saphyr::Error) -> Words {
    use serde_saphyr::Error;
    let message = match error {
        Error::Unexpected { expected, .. } => format!("expected {}", kind_of_node(expected)),
        Error::InvalidScalar { ty, .. } => format!("expected {}", kind_of_scalar(ty)),
        Error::InvalidBooleanStrict { .. } => "expected true or false".to_owned(),
        Error::NullIntoString { .. } => "expected a string, found null".to_owned(),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("expected {expected}, found {unexpected}")
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let help = nearest(variant, expected.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            return (Code::WRONG_TYPE, format!("`{variant}` is not one of {}", expected.join(", ")), help);
        }
        other => serde_saphyr::DefaultMessageFormatter.format_message(other).into_owned(),
    };
    (Code::WRONG_TYPE, message, None)
}

fn kind_of_node(expected: &str) -> &str {
    match expected {
        "mapping start" => "a mapping",
        "sequence start" => "a list",
        "string scalar" | "scalar" => "a single value",
        other => other,
    }
}

fn kind_of_scalar(ty: &str) -> &str {
    match ty {
        "boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" => "a whole number of 0 or more that fits the field",
        "i8" | "i16" | "i32" | "i64" => "a whole number that fits the field",
        "floating point" | "f32" | "f64" => "a number",
        other => other,
    }
}

/// The name that a misspelt one probably stands for.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |name: &str| name.chars().filter(|c| *c != '_' && *c != '-').collect::<String>().to_lowercase();
    let wanted = plain(name);
    known
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn narrow(n: impl TryInto<u32>) -> u32 {
    n.try_into().unwrap_or(u32::MAX)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DestinationRule, VirtualService};

    fn fails(spec: &str) -> Box<Failure> {
        read::<Envelope<VirtualService>>(&format!("spec:\n  {spec}\n"), &Limits::default()).unwrap_err()
    }

    #[test]
    fn unknown_fields_are_noted_at_every_level() {
        let text = "a: 1\nmetadata: {nam: x}\nspec: {hots: [], http: [{}, {ruote: []}]}\nstatus: {x: {y: 1}}\n";
        let read: Read<Envelope<VirtualService>> = read(text, &Limits::default()).unwrap();
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
            assert!(failure.help.is_some_and(|help| help.starts_with("quote it")));
        }
        assert!(
            read::<Envelope<VirtualService>>("spec: {hosts: ['no', \"123\", v1, 1.2.3.4]}", &Limits::default()).is_ok()
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
        let failure = read::<Envelope<DestinationRule>>(text, &Limits::default()).unwrap_err();
        assert_eq!(failure.help.as_deref(), Some("did you mean `ROUND_ROBIN`?"));
    }

    #[test]
    fn the_nearest_name_ignores_case_and_underscores() {
        assert_eq!(nearest("sourcelabels", ["source", "sourceLabels"].into_iter()), Some("sourceLabels"));
        assert_eq!(nearest("wieght", ["weight", "headers"].into_iter()), Some("weight"));
        assert_eq!(nearest("banana", ["weight", "headers"].into_iter()), None);
    }

    #[test]
    fn duplicates_syntax_and_limits_have_codes_of_their_own() {
        assert_eq!(fails("hosts: []\n  hosts: []").code, Code::DUPLICATE_KEY);
        assert_eq!(fails("hosts: [a").code, Code::SYNTAX);
        assert_eq!(fails(&format!("x: {}", "[".repeat(10_000))).code, Code::LIMIT);
        assert_eq!(fails(&format!("x:\n  {}", "- ".repeat(10_000))).code, Code::LIMIT);
    }
}
