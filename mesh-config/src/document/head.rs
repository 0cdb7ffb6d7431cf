//! What a document says it is.

use crate::locate::{NodeKind, Tree};

/// The type that an object declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
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
