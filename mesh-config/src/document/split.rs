//! Cuts a stream into its documents without parsing it.
//!
//! A line that begins with `---` starts a document and one that begins with `...` ends one; YAML allows neither at the
//! start of a line inside a document, not even within a block of text. A broken document therefore costs only itself.
//!
//! Documents of JSON may follow each other without a marker, as kubectl takes them: a line that begins with `{` below
//! one that ends with `}` starts another one, since inside a document a comma would stand between.

/// The text of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'t> {
    /// Its text, the `---` line included.
    pub(super) text: &'t str,
    /// The line of the stream on which the text begins, from 1.
    pub(super) first_line: u32,
}

/// The documents of a stream that hold anything at all.
pub(super) fn split(stream: &str) -> impl Iterator<Item = Chunk<'_>> {
    Split { rest: stream, line: 1 }.filter(|chunk| !is_blank(chunk.text))
}

struct Split<'t> {
    rest: &'t str,
    line: u32,
}

impl<'t> Iterator for Split<'t> {
    type Item = Chunk<'t>;

    fn next(&mut self) -> Option<Chunk<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut end = 0;
        let mut lines = 0;
        let mut has_content = false;
        let mut is_rendered = false;
        let mut json = Json::default();
        for line in self.rest.split_inclusive('\n') {
            let starts = is_marker(line, "---");
            is_rendered |= line.starts_with("# Source: ");
            // No object has such a key, and what follows is prose.
            if is_rendered && has_content && is_notes(line) {
                break;
            }
            // Directives and comments before a marker belong to the document that it starts.
            if (starts && has_content) || json.is_next(line) {
                break;
            }
            has_content |= starts || !is_idle(line);
            end += line.len();
            lines += 1;
            if is_marker(line, "...") {
                break;
            }
        }
        let (text, rest) = self.rest.split_at(end);
        let chunk = Chunk { text, first_line: self.line };
        self.rest = rest;
        self.line += lines;
        Some(chunk)
    }
}

/// Where a document of JSON ends.
#[derive(Default)]
struct Json {
    /// Whether the document begins with a brace, once that is known.
    is_json: Option<bool>,
    has_ended: bool,
}

impl Json {
    /// Takes a line, and tells whether another document begins with it.
    fn is_next(&mut self, line: &str) -> bool {
        if is_idle(line) || is_marker(line, "---") {
            return false;
        }
        let text = line.trim_start_matches('\u{feff}').trim();
        let begins = text.starts_with('{');
        if !*self.is_json.get_or_insert(begins) {
            return false;
        }
        let is_next = begins && self.has_ended;
        self.has_ended = text.ends_with('}');
        is_next
    }
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.trim_start_matches('\u{feff}')
        .strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether a text begins with the notes that Helm prints below the last document of a chart.
pub(super) fn is_notes(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == "NOTES:")
}

/// Blank, comment or directive.
fn is_idle(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    line.starts_with('%') || matches!(line.trim_start().as_bytes().first(), None | Some(b'#'))
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let rest = line.trim_start_matches('\u{feff}');
        let rest = if is_marker(rest, "---") || is_marker(rest, "...") { &rest[3..] } else { rest };
        is_idle(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(stream: &str) -> Vec<(u32, &str)> {
        split(stream).map(|chunk| (chunk.first_line, chunk.text)).collect()
    }

    #[test]
    fn documents_keep_their_line_numbers() {
        assert_eq!(chunks("a: 1\n---\nb: 2\n--- # c\nc: 3"), [(1, "a: 1\n"), (2, "---\nb: 2\n"), (4, "--- # c\nc: 3")]);
    }

    #[test]
    fn empty_and_comment_only_documents_are_left_out() {
        assert_eq!(chunks("---\n# nothing\n---\n\n--- \na: 1\n---\n...\n"), [(5, "--- \na: 1\n")]);
        assert_eq!(chunks(""), []);
        assert_eq!(chunks("\u{feff}# x\r\n---\r\n"), []);
    }

    #[test]
    fn comments_and_directives_go_with_the_document_they_introduce() {
        assert_eq!(chunks("# licence\n%YAML 1.2\n---\na: 1\n"), [(1, "# licence\n%YAML 1.2\n---\na: 1\n")]);
    }

    #[test]
    fn a_document_may_stand_on_the_marker_line_and_end_with_dots() {
        assert_eq!(chunks("--- {a: 1}\n...\nb: 2\n"), [(1, "--- {a: 1}\n...\n"), (3, "b: 2\n")]);
    }

    #[test]
    fn the_notes_of_helm_are_a_part_of_their_own() {
        let stream = "---\n# Source: shop/a.yaml\na: 1\nNOTES:\n1. Look: at it\n---\nb: 1\n";
        assert_eq!(
            chunks(stream),
            [(1, "---\n# Source: shop/a.yaml\na: 1\n"), (4, "NOTES:\n1. Look: at it\n"), (6, "---\nb: 1\n")]
        );
        assert_eq!(chunks("a: 1\nNOTES:\n  b: 1\n").len(), 1);
    }

    #[test]
    fn dashes_elsewhere_do_not_split() {
        assert_eq!(chunks("a: |\n  ---\n  b\nc: ---x\n---d: 1\n").len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_blank_documents_is_lost(stream in "(---|\\.\\.\\.|#|a: b| |\r|\n|%|\u{feff}){0,40}") {
            let total: usize = Split { rest: &stream, line: 1 }.map(|chunk| chunk.text.len()).sum();
            proptest::prop_assert_eq!(total, stream.len());
        }
    }
}
