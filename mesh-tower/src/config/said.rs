//! What one source has said: the documents of it that act, and what was found in the last it gave.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use mesh_config::{ConfigSet, Diagnostic, Document, Report, ResourceId};

/// A source's documents that are in use, and the findings of its last delivery.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) documents: Vec<Document>,
    /// Kept until the source delivers again, so that the delivery of another one does not make its
    /// errors look mended.
    pub(super) findings: Report,
}

impl Said {
    /// What a delivery changes.
    pub(super) fn replaced(documents: Vec<Document>, findings: Report) -> Self {
        Self { documents, findings }
    }

    /// Where a file has an error, what it said last goes on acting: of a file that is half written the
    /// first half is not taken for all of it, and one that cannot be read loses nothing. Of a file
    /// that has never been good, the documents that are good act.
    pub(super) fn replaced_where_good(&self, documents: Vec<Document>, mut findings: Report) -> Self {
        let refused = refused(&documents, &mut findings);
        let bad: HashSet<Arc<str>> = findings.errors().map(|finding| Arc::clone(&finding.origin.file)).collect();
        let given = files_of(&documents);
        let before = files_of(&self.documents);
        let stays = |document: &&Document| {
            let file = &document.origin.file;
            // What a directory that cannot be listed holds may be there still.
            bad.contains(file) || (!given.contains(file) && bad.iter().any(|place| is_of(file, place)))
        };
        let mut acting: Vec<Document> = self.documents.iter().filter(stays).cloned().collect();
        let is_good = |document: &Document| {
            let file = &document.origin.file;
            let has_fallen_back = bad.contains(file) && before.contains(file);
            !has_fallen_back && !refused.contains(&(Arc::clone(file), document.resource.id()))
        };
        let has_fallen_back = !acting.is_empty();
        acting.extend(documents.into_iter().filter(is_good));
        if has_fallen_back {
            // Of two definitions the later one counts, so that each has to stay in its place.
            acting.sort_by(|left, right| Path::new(&*left.origin.file).cmp(Path::new(&*right.origin.file)));
        }
        Self { documents: acting, findings }
    }
}

/// The resources that have an error of their own, which is added to the findings; by file, since another
/// file may define the same one well.
fn refused(documents: &[Document], findings: &mut Report) -> HashSet<(Arc<str>, ResourceId)> {
    let mut files: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    for document in documents {
        files.entry(&document.origin.file).or_default().push(document);
    }
    for of_file in files.into_values() {
        let (set, _) = ConfigSet::from_documents(of_file.into_iter().cloned());
        findings.extend(set.validate().errors().cloned());
    }
    let place = |finding: &Diagnostic| Some((Arc::clone(&finding.origin.file), finding.resource.clone()?));
    findings.errors().filter_map(place).collect()
}

fn files_of(documents: &[Document]) -> HashSet<Arc<str>> {
    documents.iter().map(|document| Arc::clone(&document.origin.file)).collect()
}

/// Whether a file is the place of an error or lies in it; an error without a place is everywhere.
fn is_of(file: &str, place: &str) -> bool {
    place.is_empty() || Path::new(file).starts_with(place)
}

#[cfg(test)]
mod tests {
    use mesh_config::{Code, Origin, ParseOptions, parse_with};

    use super::*;

    fn rule(name: &str, host: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
             spec: {{hosts: [{host}], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}\n---\n"
        )
    }

    fn read(files: &[(&str, String)]) -> (Vec<Document>, Report) {
        let mut all = (Vec::new(), Report::new());
        for (file, text) in files {
            let (documents, report) = parse_with(file, text, &ParseOptions::default());
            all.0.extend(documents);
            all.1.extend(report);
        }
        all
    }

    fn after(said: &Said, files: &[(&str, String)]) -> Said {
        let (documents, report) = read(files);
        said.replaced_where_good(documents, report)
    }

    fn places(said: &Said) -> Vec<String> {
        let place = |document: &Document| format!("{} {}", document.origin.file, document.resource.id().name);
        said.documents.iter().map(place).collect()
    }

    fn two() -> Said {
        after(&Said::default(), &[("d/a.yaml", rule("a", "a")), ("d/b.yaml", rule("b", "b") + &rule("c", "c"))])
    }

    #[test]
    fn a_file_with_an_error_goes_on_saying_what_it_said_last() {
        let halves = rule("b", "new") + "kind: VirtualService\nspec: {hosts: [";
        let said = after(&two(), &[("d/a.yaml", rule("a2", "a")), ("d/b.yaml", halves)]);
        assert_eq!(places(&said), ["d/a.yaml a2", "d/b.yaml b", "d/b.yaml c"]);
        assert!(said.findings.has_errors());
        let text = format!("{:?}", said.documents[1].resource);
        assert!(!text.contains("new"), "{text}");
    }

    #[test]
    fn a_rule_that_istio_would_refuse_leaves_its_file_as_it_was() {
        let empty =
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\nspec: {hosts: [b]}\n";
        let said = after(&two(), &[("d/a.yaml", rule("a", "a")), ("d/b.yaml", empty.to_owned())]);
        assert_eq!(places(&said), ["d/a.yaml a", "d/b.yaml b", "d/b.yaml c"]);
        assert!(said.findings.has_errors());
    }

    #[test]
    fn a_directory_that_cannot_be_read_or_is_empty_loses_nothing() {
        let mut report = Report::new();
        report.push(Diagnostic::error(Code::NO_FILES, "nothing").at(&Origin::new("d", 0, 0)));
        let said = two().replaced_where_good(Vec::new(), report);
        assert_eq!(places(&said), places(&two()));
    }

    #[test]
    fn a_file_that_is_gone_is_gone_whatever_another_one_says() {
        let said = after(&two(), &[("d/b.yaml", "{".to_owned())]);
        assert_eq!(places(&said), ["d/b.yaml b", "d/b.yaml c"]);
    }

    #[test]
    fn of_a_new_file_what_is_good_acts() {
        let said = after(&two(), &[("d/a.yaml", rule("a", "a")), ("d/n.yaml", rule("new", "new") + "kind: [")]);
        assert_eq!(places(&said), ["d/a.yaml a", "d/n.yaml new"], "{}", said.findings);
    }

    #[test]
    fn a_bad_copy_of_a_rule_does_not_take_the_good_one_along() {
        let empty =
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a]}\n";
        let said = after(&two(), &[("d/a.yaml", rule("a", "a")), ("d/z.yaml", empty.to_owned())]);
        assert_eq!(places(&said), ["d/a.yaml a"]);
        assert!(said.findings.has_errors());
        // Nor does a good copy hide a bad one.
        let said = after(&Said::default(), &[("d/a.yaml", empty.to_owned()), ("d/z.yaml", rule("a", "a"))]);
        assert_eq!(places(&said), ["d/z.yaml a"]);
    }
}
