use super::*;
use crate::diagnostic::Severity;

fn codes(text: &str) -> Vec<Code> {
    parse("f", text).1.iter().map(|finding| finding.code).collect()
}

const SERVICE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {hosts: [x]}\n";

#[test]
fn several_documents_keep_their_lines_and_order() {
    let (documents, report) = parse("f", &format!("# c\n{SERVICE}---\n---\n# d\n\n{SERVICE}"));
    assert!(report.is_empty(), "{report}");
    let places: Vec<_> = documents.iter().map(|document| (document.origin.line, document.origin.doc_index)).collect();
    assert_eq!(places, [(2, 0), (10, 1)]);
}
