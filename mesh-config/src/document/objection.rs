//! What Istio's CRDs object to, beside what the reader has found itself.

use super::object::mind_placeholder;
use super::{Piece, Reader};
use crate::crd::{self, Finding, Objection};
use crate::diagnostic::{Code, Diagnostic, Severity, Target};
use crate::locate::Tree;
use crate::resource::{Kind, ResourceId};

impl Reader<'_> {
    /// Adds to the reader's findings about a document those by its CRD, in the order of the text. A fact that both have
    /// found stays once: a wrong type as the reader says it, anything else in the words of the API server.
    pub(super) fn objections(
        &self,
        kind: Kind,
        piece: &Piece,
        tree: &Tree,
        id: Option<&ResourceId>,
        mut said: Vec<Diagnostic>,
    ) -> Vec<Diagnostic> {
        let objections = match tree.root() {
            Some(root) if self.options.crd_rules => crd::check(kind, tree, root),
            _ => Vec::new(),
        };
        if objections.is_empty() {
            return said;
        }
        for objection in objections {
            let Some(severity) = self.settle_with(&objection, &mut said) else { continue };
            let mut finding = self.finding(objection, severity, piece, tree);
            finding.resource = id.cloned();
            said.push(finding);
        }
        said.sort_by_key(|finding| (finding.origin.line, finding.origin.column));
        said
    }

    /// Compares an objection with what was said already: how bad it is, or nothing if it is known.
    fn settle_with(&self, objection: &Finding, said: &mut Vec<Diagnostic>) -> Option<(Severity, Option<String>)> {
        let own = if self.options.strict { Severity::Error } else { Severity::Warning };
        let by_reader = |finding: &Diagnostic| !matches!(finding.code, Code::SCHEMA_RULE | Code::SNAKE_CASE);
        if objection.about == Objection::Type {
            let known = |finding: &Diagnostic| {
                by_reader(finding)
                    && (finding.path.is_within(&objection.path) || objection.path.is_within(&finding.path))
            };
            return (!said.iter().any(known)).then_some((own, None));
        }
        let same = |finding: &Diagnostic| {
            by_reader(finding) && finding.path.is_within(&objection.path) && objection.path.is_within(&finding.path)
        };
        let Some(at) = said.iter().position(same) else { return Some((own, None)) };
        if said[at].code == Code::PLACEHOLDER {
            return None;
        }
        Some((Severity::Error, said.remove(at).help))
    }

    fn finding(
        &self,
        objection: Finding,
        (severity, help): (Severity, Option<String>),
        piece: &Piece,
        tree: &Tree,
    ) -> Diagnostic {
        let Finding { path, about, message, help: own_help, at_key } = objection;
        let code = if about == Objection::Name { Code::SNAKE_CASE } else { Code::SCHEMA_RULE };
        let place = tree.find(&path, if at_key { Target::Key } else { Target::Value });
        let mut finding = Diagnostic::new(code, severity, message).path(path).effect(self.effect(about));
        finding.help = help.or(own_help);
        if !at_key {
            finding = mind_placeholder(finding, piece.text(), place);
        }
        piece.about_place(finding, place)
    }

    fn effect(&self, about: Objection) -> &'static str {
        match (about, self.options.strict) {
            (Objection::Name, true) => {
                "kubectl refuses the object; a client that does not ask for strict checks has the field dropped"
            }
            (Objection::Name, false) => "the mesh reads the field; an API server would have dropped it",
            (_, true) => "the API server refuses the object, so what was stored before stays in force",
            (_, false) => "the mesh acts on the object; an API server would not store it",
        }
    }
}
