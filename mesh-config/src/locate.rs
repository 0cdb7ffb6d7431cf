//! Finds the place of a field in the text of a document.
//!
//! Parsed structs carry no positions. When a finding needs one, the text is read again into a [`Tree`] that knows where
//! everything stands. The tree is an arena filled from parser events, so neither deep nesting nor aliases to aliases
//! cost stack or memory beyond the size of the text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::diagnostic::{FieldPath, Segment, Target};

/// The nodes of one document.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Keys that stand a second time in their mapping, and the mapping.
    duplicates: Vec<(NodeId, Key)>,
    /// How deeply lists and mappings are nested.
    depth: usize,
    /// How many nodes aliases stand for.
    alias_nodes: usize,
    /// Bytes of the longest scalar or key.
    longest_scalar: usize,
    /// Line and column of the first scalar that is marked as base64.
    binary: Option<(u32, u32)>,
}

/// An index into the arena.
pub(crate) type NodeId = usize;

/// A node and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The bytes of the text that it covers.
    pub(crate) bytes: std::ops::Range<usize>,
    pub(crate) kind: NodeKind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    /// A single value, and whether it stands there without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(Key, NodeId)>),
    Alias(NodeId),
}

/// A mapping key; empty text for a key that is not a scalar.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The bytes of the text that it covers.
    pub(crate) bytes: std::ops::Range<usize>,
}

impl Key {
    fn found(&self) -> Found {
        Found { line: self.line, column: self.column, bytes: self.bytes.clone(), exact: true }
    }
}

/// Where something stands in the text.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The bytes of the text that it covers.
    pub(crate) bytes: std::ops::Range<usize>,
    /// Whether it is what was looked for, written at that place and for no other.
    pub(crate) exact: bool,
}

fn contains(outer: &std::ops::Range<usize>, inner: &std::ops::Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Why a text is not YAML, and where.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
}

