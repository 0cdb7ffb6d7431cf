//! Which documents a text holds, whether or not they can be read.

use std::sync::Arc;

use super::{ParseOptions, head, split};
use crate::diagnostic::{FieldPath, Origin};
use crate::locate::Tree;

/// A document as it presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outline {
    /// The file, or whatever name the caller gave to the text.
    pub file: Arc<str>,
    /// Which document of the file, from 0; documents that hold nothing do not count.
    pub doc_index: u32,
    /// Its `kind`; this and what follows is empty where it is absent, or where the document is not YAML.
    pub kind: String,
    /// Its namespace as it is written.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where the objects of a list begin, by line and column.
    items: Vec<(u32, u32)>,
}

impl Outline {
    /// The path of a finding in the whole document. Findings about an object of a list count from the object.
    pub(crate) fn path_in_document(&self, origin: &Origin, path: &FieldPath) -> FieldPath {
        let behind = self.items.partition_point(|place| *place <= (origin.line, origin.column));
        match behind.checked_sub(1) {
            Some(item) => {
                let item = FieldPath::root().field("items").index(item);
                item.segments().iter().chain(path.segments()).cloned().collect::<Vec<_>>().into()
            }
            None => path.clone(),
        }
    }
}

/// Lists the documents of a text. `origin` names it.
#[must_use]
pub fn outline(origin: &str, text: &str, options: &ParseOptions) -> Vec<Outline> {
    let file: Arc<str> = origin.into();
    let limits = &options.limits;
    if text.len() > limits.max_stream_bytes {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, chunk) in split::split(text).take(limits.max_documents).enumerate() {
        let small = chunk.text.len() <= limits.max_document_bytes;
        let tree = Tree::parse(chunk.text).ok().filter(|_| small);
        if tree.as_ref().is_some_and(|tree| head::shape(tree) == head::Shape::Empty) {
            continue;
        }
        let tree = tree.unwrap_or_default();
        let scalar = |path: &str| {
            let text = tree.at(&FieldPath::from(path)).and_then(|id| tree.scalar(id)).unwrap_or_default();
            if matches!(text, "~" | "null") { "" } else { text }
        };
        found.push(Outline {
            file: file.clone(),
            doc_index: u32::try_from(index).unwrap_or(u32::MAX),
            kind: scalar("kind").to_owned(),
            namespace: scalar("metadata.namespace").to_owned(),
            name: scalar("metadata.name").to_owned(),
            items: items(&tree, scalar("kind"), chunk.first_line),
        });
    }
    found
}

fn items(tree: &Tree, kind: &str, first_line: u32) -> Vec<(u32, u32)> {
    let Some(list) = tree.at(&FieldPath::from("items")).filter(|_| kind.ends_with("List")) else { return Vec::new() };
    let place = |id: &usize| (tree.node(*id).line + (first_line - 1), tree.node(*id).column);
    tree.elements(list).iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlines(text: &str) -> Vec<String> {
        let print = |o: &Outline| format!("{} {} {}/{}", o.doc_index, o.kind, o.namespace, o.name);
        outline("f", text, &ParseOptions::default()).iter().map(print).collect()
    }

    #[test]
    fn every_document_is_listed_as_it_is_written() {
        let text = "kind: A\nmetadata: {name: a, namespace: n}\n---\n# nothing\n---\nkind: B\nx: [\n---\njust text\n---\n{}\n---\nkind: C\nmetadata: {name: ~}\n";
        assert_eq!(outlines(text), ["0 A n/a", "1  /", "2  /", "4 C /"]);
    }

    #[test]
    fn a_finding_in_a_list_gets_the_path_from_the_top() {
        let text = "---\nkind: List\nitems:\n- a: 1\n- b: 1\n  c: 2\n";
        let outline = outline("f", text, &ParseOptions::default()).remove(0);
        let path =
            |line, column| outline.path_in_document(&Origin::new("f", line, column), &"spec.x".into()).to_string();
        assert_eq!([path(3, 1), path(4, 6), path(6, 6)], ["spec.x", "items[0].spec.x", "items[1].spec.x"]);
    }
}
