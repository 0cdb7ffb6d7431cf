//! Many findings.

use std::fmt;
use std::sync::Arc;

use super::{Diagnostic, Origin, Severity};
use crate::locate::Tree;

/// Findings in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    findings: Vec<Diagnostic>,
}

impl Report {
    /// A report without findings.
    #[must_use]
    pub const fn new() -> Self {
        Self { findings: Vec::new() }
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// Whether anything is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// How many findings of a severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// How many findings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// True if there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.findings.iter()
    }

    /// The errors only.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.iter().filter(|finding| finding.severity == Severity::Error)
    }

    /// Fills in line and column of the findings that so far only name a field of a document.
    ///
    /// Parsing, [`ConfigSet::validate`](crate::ConfigSet::validate) and
    /// [`ConfigSet::analyze`](crate::ConfigSet::analyze) do this themselves; whoever adds findings of their own calls
    /// it once at the end. A document is read again only if a finding needs it.
    pub fn locate(&mut self) {
        let mut todo: Vec<_> = self.findings.iter_mut().filter(|finding| finding.needs_place()).collect();
        // One document after the other, so that each is read once.
        todo.sort_by_key(|finding| finding.origin.source().map(Arc::as_ptr));
        for of_document in todo.chunk_by_mut(|one, next| is_same(&one.origin, &next.origin)) {
            let Some(source) = of_document.first().and_then(|finding| finding.origin.source()).cloned() else {
                continue;
            };
            let tree = Tree::parse(&source.text).unwrap_or_default();
            let mut searches = 0;
            for finding in of_document {
                finding.locate(&source, &tree, &mut searches);
            }
        }
    }

    /// The findings by file, line and column.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut findings: Vec<_> = self.iter().collect();
        findings.sort_by(|one, next| {
            let place = |finding: &Diagnostic| (finding.origin.line, finding.origin.column);
            one.origin.file.cmp(&next.origin.file).then_with(|| place(one).cmp(&place(next)))
        });
        findings
    }
}

fn is_same(one: &Origin, other: &Origin) -> bool {
    one.source().map(Arc::as_ptr) == other.source().map(Arc::as_ptr)
}

impl Extend<Diagnostic> for Report {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, findings: I) {
        self.findings.extend(findings);
    }
}

impl IntoIterator for Report {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.findings.into_iter()
    }
}

impl<'a> IntoIterator for &'a Report {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One finding a line, its effect and help indented below it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Origin, Source};

    #[test]
    fn only_errors_count_as_errors() {
        let mut report = Report::new();
        report.push(Diagnostic::info(Code::FOREIGN_KIND, "a"));
        report.push(Diagnostic::warning(Code::SCHEMA_WARNING, "b"));
        assert!(!report.has_errors());
        report.push(Diagnostic::error(Code::SYNTAX, "c"));
        assert!(report.has_errors());
        assert_eq!((report.len(), report.count(Severity::Error), report.count(Severity::Info)), (3, 1, 1));
    }

    #[test]
    fn places_are_filled_in_from_the_text_of_the_document() {
        let source = Source { text: "a: 1\nspec:\n  hosts:\n  - x\n  - y\n".to_owned(), first_line: 11 };
        let origin = Origin::new("f", 11, 1).with_source(Arc::new(source));
        let mut report = Report::new();
        report.push(Diagnostic::error(Code::SCHEMA_ERROR, "m").at(&origin).path("spec.hosts[1]"));
        report.push(Diagnostic::error(Code::SCHEMA_ERROR, "m").at(&origin).path("spec.missing.deeper"));
        report.push(Diagnostic::error(Code::SCHEMA_ERROR, "m").at(&origin));
        report.locate();
        let places: Vec<_> = report.iter().map(|d| (d.origin.line, d.origin.column)).collect();
        assert_eq!(places, [(15, 5), (12, 1), (11, 1)]);
    }
}
