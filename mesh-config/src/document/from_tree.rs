//! Gives the nodes of a [`Tree`] to serde.
//!
//! One deserializer that knows the path, notes the fields that a struct does not have, and puts the place on an error:
//! a struct is compiled for it once, and what it reads is the tree that positions and rules are looked up in, too.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::scalar::{self, Scalar};
use crate::diagnostic::FieldPath;
use crate::locate::{Key, NodeId, NodeKind, Tree};

/// One reading of a tree.
pub(super) struct Reading<'t> {
    pub(super) tree: &'t Tree,
    pub(super) max_depth: usize,
    /// Nodes that are passed over, since what stands there does not fit.
    pub(super) masked: &'t [NodeId],
    /// Fields that the struct does not have.
    pub(super) unknown: RefCell<Vec<FieldPath>>,
    /// Texts of one letter that YAML 1.1 has for booleans.
    pub(super) letters: RefCell<Vec<(FieldPath, String)>>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(tree: &'t Tree, max_depth: usize, masked: &'t [NodeId]) -> Self {
        Self { tree, max_depth, masked, unknown: RefCell::default(), letters: RefCell::default() }
    }

    pub(super) fn read<T: de::Deserialize<'t>>(&self, node: NodeId) -> Result<T, Error> {
        let at = Step { above: None, part: Part::Root };
        let node = Node { reading: self, id: node, at: &at, depth: 0 };
        T::deserialize(node).map_err(|error| error.at(node))
    }
}

/// A node, and the way to it.
#[derive(Clone, Copy)]
struct Node<'a, 't> {
    reading: &'a Reading<'t>,
    id: NodeId,
    at: &'a Step<'a>,
    depth: usize,
}

/// The way to a node, a chain on the stack.
struct Step<'a> {
    above: Option<&'a Step<'a>>,
    part: Part<'a>,
}

enum Part<'a> {
    Root,
    Index(usize),
    Key(&'a str),
}

impl Step<'_> {
    fn path(&self) -> FieldPath {
        let above = self.above.map_or_else(FieldPath::root, Step::path);
        match self.part {
            Part::Root => above,
            Part::Index(index) => above.index(index),
            Part::Key(key) => above.field(key.to_owned()),
        }
    }
}

/// Why a node does not fit, and which one it is.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) what: Box<What>,
    pub(super) path: FieldPath,
    /// The node, and its line and column; none until the error has passed the node.
    pub(super) place: Option<(NodeId, (u32, u32))>,
}

#[derive(Debug)]
pub(super) enum What {
    Message(String),
    /// A name that is none of these.
    UnknownName(String, &'static [&'static str]),
    /// A field that is there twice, under two names.
    Twice(&'static str),
    /// A text that means something else unless it is quoted.
    Unquoted(String),
    /// A text in quotes where true or false is needed.
    QuotedBoolean(String),
    Limit(String),
}

impl Error {
    fn new(what: What) -> Self {
        Self { what: Box::new(what), path: FieldPath::root(), place: None }
    }

    fn expected(what: &str) -> Self {
        Self::new(What::Message(format!("expected {what}")))
    }

