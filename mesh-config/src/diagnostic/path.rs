//! Where in a resource a finding is.

use std::borrow::Cow;
use std::fmt;

/// One step from a value into a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Segment {
    /// A named field.
    Field(Cow<'static, str>),
    /// An element of a list, from 0.
    Index(usize),
    /// An entry of a map.
    Key(String),
}

impl Segment {
    /// The field name or map key; nothing for an index.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

/// A field of a document: `spec.http[0].match[1].headers[x-version].exact`.
///
/// List elements count from 0; map entries stand in brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The document itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The named field of this.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Segment::Field(name.into()));
        self
    }

    /// The list element of this.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// The map entry of this.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// True for the document itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The steps from the document down.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this leads to the same place as another, or to a part of it. An entry of a map may be named as a field.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Index(a), Segment::Index(b)) => a == b,
            _ => a.name().is_some() && a.name() == b.name(),
        };
        self.0.len() >= other.0.len() && self.0.iter().zip(&other.0).all(alike)
    }

    /// What this is a part of.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }
}

impl From<Vec<Segment>> for FieldPath {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

/// Reads the printed form. A bracket that holds a number is a list element, any other a map entry.
impl From<&str> for FieldPath {
    fn from(text: &str) -> Self {
        let mut path = Self::root();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (step, tail) = inner.split_once(']').unwrap_or((inner, ""));
                path = step.parse().map_or_else(|_| path.clone().key(step), |index| path.clone().index(index));
                rest = tail;
            } else {
                rest = rest.strip_prefix('.').unwrap_or(rest);
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (step, tail) = rest.split_at(end);
                if !step.is_empty() {
                    path = path.field(step.to_owned());
                }
                rest = tail;
            }
        }
        path
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if at == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => write!(f, "[{key}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_fields_with_dots_and_the_rest_in_brackets() {
        let path = FieldPath::root().field("spec").field("http").index(0).field("headers").key("x.y");
        assert_eq!(path.to_string(), "spec.http[0].headers[x.y]");
    }

    #[test]
    fn the_printed_form_can_be_read_back() {
        for text in ["", "spec", "spec.http[0].match[12].headers[x.y].exact", "metadata.labels[a/b]"] {
            assert_eq!(FieldPath::from(text).to_string(), text);
        }
    }

    #[test]
    fn odd_texts_do_not_loop_or_panic() {
        for text in ["[", "]", ".", "..", "a[", "a]b", "[0", "a..b"] {
            let _ = FieldPath::from(text);
        }
    }

    #[test]
    fn a_part_is_within_its_whole_however_the_steps_are_named() {
        let part = FieldPath::root().field("a").key("80").index(1);
        for (whole, within) in [("a", true), ("a.80", true), ("a[1]", false), ("a.80[1]", true), ("a.80[1].c", false)] {
            assert_eq!(part.is_within(&FieldPath::from(whole)), within, "{whole}");
        }
    }

    #[test]
    fn the_parent_of_the_root_is_the_root() {
        assert!(FieldPath::root().parent().is_empty());
        assert_eq!(FieldPath::from("a.b[1]").parent().to_string(), "a.b");
    }
}
