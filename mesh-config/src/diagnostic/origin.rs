//! Which document, and where in it.

use std::fmt;
use std::sync::Arc;

use super::{FieldPath, Target};
use crate::locate::Tree;

/// Where something was written.
///
/// An origin also remembers the text of its document (never of a Secret), so that the place of a field can be looked
/// up when a finding needs it; the parsed structs themselves carry no positions.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Origin {
    /// The file, or whatever name the caller gave to the text.
    pub file: Arc<str>,
    /// The line, from 1; 0 where unknown.
    pub line: u32,
    /// The column in characters, from 1; 0 where unknown.
    pub column: u32,
    /// Which document of the file, from 0; documents that hold nothing do not count.
    pub doc_index: u32,
    source: Option<Arc<Source>>,
}

/// The text of one document, to look places up in.
pub(crate) struct Source {
    pub(crate) text: String,
    /// The line of the file on which the text begins, from 1.
    pub(crate) first_line: u32,
}

impl Source {
    /// Whether there is a Secret in the text, of which nothing is to be shown.
    pub(crate) fn holds_secret(&self) -> bool {
        self.text.match_indices("kind").any(|(at, word)| {
            let marks = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':');
            self.text[at + word.len()..].trim_start_matches(marks).starts_with("Secret")
        })
    }
}

impl Origin {
    /// A place in a file; 0 for a line or column that is not known.
    #[must_use]
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column, doc_index: 0, source: None }
    }

    /// Where a field of the object stands, or the nearest thing around it that is there. Without its text, which objects
    /// made in code do not have, the same origin.
    ///
    /// ```
    /// use mesh_config::{FieldPath, parse};
    ///
    /// let (documents, _) = parse("a.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec: {}\n");
    /// assert_eq!(documents[0].origin.of_field(&FieldPath::from("metadata.name")).to_string(), "a.yaml:4:9");
    /// ```
    #[must_use]
    pub fn of_field(&self, path: &FieldPath) -> Self {
        self.places().of_field(path)
    }

    /// The places of the object's fields, for whoever asks for several: the text is read once.
    #[must_use]
    pub fn places(&self) -> Places {
        let tree = self.source.as_ref().and_then(|source| Tree::parse(&source.text).ok());
        Places { origin: self.clone(), tree }
    }

    pub(crate) fn with_source(mut self, source: Arc<Source>) -> Self {
        self.source = Some(source);
        self
    }

    /// Forgets the text.
    pub(crate) fn without_source(mut self) -> Self {
        self.source = None;
        self
    }

    pub(crate) fn source(&self) -> Option<&Arc<Source>> {
        self.source.as_ref()
    }
}

/// Where the fields of an object stand.
#[derive(Debug)]
pub struct Places {
    origin: Origin,
    tree: Option<Tree>,
}

impl Places {
    /// Where a field stands; see [`Origin::of_field`].
    #[must_use]
    pub fn of_field(&self, path: &FieldPath) -> Origin {
        let mut origin = self.origin.clone();
        if let (Some(tree), Some(source)) = (&self.tree, self.origin.source())
            && let Some((line, column)) = tree.find(path, Target::Value)
        {
            (origin.line, origin.column) = (line + source.first_line - 1, column);
        }
        origin
    }
}

/// Two origins are equal if they name the same place.
impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        (&self.file, self.line, self.column, self.doc_index) == (&other.file, other.line, other.column, other.doc_index)
    }
}

impl Eq for Origin {}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self}, document {})", self.doc_index)
    }
}

/// `file:line:column`, without the parts that are not known.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parts_are_left_out() {
        assert_eq!(Origin::new("a.yaml", 0, 0).to_string(), "a.yaml");
        assert_eq!(Origin::new("a.yaml", 3, 0).to_string(), "a.yaml:3");
        assert_eq!(Origin::new("a.yaml", 3, 7).to_string(), "a.yaml:3:7");
        assert_eq!(Origin::default().to_string(), "");
    }

    #[test]
    fn a_secret_is_noticed_in_yaml_and_json() {
        let holds = |text: &str| Source { text: text.to_owned(), first_line: 1 }.holds_secret();
        assert!(holds("a: 1\nkind: Secret\n") && holds("{\"kind\" : \"Secret\"}") && holds("kind:\n  'Secret'"));
        assert!(!holds("kind: Service\nsecret: Secret\n") && !holds("kind"));
    }

    #[test]
    fn the_text_of_the_document_is_not_printed() {
        let source = Source { text: "secret".to_owned(), first_line: 1 };
        let origin = Origin::new("a", 1, 1).with_source(Arc::new(source));
        assert!(!format!("{origin:?}").contains("secret"));
    }
}
