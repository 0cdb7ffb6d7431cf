//! A value of a document as the API server sees it: a null counts as absent, and what `<<` brings is there.

use std::borrow::Cow;

use super::schema::Type;
use crate::document::scalar::{Scalar, resolve};
use crate::locate::{Key, NodeId, NodeKind, Tree};

/// A value, through aliases.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    tree: &'t Tree,
    id: NodeId,
}

/// What a value is in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'t> {
    Null,
    Text(&'t str),
    /// A number, and how it is written.
    Number(f64, &'t str),
    Boolean(&'t str),
    List,
    Object,
}

impl Found<'_> {
    /// The name of its type in a schema. A whole number is an integer, however it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => Type::Text.name(),
            Self::Number(number, _) if number.fract() == 0.0 => Type::Whole.name(),
            Self::Number(..) => Type::Number.name(),
            Self::Boolean(_) => Type::Boolean.name(),
            Self::List => Type::List.name(),
            Self::Object => Type::Object.name(),
        }
    }

    pub(super) fn fits(self, of: Type) -> bool {
        match self {
            Self::Null => false,
            Self::Text(_) => of == Type::Text,
            Self::Number(number, _) => of == Type::Number || (of == Type::Whole && number.fract() == 0.0),
            Self::Boolean(_) => of == Type::Boolean,
            Self::List => of == Type::List,
            Self::Object => matches!(of, Type::Map | Type::Object),
        }
    }
}

impl<'t> Value<'t> {
    pub(super) fn new(tree: &'t Tree, id: NodeId) -> Self {
        Self { tree, id }
    }

    pub(super) fn found(self) -> Found<'t> {
        match &self.tree.node(self.tree.resolve(self.id)).kind {
            NodeKind::Scalar { text, plain } => match resolve(text, *plain) {
                Scalar::Null => Found::Null,
                Scalar::Bool(_) => Found::Boolean(text),
                #[allow(clippy::cast_precision_loss, reason = "compared with bounds of 32 bits only")]
                Scalar::Unsigned(number) => Found::Number(number as f64, text),
                #[allow(clippy::cast_precision_loss, reason = "compared with bounds of 32 bits only")]
                Scalar::Signed(number) => Found::Number(number as f64, text),
                Scalar::Float(number) => Found::Number(number, text),
                Scalar::Text(text) => Found::Text(text),
            },
            NodeKind::Sequence(_) => Found::List,
            NodeKind::Mapping(_) => Found::Object,
            NodeKind::Alias(_) => Found::Null,
        }
    }

    pub(super) fn is_null(self) -> bool {
        self.found() == Found::Null
    }

    /// The text, if it is one.
    pub(super) fn text(self) -> Option<&'t str> {
        match self.found() {
            Found::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub(super) fn number(self) -> Option<f64> {
        match self.found() {
            Found::Number(number, _) => Some(number),
            _ => None,
        }
    }

    /// A field that is there and not null.
    pub(super) fn get(self, name: &str) -> Option<Self> {
        let value = self.sibling(self.tree.get(self.id, name)?);
        (!value.is_null()).then_some(value)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text of a field; empty if it has none.
    pub(super) fn text_of(self, name: &str) -> &'t str {
        self.get(name).and_then(Self::text).unwrap_or_default()
    }

    /// The elements of a list; none of anything else.
    pub(super) fn elements(self) -> impl ExactSizeIterator<Item = Self> {
        self.tree.elements(self.id).iter().map(move |id| self.sibling(*id))
    }

    /// The entries of an object, merged ones included, and null ones too.
    pub(super) fn entries(self) -> Cow<'t, [Entry]> {
        let own = self.tree.entries(self.id);
        if own.iter().all(|(key, _)| key.text != MERGE) {
            return Cow::Borrowed(own);
        }
        let mut all = Vec::new();
        self.merge_into(&mut all, 0);
        Cow::Owned(all)
    }

    fn merge_into(self, all: &mut Vec<Entry>, depth: usize) {
        let own = self.tree.entries(self.id);
        for (key, id) in own.iter().filter(|(key, _)| key.text != MERGE) {
            if !all.iter().any(|(known, _)| known.text == key.text) {
                all.push((key.clone(), *id));
            }
        }
        for (_, id) in own.iter().filter(|(key, _)| key.text == MERGE) {
            if depth >= MAX_MERGES {
                return;
            }
            let merged = self.sibling(*id);
            match merged.found() {
                Found::List => merged.elements().for_each(|one| one.merge_into(all, depth + 1)),
                _ => merged.merge_into(all, depth + 1),
            }
        }
    }

    /// The keys of an object whose values are not null.
    pub(super) fn keys(self) -> Vec<String> {
        let entries = self.entries();
        let there = entries.iter().filter(|(_, id)| !self.sibling(*id).is_null());
        there.map(|(key, _)| key.text.clone()).collect()
    }

    /// Another value of the same document.
    pub(super) fn sibling(self, id: NodeId) -> Self {
        Self::new(self.tree, id)
    }
}

/// A key and its value.
pub(super) type Entry = (Key, NodeId);

/// The key whose mapping is taken in.
const MERGE: &str = "<<";
/// The reader refuses more.
const MAX_MERGES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_types_that_kubernetes_gives_them() {
        let tree = Tree::parse("[~, no, 1, 0x1F, 1.0, 1e3, 1.5, 1s, '1', \"no\", '', [], {}]").unwrap();
        let root = Value::new(&tree, tree.root().unwrap());
        let names: Vec<_> = root.elements().map(|value| value.found().name()).collect();
        let expected = [
            "null", "boolean", "integer", "integer", "integer", "integer", "number", "string", "string", "string",
            "string", "array", "object",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn merged_entries_count_and_own_ones_win() {
        let text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\nn: {a: null}\n";
        let tree = Tree::parse(text).unwrap();
        let root = Value::new(&tree, tree.root().unwrap());
        let number = |name: &str, field: &str| root.get(name).unwrap().get(field).and_then(Value::number);
        assert_eq!((number("y", "a"), number("y", "b")), (Some(1.0), Some(3.0)));
        assert_eq!(root.get("y").unwrap().keys(), ["b", "a"]);
        assert_eq!(root.get("z").unwrap().keys(), ["a", "b", "c"]);
        assert!(root.get("n").unwrap().keys().is_empty() && !root.get("n").unwrap().has("a"));
    }
}