impl Tree {
    /// Reads the first document of a text.
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        Self::parse_within(text, usize::MAX).map(|(tree, _)| tree)
    }

    /// Reads the first document of a text, and tells whether it ended before there were too many nodes.
    pub(crate) fn parse_within(text: &str, max_nodes: usize) -> Result<(Self, bool), SyntaxError> {
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            if builder.tree.nodes.len() > max_nodes {
                return Ok((builder.tree, false));
            }
            let (event, span) = event.map_err(|error| SyntaxError {
                line: narrow(error.marker().line()),
                column: narrow(error.marker().col() + 1),
                message: error.info(),
            })?;
            if builder.take(event, &span) {
                break;
            }
        }
        Ok((builder.tree, true))
    }

    /// Where the text goes on though the document, written in braces or brackets, has ended: line and column.
    pub(crate) fn rest(&self, text: &str) -> Option<(u32, u32)> {
        let root = self.nodes.first()?;
        let is_flow = text.get(root.bytes.clone())?.starts_with(['{', '[']);
        let end = root.bytes.end;
        let after = text.get(end..).filter(|_| is_flow)?;
        let mut offset = end;
        for line in after.split_inclusive('\n') {
            let content = line.trim();
            if !content.is_empty() && !content.starts_with('#') && !content.starts_with("...") {
                let at = offset + (line.len() - line.trim_start().len());
                let before = &text[..at];
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                let column = before[line_start..].chars().count() + 1;
                return Some((narrow(before.matches('\n').count() + 1), narrow(column)));
            }
            offset += line.len();
        }
        None
    }

    /// The tree of `{}`.
    pub(crate) fn empty_mapping() -> Self {
        let node = Node { line: 1, column: 1, bytes: 0..0, kind: NodeKind::Mapping(Vec::new()) };
        Self { nodes: vec![node], ..Self::default() }
    }

    /// The top node; none in an empty document.
    pub(crate) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then(|| self.resolve(0))
    }

    /// Keys that stand a second time in their mapping.
    pub(crate) fn duplicates(&self) -> &[(NodeId, Key)] {
        &self.duplicates
    }

    /// How deeply lists and mappings are nested.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// How many nodes the aliases stand for, aliases in what they stand for included. A recursive one stands for more
    /// than can be counted.
    pub(crate) fn alias_nodes(&self) -> usize {
        self.alias_nodes
    }

    /// How many bytes the longest scalar or key has.
    pub(crate) fn longest_scalar(&self) -> usize {
        self.longest_scalar
    }

    /// Line and column of the first scalar that is marked with `!!binary`.
    pub(crate) fn binary(&self) -> Option<(u32, u32)> {
        self.binary
    }

    /// The way to a node.
    pub(crate) fn path_of(&self, wanted: NodeId) -> FieldPath {
        self.walk().find(|(_, id)| *id == wanted).map(|(path, _)| path).unwrap_or_default()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The text of a scalar.
    pub(crate) fn scalar(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[self.resolve(id)].kind {
            NodeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self, id: NodeId) -> &[(Key, NodeId)] {
        match &self.nodes[self.resolve(id)].kind {
            NodeKind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub(crate) fn elements(&self, id: NodeId) -> &[NodeId] {
        match &self.nodes[self.resolve(id)].kind {
            NodeKind::Sequence(elements) => elements,
            _ => &[],
        }
    }

    /// The value of a key, merged mappings included.
    pub(crate) fn get(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.entry(id, name, 0).map(|(_, value)| value)
    }

    /// Where a field stands, or the nearest thing around it that is there.
    pub(crate) fn find(&self, path: &FieldPath, target: Target) -> Option<(u32, u32)> {
        self.search(path, target).map(|found| (found.line, found.column))
    }

    /// Where a field stands and how far it reaches, or the nearest thing around it that is there.
    pub(crate) fn search(&self, path: &FieldPath, target: Target) -> Option<Found> {
        let mut at = self.root()?;
        let mut value = self.found(at);
        let mut name = value.clone();
        let mut exact = true;
        for (done, step) in path.segments().iter().enumerate() {
            // A part that is missing is reported at the name of what it is missing from.
            let Some((key, below)) = self.step(at, step) else { return Some(Found { exact: false, ..name }) };
            // What an alias or a merge brings in stands elsewhere, and for others, too.
            exact &= contains(&self.nodes[at].bytes, &self.nodes[below].bytes);
            value = self.found(below);
            name = key.map_or_else(|| value.clone(), Key::found);
            at = self.resolve(below);
            if done + 1 == path.segments().len() && target == Target::Key {
                return Some(Found { exact, ..name });
            }
            exact &= at == below;
        }
        Some(Found { exact: exact && matches!(self.nodes[at].kind, NodeKind::Scalar { .. }), ..value })
    }

    fn found(&self, id: NodeId) -> Found {
        let Node { line, column, bytes, .. } = &self.nodes[id];
        Found { line: *line, column: *column, bytes: bytes.clone(), exact: true }
    }

    /// The text of a node alone, moved to the column where it stands, and the line on which it begins.
    pub(crate) fn cut(&self, text: &str, id: NodeId) -> (String, u32) {
        let node = &self.nodes[self.resolve(id)];
        let indent = " ".repeat(node.column.saturating_sub(1) as usize);
        let bytes = text.get(node.bytes.clone()).unwrap_or_default();
        (format!("{indent}{bytes}"), node.line)
    }

    /// The node at a path, if it is there.
    pub(crate) fn at(&self, path: &FieldPath) -> Option<NodeId> {
        path.segments()
            .iter()
            .try_fold(self.root()?, |at, step| self.step(at, step).map(|(_, value)| self.resolve(value)))
    }

    /// Every scalar with its path, in the order of the text.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = (FieldPath, NodeId)> {
        self.walk().filter(|(_, id)| matches!(self.nodes[*id].kind, NodeKind::Scalar { .. }))
    }

    /// Every node with its path, in the order of the text. What an alias stands for comes where it was written.
    fn walk(&self) -> impl Iterator<Item = (FieldPath, NodeId)> {
        let mut todo: Vec<(FieldPath, NodeId)> = self.root().map(|id| (FieldPath::root(), id)).into_iter().collect();
        std::iter::from_fn(move || {
            let (path, id) = todo.pop()?;
            match &self.nodes[id].kind {
                NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
                NodeKind::Sequence(elements) => {
                    let below = elements.iter().enumerate().rev();
                    todo.extend(below.map(|(index, child)| (path.clone().index(index), *child)));
                }
                NodeKind::Mapping(entries) => {
                    let below = entries.iter().rev();
                    todo.extend(below.map(|(key, child)| (path.clone().field(key.text.clone()), *child)));
                }
            }
            Some((path, id))
        })
    }

    pub(crate) fn resolve(&self, mut id: NodeId) -> NodeId {
        // An alias points at a node that began earlier, so this ends.
        while let NodeKind::Alias(target) = self.nodes[id].kind {
            id = target;
        }
        id
    }

    fn step(&self, at: NodeId, step: &Segment) -> Option<(Option<&Key>, NodeId)> {
        match step {
            Segment::Index(index) => match self.elements(at).get(*index) {
                Some(element) => Some((None, *element)),
                None => self.entry(at, &index.to_string(), 0).map(|(key, value)| (Some(key), value)),
            },
            Segment::Field(name) => self.entry(at, name, 0).map(|(key, value)| (Some(key), value)),
            Segment::Key(name) => self.entry(at, name, 0).map(|(key, value)| (Some(key), value)),
        }
    }

    fn entry(&self, at: NodeId, name: &str, depth: usize) -> Option<(&Key, NodeId)> {
        let entries = self.entries(at);
        let exact = entries.iter().find(|(key, _)| key.text == name);
        // Fields may be written in snake case, too.
        let found =
            exact.or_else(|| entries.iter().find(|(key, _)| key.text.contains('_') && camel_case(&key.text) == name));
        if let Some((key, value)) = found {
            return Some((key, *value));
        }
        let (_, merged) = entries.iter().find(|(key, _)| key.text == "<<")?;
        if depth > 8 {
            return None;
        }
        match self.elements(*merged) {
            [] => self.entry(*merged, name, depth + 1),
            several => several.iter().find_map(|one| self.entry(*one, name, depth + 1)),
        }
    }
}

/// `max_retries` as `maxRetries`.
pub(crate) fn camel_case(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Fills a tree from events.
#[derive(Default)]
struct Builder {
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    /// How many nodes each of them stands for with all that is below it; 0 until it has ended.
    sizes: Vec<usize>,
}

/// A list or mapping that has not ended yet; `key` waits for its value.
struct Open {
    id: NodeId,
    key: Option<Key>,
}

impl Builder {
    /// Takes one event; true at the end of the document.
    fn take(&mut self, event: Event<'_>, span: &Span) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().map(Tag::suffix);
                if tag == Some("binary") {
                    self.tree.binary.get_or_insert((narrow(span.start.line()), narrow(span.start.col() + 1)));
                }
                let plain = style == ScalarStyle::Plain && tag != Some("str");
                self.add(NodeKind::Scalar { text: text.into_owned(), plain }, anchor, span);
            }
            Event::Alias(anchor) => {
                if let Some(target) = self.anchors.get(&anchor) {
                    self.add(NodeKind::Alias(*target), 0, span);
                }
            }
            Event::SequenceStart(_, anchor, _) => self.open(NodeKind::Sequence(Vec::new()), anchor, span),
            Event::MappingStart(_, anchor, _) => {
                self.open(NodeKind::Mapping(Vec::new()), anchor, span);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::DocumentEnd => return true,
            _ => {}
        }
        false
    }

    fn open(&mut self, kind: NodeKind, anchor: usize, span: &Span) {
        let id = self.add(kind, anchor, span);
        self.open.push(Open { id, key: None });
        self.tree.depth = self.tree.depth.max(self.open.len());
    }

    fn close(&mut self, span: &Span) {
        let Some(Open { id, .. }) = self.open.pop() else { return };
        let size = |id: &NodeId| self.sizes[*id];
        self.sizes[id] = match &self.tree.nodes[id].kind {
            NodeKind::Sequence(elements) => elements.iter().map(size).fold(1, usize::saturating_add),
            NodeKind::Mapping(entries) => entries.iter().map(|(_, value)| size(value)).fold(1, usize::saturating_add),
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => 1,
        };
        let node = &mut self.tree.nodes[id];
        node.bytes.end = span.end.byte_offset().unwrap_or(node.bytes.end);
        if let NodeKind::Mapping(entries) = &node.kind {
            let mut seen = HashSet::with_capacity(entries.len());
            for (key, _) in entries.iter().filter(|(key, _)| !key.text.is_empty()) {
                if !seen.insert(key.text.as_str()) {
                    self.tree.duplicates.push((id, key.clone()));
                }
            }
        }
    }

    fn add(&mut self, kind: NodeKind, anchor: usize, span: &Span) -> NodeId {
        let id = self.tree.nodes.len();
        let (line, column) = (narrow(span.start.line()), narrow(span.start.col() + 1));
        let bytes = span.start.byte_offset().unwrap_or(0)..span.end.byte_offset().unwrap_or(0);
        let text = match &kind {
            NodeKind::Scalar { text, .. } => {
                self.tree.longest_scalar = self.tree.longest_scalar.max(text.len());
                text.clone()
            }
            _ => String::new(),
        };
        self.sizes.push(match &kind {
            NodeKind::Scalar { .. } => 1,
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => 0,
            NodeKind::Alias(target) => {
                // What an alias is part of has not ended.
                let stands_for = match self.sizes[*target] {
                    0 => usize::MAX,
                    size => size,
                };
                self.tree.alias_nodes = self.tree.alias_nodes.saturating_add(stands_for);
                stands_for
            }
        });
        self.tree.nodes.push(Node { line, column, bytes: bytes.clone(), kind });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(open) = self.open.last_mut() else { return id };
        match &mut self.tree.nodes[open.id].kind {
            NodeKind::Sequence(elements) => elements.push(id),
            NodeKind::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, id)),
                None => open.key = Some(Key { text, line, column, bytes }),
            },
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
        }
        id
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, path: &str) -> (u32, u32) {
        find_target(text, path, Target::Value)
    }

    fn find_target(text: &str, path: &str, target: Target) -> (u32, u32) {
        let tree = Tree::parse(text).unwrap();
        tree.find(&FieldPath::from(path), target).unwrap()
    }

    const TEXT: &str = "\
spec:
  http:
  - match:
    - headers: {x-a: {exact: b}}
      max_tries: 3
    route: []
