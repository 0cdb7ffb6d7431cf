//! Words for a list, a mapping or a value that stands where another of them is needed, and how to make it fit.

use serde::de::DeserializeOwned;

use super::probe::{self, Expected};
use super::scalar;
use crate::diagnostic::FieldPath;
use crate::locate::{NodeId, NodeKind, Tree};

/// What stands at a path.
pub(super) fn describe(tree: &Tree, path: &FieldPath) -> Option<String> {
    Some(match kind_at(tree, path)? {
        NodeKind::Mapping(_) => "a mapping".to_owned(),
        NodeKind::Sequence(_) => "a list".to_owned(),
        NodeKind::Scalar { text, .. } if text.is_empty() => "nothing".to_owned(),
        NodeKind::Scalar { text, .. } => format!("`{}`", shorten(text)),
        NodeKind::Alias(_) => return None,
    })
}

/// What to write instead. The message says what was expected.
pub(super) fn advise<T: DeserializeOwned>(tree: &Tree, path: &FieldPath, message: &str) -> Option<String> {
    let expected = message.strip_prefix("expected ")?;
    let expects = |what: &str| expected.starts_with(what);
    match kind_at(tree, path)? {
        NodeKind::Mapping(entries) if expects("a list") => Some(match entries.as_slice() {
            [] => "an empty list is `[]`".to_owned(),
            _ => "begin it with `- `, which makes it the first of a list".to_owned(),
        }),
        NodeKind::Mapping(entries) if expects("a single value") || expects("a string") => match entries.as_slice() {
            [(key, value)] if is_nothing(tree, *value) => {
                Some(format!("`{{{}}}` is a placeholder that was never filled in, or needs quotes", key.text))
            }
            _ => Some("only one value belongs here, no fields".to_owned()),
        },
        NodeKind::Scalar { text, plain } if expects("a list") => {
            (!text.is_empty()).then(|| format!("a list of one: [{}]", in_flow(text, *plain)))
        }
        NodeKind::Scalar { text, plain } if expects("a mapping") => fields_of::<T>(path, text, *plain),
        NodeKind::Sequence(elements) if expects("a mapping") => Some(match elements.as_slice() {
            [] => "an empty mapping is `{}`".to_owned(),
            [one] if matches!(tree.node(tree.resolve(*one)).kind, NodeKind::Mapping(_)) => {
                "take the `- ` away: it makes a list, and one mapping belongs here".to_owned()
            }
            several if are_pairs(tree, several) => {
                "take each `- ` away: they make a list of what is one mapping".to_owned()
            }
            _ => "one mapping belongs here, no list".to_owned(),
        }),
        NodeKind::Sequence(elements) if expects("a single value") || expects("a string") => (elements.len() == 1)
            .then(|| "take the `- ` or the brackets away: one value belongs here, no list".to_owned()),
        _ => None,
    }
}

/// Elements of one entry each, as whoever writes a mapping as a list leaves them.
fn are_pairs(tree: &Tree, elements: &[NodeId]) -> bool {
    elements.iter().all(|element| tree.entries(*element).len() == 1)
}

/// The fields that belong where a single value stands.
fn fields_of<T: DeserializeOwned>(path: &FieldPath, text: &str, plain: bool) -> Option<String> {
    let Some(Expected::Struct(fields)) = probe::expected::<T>(path) else { return None };
    let value = in_flow(text, plain);
    match fields.as_slice() {
        [only] if !text.is_empty() => Some(format!("write {{{only}: {value}}}")),
        [] => None,
        fields if fields.len() <= MOST_FIELDS => Some(format!("its fields are {}", fields.join(", "))),
        _ => None,
    }
}

/// A value as it can stand between brackets: quoted where it would be read as something else.
fn in_flow(text: &str, plain: bool) -> String {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let begins_well = |c: char| c.is_ascii_alphabetic() || c == '/' || (plain && is_harmless(c));
    let is_word = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if text.starts_with(begins_well) && text.chars().all(is_harmless) && (plain || !is_word) {
        return shorten(text);
    }
    format!("\"{}\"", shorten(text).replace('\\', "\\\\").replace('"', "\\\""))
}

const MOST_FIELDS: usize = 8;

fn is_nothing(tree: &Tree, node: NodeId) -> bool {
    matches!(&tree.node(tree.resolve(node)).kind, NodeKind::Scalar { text, plain: true } if scalar::is_null(text))
}

fn kind_at<'t>(tree: &'t Tree, path: &FieldPath) -> Option<&'t NodeKind> {
    Some(&tree.node(tree.at(path)?).kind)
}

/// A text that may be too long to be shown whole.
pub(super) fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
