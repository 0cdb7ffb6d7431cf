//! Documents that hold objects, and objects that are only looked at.

use super::envoy_filter::EnvoyFilter;
use super::head::Head;
use super::typed::{self, Envelope, Failures};
use super::{Piece, Reader, object, stranger};
use crate::diagnostic::{Code, Diagnostic};
use crate::locate::Tree;
use crate::resource::Lookup;

/// Lists may stand in lists this often.
const MAX_LISTS: usize = 4;

impl Reader<'_> {
    /// A `kind: List`, or a list of one kind, whose elements need not say what they are.
    pub(super) fn read_list(&mut self, piece: &Piece, head: &Head, tree: &Tree) {
        if piece.nesting >= MAX_LISTS {
            let message = "lists of lists of objects are not read";
            return self.report.push(piece.about(Diagnostic::error(Code::NOT_AN_OBJECT, message)));
        }
        let kind = head.kind.trim_end_matches("List");
        let of_list = Head { api_version: head.api_version.clone(), kind: kind.to_owned() };
        let items = tree.root().and_then(|root| tree.get(root, "items"));
        for item in items.map_or(&[][..], |items| tree.elements(items)) {
            let item = self.cut(piece, tree, *item);
            let item = Piece { nesting: piece.nesting + 1, ..item };
            self.read_parsed_as(&item, Some(&of_list).filter(|head| !head.kind.is_empty()));
        }
    }

    /// An EnvoyFilter: nothing acts on it, but Istio's webhook refuses one that does not have the shape.
    pub(super) fn skip_envoy_filter(&mut self, piece: &Piece, head: &Head, tree: &Tree) {
        self.report.push(piece.about(stranger::other_object(head, Lookup::Skipped, tree)));
        let (failures, unknown) = match typed::read::<Envelope<EnvoyFilter>>(tree, &self.options.limits) {
            Ok(read) => (Vec::new(), read.unknown),
            Err(Failures { failures, unknown }) => (failures, unknown),
        };
        for failure in failures {
            self.report.push(object::failure_finding::<Envelope<EnvoyFilter>>(piece, tree, failure));
        }
        let unknown: Vec<_> = unknown.iter().filter_map(|path| Some((path, self.unknown_severity(path)?))).collect();
        self.report
            .extend(object::unknown_fields::<Envelope<EnvoyFilter>>(&unknown).map(|finding| piece.about(finding)));
    }
}