    /// Puts the place on it, unless it has one further in.
    fn at(self, node: Node<'_, '_>) -> Self {
        if self.place.is_some() {
            return self;
        }
        let found = node.reading.tree.node(node.id);
        Self { path: node.at.path(), place: Some((node.id, (found.line, found.column))), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.what {
            What::Message(message) | What::Limit(message) => f.write_str(message),
            What::UnknownName(name, known) => write!(f, "`{name}` is not one of {}", known.join(", ")),
            What::Twice(field) => write!(f, "key {field:?} is there twice"),
            What::Unquoted(text) => write!(f, "`{text}` has to be quoted"),
            What::QuotedBoolean(text) => write!(f, "expected true or false, found the string {text:?}"),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Message(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(What::Message(format!("expected {expected}, found {unexpected}")))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(What::UnknownName(variant.to_owned(), expected))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(What::Twice(field))
    }
}

impl<'a, 't> Node<'a, 't> {
    /// What stands here, through aliases.
    fn kind(&self) -> &'t NodeKind {
        &self.reading.tree.node(self.reading.tree.resolve(self.id)).kind
    }

    fn scalar(&self, needed: &str) -> Result<(&'t str, bool), Error> {
        match self.kind() {
            NodeKind::Scalar { text, plain } => Ok((text, *plain)),
            _ => Err(Error::expected(needed)),
        }
    }

    fn text(&self) -> Result<&'t str, Error> {
        let (text, plain) = self.scalar("a single value")?;
        match scalar::resolve(text, plain) {
            Scalar::Text(text) => Ok(text),
            Scalar::Null => Err(Error::new(What::Message("expected a string, found null".to_owned()))),
            // `y` and `n`: whoever writes a single letter means it.
            Scalar::Bool(_) if text.len() == 1 => {
                self.reading.letters.borrow_mut().push((self.at.path(), text.to_owned()));
                Ok(text)
            }
            _ => Err(Error::new(What::Unquoted(text.to_owned()))),
        }
    }

    fn whole<N: TryFrom<i128>>(&self, needed: &str) -> Result<N, Error> {
        let (text, _) = self.scalar(needed)?;
        scalar::integer(text).and_then(|number| N::try_from(number).ok()).ok_or_else(|| Error::expected(needed))
    }

    fn below<'b>(&self, id: NodeId, at: &'b Step<'b>) -> Result<Node<'b, 't>, Error>
    where
        'a: 'b,
    {
        let depth = self.depth + 1;
        if depth > self.reading.max_depth {
            return Err(Error::new(What::Limit(format!(
                "lists and mappings are nested more than {} deep",
                self.reading.max_depth
            ))));
        }
        Ok(Node { reading: self.reading, id, at, depth })
    }

    fn entries(&self, entries: &'t [(Key, NodeId)]) -> Result<Entries<'a, 't>, Error> {
        let mut merged = Vec::new();
        for (_, node) in entries.iter().filter(|(key, _)| key.text == MERGE) {
            self.merge(*node, entries, &mut merged, 0)?;
        }
        Ok(Entries { of: *self, own: entries.iter(), merged: merged.into_iter(), value: None })
    }

    /// Adds what a `<<` brings: of several mappings the first that has a key, and none that the mapping has itself.
    fn merge(
        &self,
        node: NodeId,
        own: &'t [(Key, NodeId)],
        out: &mut Vec<(&'t Key, NodeId)>,
        depth: usize,
    ) -> Result<(), Error> {
        let tree = self.reading.tree;
        if depth > MAX_MERGES {
            return Err(Error::new(What::Limit("aliases refer to aliases too often".to_owned())));
        }
        let elements = tree.elements(node);
        if !elements.is_empty() {
            return elements.iter().try_for_each(|element| self.merge(*element, own, out, depth + 1));
        }
        let NodeKind::Mapping(brought) = &tree.node(tree.resolve(node)).kind else {
            return Err(Error::expected("a mapping to merge"));
        };
        for (key, value) in brought {
            if key.text == MERGE {
                self.merge(*value, own, out, depth + 1)?;
            } else if own.iter().all(|(mine, _)| mine.text != key.text)
                && out.iter().all(|(had, _)| had.text != key.text)
            {
                out.push((key, *value));
            }
        }
        Ok(())
    }
}

/// The key whose mapping is taken in.
const MERGE: &str = "<<";
const MAX_MERGES: usize = 8;

/// Reads whole numbers of one type.
macro_rules! whole_numbers {
    ($($method:ident $type:ty, $visit:ident, $needed:expr;)*) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            let number: $type = self.whole($needed)?;
            visitor.$visit(number)
        })*
    };
}

const WHOLE: &str = "a whole number that fits the field";
const COUNT: &str = "a whole number of 0 or more that fits the field";

