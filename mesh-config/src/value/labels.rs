//! Labels of workloads and the selectors over them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The labels of a workload, or the ones that a selector asks for.
pub type Labels = BTreeMap<String, String>;

/// Whether every label of `selector` is among `labels` with the same value. An empty selector always is.
#[must_use]
pub fn subset_of(selector: &Labels, labels: &Labels) -> bool {
    selector.len() <= labels.len() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a selector that asks for something selects `labels`. An empty selector selects nothing here.
#[must_use]
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && subset_of(selector, labels)
}

/// The labels in one line, sorted by key: `app=a,version=v1`. A label without a value is its key alone.
#[must_use]
pub fn to_line(labels: &Labels) -> String {
    let mut line = String::new();
    for (key, value) in labels {
        if !line.is_empty() {
            line.push(',');
        }
        line.push_str(key);
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(line, "={value}");
        }
    }
    line
}

/// What is wrong with labels, as Istio's webhook says it: one text for each bad key and value.
#[must_use]
pub fn check(labels: &Labels) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, value) in labels {
        problems.extend(check_key(key).err());
        problems.extend(check_value(value).err());
    }
    problems
}

/// Checks a key: an optional DNS prefix (253 characters) and a slash, then a qualified name (63 characters).
///
/// # Errors
/// Istio's text.
pub fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !is_qualified_name(name) || !prefix.is_none_or(is_dns_prefix) {
        return Err(format!("invalid tag key: {key:?}"));
    }
    if prefix.is_some_and(|prefix| prefix.len() > MAX_PREFIX) {
        return Err(format!("invalid tag key: {key:?} (DNS prefix is too long)"));
    }
    if name.len() > MAX_NAME {
        return Err(format!("invalid tag key: {key:?} (name is too long)"));
    }
    Ok(())
}

/// Checks a value: empty, or a qualified name of at most 63 characters.
///
/// # Errors
/// Istio's text.
pub fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || (value.len() <= MAX_NAME && is_qualified_name(value)) {
        return Ok(());
    }
    Err(format!("invalid tag value: {value:?}"))
}

/// Letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit.
fn is_qualified_name(name: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_dns_prefix(prefix: &str) -> bool {
    prefix.split('.').all(super::host::is_dns_label)
}

const MAX_PREFIX: usize = 253;
const MAX_NAME: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_selector_asks_for_a_part_of_the_labels() {
        let workload = labels(&[("app", "a"), ("version", "v1"), ("empty", "")]);
        for (selector, expected) in [
            (labels(&[]), true),
            (labels(&[("app", "a")]), true),
            (labels(&[("app", "a"), ("version", "v1")]), true),
            (labels(&[("empty", "")]), true),
            (labels(&[("app", "b")]), false),
            (labels(&[("missing", "")]), false),
        ] {
            assert_eq!(subset_of(&selector, &workload), expected, "{selector:?}");
        }
        assert!(!selects(&labels(&[]), &workload));
        assert!(selects(&labels(&[("app", "a")]), &workload));
    }

    #[test]
    fn labels_are_printed_sorted() {
        assert_eq!(to_line(&labels(&[("version", "v1"), ("app", "a"), ("foo", "")])), "app=a,foo,version=v1");
    }

    #[test]
    fn keys_are_checked_as_istio_checks_them() {
        let long = "a".repeat(64);
        for (key, problem) in [
            ("app", None),
            ("app.kubernetes.io/name", None),
            ("UPPER_case-1.x", None),
            ("", Some("invalid tag key: \"\"".to_owned())),
            ("key_", Some("invalid tag key: \"key_\"".to_owned())),
            ("^", Some("invalid tag key: \"^\"".to_owned())),
            ("/name", Some("invalid tag key: \"/name\"".to_owned())),
            ("a/b/c", Some("invalid tag key: \"a/b/c\"".to_owned())),
            (&long, Some(format!("invalid tag key: {long:?} (name is too long)"))),
        ] {
            assert_eq!(check_key(key).err(), problem, "{key}");
        }
        let prefix = format!("{}/name", ["a"; 128].join("."));
        assert!(check_key(&prefix).unwrap_err().ends_with("(DNS prefix is too long)"));
    }

    #[test]
    fn values_are_checked_as_istio_checks_them() {
        assert_eq!(check(&labels(&[("a", ""), ("b", "v1.0_x")])), [""; 0]);
        assert_eq!(check(&labels(&[("^", "^")])), ["invalid tag key: \"^\"", "invalid tag value: \"^\""]);
        assert!(check_value(&"a".repeat(64)).is_err());
    }
}
