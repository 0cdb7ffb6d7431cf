//! Which part of a file a finding is about, and what could stand there instead.

use std::fmt;
use std::ops::Range;

use super::origin::Source;
use crate::locate::Found;

/// A part of a file. Lines and columns count from 1, columns in characters; the end is the place behind the last
/// character.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// The line on which it begins.
    pub line: u32,
    /// The column in which it begins.
    pub column: u32,
    /// The line on which it ends.
    pub end_line: u32,
    /// The column behind its end.
    pub end_column: u32,
    /// The same in bytes of the text of the document.
    pub(crate) bytes: Range<usize>,
}

/// A change that would mend a finding and nothing else: a part of the file, and the text to put there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patch {
    /// What to replace.
    pub span: Span,
    /// What to put there.
    pub replacement: String,
}

/// How to mend what a finding points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// In words only.
    Words(String),
    /// By this name, in the quotes that are there.
    Name(String),
    /// By another name for the field, as the words say.
    Field { words: String, name: String },
    /// By this YAML, as the words say.
    Yaml { words: String, yaml: String },
}

/// The question for a name is how a name is advised; all else is words.
impl From<String> for Advice {
    fn from(words: String) -> Self {
        let name = words.strip_prefix("did you mean `").and_then(|rest| rest.strip_suffix("`?"));
        match name.filter(|name| !name.contains('`')) {
            Some(name) => Self::Name(name.to_owned()),
            None => Self::Words(words),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) | Self::Field { words, .. } | Self::Yaml { words, .. } => f.write_str(words),
            Self::Name(name) => write!(f, "did you mean `{name}`?"),
        }
    }
}

impl Span {
    /// The part that a node or key covers.
    pub(super) fn of(source: &Source, found: &Found) -> Self {
        let bytes = trimmed(&source.text, &found.bytes);
        let covered = source.text.get(bytes.clone()).unwrap_or_default();
        let line = found.line + (source.first_line - 1);
        let (end_line, end_column) = end(covered, line, found.column);
        Self { line, column: found.column, end_line, end_column, bytes }
    }

    /// What begins at a place: a value up to its end or that of the line.
    pub(super) fn at(source: &Source, line: u32, column: u32) -> Option<Self> {
        let below = line.checked_sub(source.first_line)? as usize;
        let text = source.text.split_inclusive('\n').nth(below)?;
        let before: usize = source.text.split_inclusive('\n').take(below).map(str::len).sum();
        let (skipped, _) = text.char_indices().nth(column.checked_sub(1)? as usize)?;
        let rest = text[skipped..].trim_end();
        let covered = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].find(quote).map_or(rest, |end| &rest[..end + 2]),
            _ => rest
                .split([' ', ',', ']', '}', '#'])
                .next()
                .filter(|word| !word.is_empty())
                .unwrap_or(&rest[..rest.chars().next()?.len_utf8()]),
        };
        let start = before + skipped;
        let (end_line, end_column) = end(covered, line, column);
        Some(Self { line, column, end_line, end_column, bytes: start..start + covered.len() })
    }

    /// The line that holds a place, without what is blank at its ends.
    pub(super) fn line(source: &Source, line: u32) -> Option<Self> {
        let below = line.checked_sub(source.first_line)? as usize;
        let text = source.text.split_inclusive('\n').nth(below)?;
        let column = text.chars().take_while(|c| c.is_whitespace()).count();
        let before: usize = source.text.split_inclusive('\n').take(below).map(str::len).sum();
        let covered = text.trim();
        let start = before + (text.len() - text.trim_start().len());
        let column = u32::try_from(column).ok()? + 1;
        let (end_line, end_column) = end(covered, line, column);
        (!covered.is_empty()).then_some(Self {
            line,
            column,
            end_line,
            end_column,
            bytes: start..start + covered.len(),
        })
    }
}