impl<'t> Deserializer<'t> for Node<'_, 't> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            NodeKind::Scalar { text, plain } => match scalar::resolve(text, *plain) {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Unsigned(value) => visitor.visit_u64(value),
                Scalar::Signed(value) => visitor.visit_i64(value),
                Scalar::Float(value) => visitor.visit_f64(value),
                Scalar::Text(text) => visitor.visit_borrowed_str(text),
            },
            NodeKind::Sequence(_) => self.deserialize_seq(visitor),
            NodeKind::Mapping(_) | NodeKind::Alias(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        let (text, plain) = self.scalar("true or false")?;
        match scalar::boolean(text) {
            Some(value) if plain => visitor.visit_bool(value),
            Some(_) => Err(Error::new(What::QuotedBoolean(text.to_owned()))),
            None => Err(Error::expected("true or false")),
        }
    }

    whole_numbers! {
        deserialize_i8 i8, visit_i8, WHOLE;
        deserialize_i16 i16, visit_i16, WHOLE;
        deserialize_i32 i32, visit_i32, WHOLE;
        deserialize_i64 i64, visit_i64, WHOLE;
        deserialize_u8 u8, visit_u8, COUNT;
        deserialize_u16 u16, visit_u16, COUNT;
        deserialize_u32 u32, visit_u32, COUNT;
        deserialize_u64 u64, visit_u64, COUNT;
    }

    fn deserialize_f32<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        let (text, _) = self.scalar("a number")?;
        let whole = |text| scalar::integer(text).map(|number| number as f64);
        match whole(text).or_else(|| scalar::float(text)) {
            Some(number) => visitor.visit_f64(number),
            None => Err(Error::expected("a number")),
        }
    }

    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            NodeKind::Scalar { text, plain: true } if scalar::is_null(text) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            NodeKind::Sequence(elements) => visitor.visit_seq(Elements { of: self, elements, next: 0 }),
            _ => Err(Error::expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            NodeKind::Mapping(entries) => visitor.visit_map(self.entries(entries)?),
            // An empty document is an empty object.
            NodeKind::Scalar { text, plain: true } if self.depth == 0 && scalar::is_null(text) => {
                visitor.visit_map(self.entries(&[])?)
            }
            _ => Err(Error::expected("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(BorrowedStrDeserializer::<Error>::new(self.text()?))
    }

    /// serde asks to ignore what a struct has no field for.
    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.reading.unknown.borrow_mut().push(self.at.path());
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { <V: Visitor<'t>> i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct }
}

/// The elements of a list.
struct Elements<'a, 't> {
    of: Node<'a, 't>,
    elements: &'t [NodeId],
    next: usize,
}

impl<'t> SeqAccess<'t> for Elements<'_, 't> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        while let Some(id) = self.elements.get(self.next) {
            let at = Step { above: Some(self.of.at), part: Part::Index(self.next) };
            self.next += 1;
            if self.of.reading.masked.contains(id) {
                continue;
            }
            let node = self.of.below(*id, &at).map_err(|error| error.at(self.of))?;
            return seed.deserialize(node).map(Some).map_err(|error| error.at(node));
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.elements.len() - self.next).min(MAX_RESERVED))
    }
}

/// Room for more elements is made when they come.
const MAX_RESERVED: usize = 1_000;

/// The entries of a mapping.
struct Entries<'a, 't> {
    of: Node<'a, 't>,
    own: std::slice::Iter<'t, (Key, NodeId)>,
    merged: std::vec::IntoIter<(&'t Key, NodeId)>,
    value: Option<(&'t Key, NodeId)>,
}

impl<'t> Entries<'_, 't> {
    fn next_entry(&mut self) -> Option<(&'t Key, NodeId)> {
        let own = self.own.by_ref().map(|(key, node)| (key, *node)).filter(|(key, _)| key.text != MERGE);
        own.chain(self.merged.by_ref()).find(|(_, node)| !self.of.reading.masked.contains(node))
    }
}

impl<'t> MapAccess<'t> for Entries<'_, 't> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.value = self.next_entry();
        let Some((key, node)) = self.value else { return Ok(None) };
        seed.deserialize(KeyText(&key.text)).map(Some).map_err(|error| {
            let at = Step { above: Some(self.of.at), part: Part::Key(&key.text) };
            Error { path: at.path(), place: Some((node, (key.line, key.column))), ..error }
        })
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, id)) = self.value.take() else { return Err(Error::custom("a value without a key")) };
        let at = Step { above: Some(self.of.at), part: Part::Key(&key.text) };
        let node = self.of.below(id, &at).map_err(|error| error.at(self.of))?;
        seed.deserialize(node).map_err(|error| error.at(node))
    }
}

/// A key, which is a text or, for maps of ports, a number.
struct KeyText<'t>(&'t str);

impl<'t> Deserializer<'t> for KeyText<'t> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_u32<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match scalar::integer(self.0).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => visitor.visit_u32(number),
            None => Err(Error::expected(COUNT)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(StrDeserializer::<Error>::new(self.0))
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}
