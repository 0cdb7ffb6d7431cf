//! What a document says it is.

use crate::locate::{NodeKind, Tree};

/// The type that an object declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
}

/// Reads `apiVersion` and `kind` off lines of their own, without parsing the document.
///
/// A guess: whoever relies on it compares with what parsing says afterwards. Nothing if the two do not stand at the
/// margin in the plainest form, once each.
pub(super) fn guess(text: &str) -> Option<Head> {
    let mut api_version = None;
    let mut kind = None;
    for line in text.lines() {
        let slot = match line.as_bytes().first() {
            Some(b'a') => line.strip_prefix("apiVersion:").map(|rest| (rest, &mut api_version)),
            Some(b'k') => line.strip_prefix("kind:").map(|rest| (rest, &mut kind)),
            Some(b'{' | b'[' | b'\t') => return None,
            _ => None,
        };
        if let Some((rest, slot)) = slot
            && slot.replace(plain(rest)?).is_some()
        {
            return None;
        }
    }
    Some(Head { api_version: api_version?, kind: kind? })
}

/// A value of letters, digits, dots and slashes, perhaps quoted, perhaps with a comment behind it.
fn plain(rest: &str) -> Option<String> {
    let value = rest.split(" #").next()?.trim();
    let value = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(value);
    let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-');
    (!value.is_empty() && value.chars().all(simple)).then(|| value.to_owned())
}

/// What a parsed document is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// An object that names its type.
    Object(Head),
    /// A mapping without `kind`, or whose `kind` is empty.
    Untyped,
    /// Null, or a mapping without entries.
    Empty,
    /// A list.
    List,
    /// One piece of text.
    Text,
}

/// Tells what a parsed document is.
pub(super) fn shape(tree: &Tree) -> Shape {
    let Some(root) = tree.root() else { return Shape::Empty };
    let text = |name: &str| tree.get(root, name).and_then(|id| tree.scalar(id)).unwrap_or_default().to_owned();
    match &tree.node(root).kind {
        NodeKind::Sequence(_) => Shape::List,
        NodeKind::Scalar { text, .. } if matches!(text.as_str(), "" | "~" | "null") => Shape::Empty,
        NodeKind::Scalar { .. } | NodeKind::Alias(_) => Shape::Text,
        NodeKind::Mapping(entries) if entries.is_empty() => Shape::Empty,
        NodeKind::Mapping(_) => match text("kind") {
            kind if kind.is_empty() => Shape::Untyped,
            kind => Shape::Object(Head { api_version: text("apiVersion"), kind }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(api_version: &str, kind: &str) -> Head {
        Head { api_version: api_version.to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn the_plain_form_is_guessed() {
        let text = "# c\napiVersion: networking.istio.io/v1 # x\r\nkind: \"Gateway\"\nspec:\n  kind: Other\n";
        assert_eq!(guess(text), Some(head("networking.istio.io/v1", "Gateway")));
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        for text in
            ["kind: A", "kind: &a A\napiVersion: v1", "{kind: A,\napiVersion: v1}", "kind: A\nkind: B\napiVersion: v1"]
        {
            assert_eq!(guess(text), None, "{text}");
        }
    }

    #[test]
    fn shapes_are_told_apart() {
        for (text, expected) in [
            ("{kind: A, apiVersion: v1}", Shape::Object(head("v1", "A"))),
            ("a: 1", Shape::Untyped),
            ("{}", Shape::Empty),
            ("null", Shape::Empty),
            ("- a", Shape::List),
            ("some prose\nhere", Shape::Text),
        ] {
            assert_eq!(shape(&Tree::parse(text).unwrap()), expected, "{text}");
        }
    }
}