impl Advice {
    /// The patch that it amounts to; none where that would not be safe.
    pub(super) fn patch(&self, source: &Source, span: &Span) -> Option<Patch> {
        let there = source.text.get(span.bytes.clone())?;
        if there.contains('\n') || there.starts_with(['&', '*', '!', '|', '>']) {
            return None;
        }
        let replacement = match (self, there.chars().next()?) {
            (Self::Words(_), _) => return None,
            (Self::Name(name) | Self::Field { name, .. }, quote @ ('"' | '\'')) => format!("{quote}{name}{quote}"),
            (Self::Name(text) | Self::Field { name: text, .. } | Self::Yaml { yaml: text, .. }, _) => text.clone(),
        };
        Some(Patch { span: span.clone(), replacement })
    }
}

/// A list or mapping ends in front of the next token: blank lines and comments between do not belong to it.
fn trimmed(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let mut covered = text.get(bytes.clone()).unwrap_or_default().trim_end();
    while let Some((above, last)) = covered.rsplit_once('\n')
        && last.trim_start().starts_with('#')
    {
        covered = above.trim_end();
    }
    bytes.start..bytes.start + covered.len()
}

/// Where a text ends that begins at a place.
fn end(covered: &str, line: u32, column: u32) -> (u32, u32) {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match covered.rsplit_once('\n') {
        Some((above, last)) => {
            (line.saturating_add(count(above.matches('\n').count() + 1)), count(last.chars().count()).saturating_add(1))
        }
        None => (line, column.saturating_add(count(covered.chars().count()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { text: text.to_owned(), first_line: 11 }
    }

    fn covered<'s>(source: &'s Source, span: &Span) -> &'s str {
        &source.text[span.bytes.clone()]
    }

    #[test]
    fn a_word_ends_where_the_value_does() {
        let source = source("a: {b: één, c: \"d e\"}\nf: [g]\n");
        for (line, column, text, end) in
            [(11, 8, "één", 11), (11, 16, "\"d e\"", 21), (12, 5, "g", 6), (11, 11, ",", 12)]
        {
            let span = Span::at(&source, line, column).unwrap();
            assert_eq!((covered(&source, &span), span.end_line, span.end_column), (text, line, end));
        }
        assert_eq!(Span::at(&source, 10, 1), None);
        assert_eq!(Span::at(&source, 11, 99), None);
        assert_eq!(Span::at(&source, 99, 1), None);
    }

    #[test]
    fn a_line_is_taken_without_its_indentation() {
        let source = source("a:\n  b: 1 \n\n");
        let span = Span::line(&source, 12).unwrap();
        assert_eq!((covered(&source, &span), span.column, span.end_column), ("b: 1", 3, 7));
        assert_eq!(Span::line(&source, 13), None);
    }

    #[test]
    fn comments_behind_a_list_do_not_belong_to_it() {
        let text = "- a\n- b # c\n\n# d\n\n";
        assert_eq!(&text[trimmed(text, &(0..text.len()))], "- a\n- b # c");
        assert_eq!(end("- a\n- b # c", 5, 3), (6, 8));
    }

    #[test]
    fn a_question_for_a_name_is_advice_to_take_it() {
        assert_eq!(Advice::from("did you mean `a`?".to_owned()), Advice::Name("a".to_owned()));
        for words in ["did you mean `a` or `b`?", "write `a`"] {
            assert_eq!(Advice::from(words.to_owned()), Advice::Words(words.to_owned()));
        }
    }

    #[test]
    fn a_name_keeps_the_quotes_that_are_there() {
        let source = source("a: \"b\"\nc: d\ne: |\n  f\n");
        let patch = |line, advice: Advice| {
            advice.patch(&source, &Span::at(&source, line, 4).unwrap()).map(|patch| patch.replacement)
        };
        assert_eq!(patch(11, Advice::Name("x".to_owned())).as_deref(), Some("\"x\""));
        assert_eq!(patch(11, Advice::Yaml { words: String::new(), yaml: "true".to_owned() }).as_deref(), Some("true"));
        assert_eq!(patch(12, Advice::Name("x".to_owned())).as_deref(), Some("x"));
        assert_eq!(patch(13, Advice::Name("x".to_owned())), None);
    }
}
