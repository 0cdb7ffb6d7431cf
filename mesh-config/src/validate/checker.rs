//! How a check says where it is and what it found.

use super::advice;
use crate::diagnostic::{Code, Diagnostic, FieldPath, Origin, Report, Severity};
use crate::meta::ObjectMeta;
use crate::resource::{Kind, ResourceId};

/// The place that a check looks at.
///
/// A chain on the stack: a check that finds nothing, which is nearly every one, builds no path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Field(&'static str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    /// A field at the top of the document.
    pub(crate) const fn top(name: &'static str) -> Self {
        Self { above: None, step: Step::Field(name) }
    }

    pub(crate) const fn field(&'a self, name: &'static str) -> Self {
        Self { above: Some(self), step: Step::Field(name) }
    }

    pub(crate) const fn index(&'a self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }

    pub(crate) const fn key(&'a self, key: &'a str) -> Self {
        Self { above: Some(self), step: Step::Key(key) }
    }

    pub(crate) fn path(&self) -> FieldPath {
        let above = self.above.map_or_else(FieldPath::root, At::path);
        match self.step {
            Step::Field(name) => above.field(name),
            Step::Index(index) => above.index(index),
            Step::Key(key) => above.key(key),
        }
    }
}

/// The object that is checked, and what was found.
pub(crate) struct Checker<'a> {
    pub(crate) kind: Kind,
    pub(crate) meta: &'a ObjectMeta,
    origin: &'a Origin,
    report: &'a mut Report,
    warning: Code,
    is_unchecked: bool,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(kind: Kind, meta: &'a ObjectMeta, origin: &'a Origin, report: &'a mut Report) -> Self {
        Self { kind, meta, origin, report, warning: Code::SCHEMA_WARNING, is_unchecked: false }
    }

    pub(crate) fn namespace(&self) -> &'a str {
        &self.meta.namespace
    }

    /// What Istio's webhook refuses.
    pub(crate) fn error(&mut self, at: &At<'_>, message: impl Into<String>) {
        let finding = match self.is_unchecked {
            true => Diagnostic::warning(Code::UNCHECKED_VALUE, message),
            false => Diagnostic::error(Code::SCHEMA_ERROR, message),
        };
        self.push(at, finding);
    }

    /// What Istio's webhook warns about.
    pub(crate) fn warn(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.push(at, Diagnostic::warning(self.warning, message));
    }

    /// Checks something whose warnings Istio's webhook drops. They are kept, under a code of our own.
    pub(crate) fn without_warnings(&mut self, check: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.warning, Code::NESTED_POLICY);
        check(self);
        self.warning = outer;
    }

    /// Checks something that Istio's webhook does not look at. Errors become warnings of our own.
    pub(crate) fn unchecked(&mut self, check: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.is_unchecked, true);
        check(self);
        self.is_unchecked = outer;
    }

    pub(crate) fn error_if(&mut self, wrong: bool, at: &At<'_>, message: &str) {
        if wrong {
            self.error(at, message);
        }
    }

    /// The error of a check of a single value.
    pub(crate) fn check<T>(&mut self, at: &At<'_>, checked: Result<T, String>) {
        if let Err(message) = checked {
            self.error(at, message);
        }
    }

    pub(crate) fn push(&mut self, at: &At<'_>, finding: Diagnostic) {
        let id = ResourceId::new(self.kind, &self.meta.namespace, &self.meta.name);
        let finding = advice::complete(self.kind, finding);
        self.report.push(finding.at(self.origin).resource(id).path(at.path()));
    }

    /// Whether the object has an error so far, among the findings from a number on.
    pub(crate) fn has_errors_since(&self, findings: usize) -> bool {
        self.report.iter().skip(findings).any(|finding| finding.severity == Severity::Error)
    }

    pub(crate) fn findings(&self) -> usize {
        self.report.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_becomes_a_path() {
        let spec = At::top("spec");
        let route = spec.field("http");
        let route = route.index(2);
        assert_eq!(route.field("headers").key("x.y").path().to_string(), "spec.http[2].headers[x.y]");
    }
}