";

    #[test]
    fn a_value_is_found_by_its_path() {
        assert_eq!(find(TEXT, "spec.http[0].match[0].headers[x-a].exact"), (4, 30));
        assert_eq!(find(TEXT, "spec.http[0].route"), (6, 12));
    }

    #[test]
    fn a_key_is_found_where_a_finding_is_about_the_name() {
        assert_eq!(find_target(TEXT, "spec.http[0].route", Target::Key), (6, 5));
    }

    #[test]
    fn a_missing_field_is_reported_at_what_it_is_missing_from() {
        assert_eq!(find(TEXT, "spec.tcp[0].route"), (1, 1));
        assert_eq!(find(TEXT, "spec.http[0].match[0].port"), (4, 7));
    }

    #[test]
    fn snake_case_names_are_found_by_their_camel_case_path() {
        assert_eq!(find(TEXT, "spec.http[0].match[0].maxTries"), (5, 18));
    }

    #[test]
    fn aliases_and_merges_are_followed() {
        let text = "a: &x {q: 1}\nb: *x\nc:\n  <<: *x\n  z: 2\n";
        assert_eq!(find(text, "b.q"), (1, 11));
        assert_eq!(find(text, "c.q"), (1, 11));
        assert_eq!(find(text, "c.z"), (5, 6));
    }

    #[test]
    fn a_key_that_stands_twice_is_noticed_with_its_place() {
        let tree = Tree::parse("a: 1\nb: {c: 1, c: 2}\na: 2\n").unwrap();
        let places: Vec<_> = tree.duplicates().iter().map(|(_, k)| (k.text.as_str(), k.line, k.column)).collect();
        assert_eq!(places, [("c", 2, 11), ("a", 3, 1)]);
    }

    #[test]
    fn columns_count_characters_and_json_works_with_tabs() {
        assert_eq!(find("{\n\t\"é\":\t\"x\", \"b\": 1}", "b"), (2, 17));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let text: String = (0..10_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(Tree::parse(&text).is_err() && Tree::parse(&"[".repeat(10_000)).is_err());
        let text: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert_eq!(find(&text, &["a"; 150].join(".")), (151, 151));
    }

    #[test]
    fn a_node_can_be_cut_out_with_its_columns() {
        let text = "kind: List\nitems:\n- a: 1\n  b: |\n    x\n# c\n- {a: 2}\n- [3,\n 4]\nz: 1\n";
        let tree = Tree::parse(text).unwrap();
        let items = tree.get(tree.root().unwrap(), "items").unwrap();
        let cuts: Vec<_> = tree.elements(items).iter().map(|id| tree.cut(text, *id)).collect();
        let texts: Vec<_> = cuts.iter().map(|(text, line)| (text.trim_end(), *line)).collect();
        assert_eq!(texts, [("  a: 1\n  b: |\n    x\n# c", 3), ("  {a: 2}", 7), ("  [3,\n 4]", 8)]);
    }

    #[test]
    fn a_block_of_text_begins_below_its_indicator() {
        let tree = Tree::parse("data:\n  mesh: |-\n    a: 1\n").unwrap();
        assert_eq!(tree.find(&FieldPath::from("data.mesh"), Target::Value), Some((3, 5)));
    }

    #[test]
    fn a_syntax_error_names_its_place() {
        let error = Tree::parse("a: 1\nb: @x\n").unwrap_err();
        assert_eq!((error.line, error.column), (2, 4));
        assert!(!error.message.is_empty());
    }

    #[test]
    fn an_alias_bomb_stays_small() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..30 {
            let nine = vec![format!("*a{}", i - 1); 9].join(",");
            text.push_str(&format!("a{i}: &a{i} [{nine}]\n"));
        }
        let tree = Tree::parse(&text).unwrap();
        assert!(tree.nodes.len() < 1_000);
        assert!(tree.scalars().count() < 20);
    }
}
