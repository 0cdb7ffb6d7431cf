//! Text to documents.
//!
//! A stream is cut into documents by its `---` lines, each is parsed into a tree that knows where everything stands, and
//! the struct of its kind is read from the tree. Whatever does not fit becomes a finding; good documents are kept, bad ones are not.
//!
//! What is taken: YAML and JSON, several documents in a stream, `kind: List` and lists of one kind, what Helm prints,
//! Windows line ends, a byte order mark. A MeshConfig may be a document of its own, the `mesh` key of a ConfigMap `istio`, or the `meshConfig` of an
//! IstioOperator or of Helm values. Kinds that a mesh has no use for are passed over with a note.
//!
//! YAML is read as Kubernetes reads it: `no` and `123` are no strings, and whoever wants one has to quote it.

mod bundle;
mod envoy_filter;
mod from_tree;
mod head;
mod mesh_config;
mod misplaced;
mod name;
mod object;
mod objection;
mod outline;
pub(crate) mod placeholder;
mod probe;
pub(crate) mod scalar;
mod shape;
mod split;
mod stranger;
pub(crate) mod typed;

#[cfg(test)]
pub(crate) use self::typed::from_str_noting;
pub(crate) use self::typed::{from_node, from_str};

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::head::{Head, Shape};
pub use self::outline::{Outline, outline};
use self::split::Chunk;
use crate::diagnostic::{Code, Diagnostic, Origin, Report, Severity, Source};
use crate::locate::{NodeId, SyntaxError, Tree};
use crate::resource::{Kind, Lookup, Resource, ResourceId, for_each_kind, lookup};

/// An object and where it was written.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// Where it was written.
    pub origin: Origin,
    /// The object.
    pub resource: Resource,
}

/// Name and place alone: what the object says may be keys, and whoever holds a mesh prints it with the rest.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} at {})", self.resource.id(), self.origin)
    }
}

/// A document of an object made in code takes the object's own origin.
impl<R: Into<Resource>> From<R> for Document {
    fn from(resource: R) -> Self {
        let resource = resource.into();
        Self { origin: resource.origin().clone(), resource }
    }
}

/// How to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// Whether an unknown field of Istio's kinds is an error, as in Istio's webhook (default: yes), or a warning, as
    /// when istiod reads from a cluster.
    pub strict: bool,
    /// Whether documents are held against Istio's CRDs, as the API server does before it asks Istio's webhook (default:
    /// yes). What it would refuse is an error, or a warning where `strict` is off: an object that istiod finds in a
    /// cluster was let in, if by the CRD of another version. Off, the verdict is that of the webhook alone.
    pub crd_rules: bool,
    /// The namespace of objects that name none (default: `default`).
    pub default_namespace: String,
    /// What is refused for its size.
    pub limits: Limits,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { strict: true, crd_rules: true, default_namespace: "default".to_owned(), limits: Limits::default() }
    }
}

impl ParseOptions {
    /// Makes unknown fields and what Istio's CRDs object to a warning.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Sets whether documents are held against Istio's CRDs.
    #[must_use]
    pub fn crd_rules(mut self, held: bool) -> Self {
        self.crd_rules = held;
        self
    }

    /// Sets the namespace of objects that name none.
    #[must_use]
    pub fn default_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.default_namespace = namespace.into();
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// What is refused for its size. A document over a limit is reported and not read; the others are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one text (default: 32 MiB).
    pub max_stream_bytes: usize,
    /// Bytes of one document (default: 4 MiB; Kubernetes stores 1.5 MiB at most).
    pub max_document_bytes: usize,
    /// Documents in one text (default: 100,000).
    pub max_documents: usize,
    /// How deeply lists and mappings may be nested in a document that is read (default: 40).
    pub max_depth: usize,
    /// Lists, mappings and values in one document (default: 200,000).
    pub max_nodes: usize,
    /// Nodes that aliases may stand for in one document (default: 100,000).
    pub max_alias_nodes: usize,
    /// Bytes of one value (default: 2 MiB).
    pub max_value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_stream_bytes: 32 << 20,
            max_document_bytes: 4 << 20,
            max_documents: 100_000,
            max_depth: 40,
            max_nodes: 200_000,
            max_alias_nodes: 100_000,
            max_value_bytes: 2 << 20,
        }
    }
}

impl Limits {
    /// What is too much about a parsed document, if anything is. `ended` tells whether it was parsed to its end.
    fn excess(&self, tree: &Tree, ended: bool) -> Option<String> {
        let Self { max_nodes, max_alias_nodes, max_value_bytes, .. } = self;
        if !ended {
            return Some(format!("the document has more than {max_nodes} lists, mappings and values"));
        }
        if tree.alias_nodes() > *max_alias_nodes {
            return Some(format!("aliases stand for more than {max_alias_nodes} lists, mappings and values"));
        }
        let longest = tree.longest_scalar();
        (longest > *max_value_bytes)
            .then(|| format!("a value has {longest} bytes, more than the {max_value_bytes} that are read"))
    }
}

/// Reads a text with the default options. `origin` names it in findings, usually a file.
///
/// ```
/// let (documents, report) = mesh_config::parse("reviews.yaml", "
/// apiVersion: networking.istio.io/v1
/// kind: VirtualService
/// metadata: {name: reviews}
/// spec:
///   hosts: [reviews]
///   http:
///   - route:
///     - destination: {host: reviews}
///       wieght: 100
/// ");
/// assert!(documents.is_empty());
/// assert!(report.to_string().starts_with(
///     "reviews.yaml:10:7: error[MESH0001] VirtualService default/reviews spec.http[0].route[0].wieght: \
///      unknown field \"wieght\"\n  help: did you mean `weight`?"
/// ));
/// ```
#[must_use]
pub fn parse(origin: &str, text: &str) -> (Vec<Document>, Report) {
    parse_with(origin, text, &ParseOptions::default())
}

/// Reads a text.
#[must_use]
pub fn parse_with(origin: &str, text: &str, options: &ParseOptions) -> (Vec<Document>, Report) {
    let mut reader =
        Reader { options, file: origin.into(), documents: Vec::new(), report: Report::new(), has_content: false };
    reader.read_stream(text);
    reader.report.locate();
    (reader.documents, reader.report)
}

/// Reads any struct from the first document of a text, by the rules for objects: unknown fields, keys that stand twice
/// and values that do not fit are errors with their place. For files that belong to a mesh without being its
/// configuration, such as cases to test it with.
///
/// ```
/// #[derive(Debug, Default, serde::Deserialize)]
/// #[serde(default)]
/// struct Case { name: String }
///
/// let case: Case = mesh_config::document::from_yaml("case.yaml", "name: a").map_err(|report| report.to_string())?;
/// assert_eq!(case.name, "a");
/// let report = mesh_config::document::from_yaml::<Case>("case.yaml", "naem: a").unwrap_err();
/// assert!(report.to_string().starts_with("case.yaml:1:1: error[MESH0001] naem: unknown field"));
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// What is wrong with the text.
pub fn from_yaml<T: DeserializeOwned>(origin: &str, text: &str) -> Result<T, Report> {
    let options = ParseOptions::default();
    let mut reader = Reader {
        options: &options,
        file: origin.into(),
        documents: Vec::new(),
        report: Report::new(),
        has_content: false,
    };
    let piece = reader.piece(text.to_owned(), 1, &Origin::new(origin, 1, 1), 0);
    let value = reader.read_value(&piece);
    reader.report.locate();
    match value {
        Some(value) if !reader.report.has_errors() => Ok(value),
        _ => Err(reader.report),
    }
}

/// What has been read so far.
struct Reader<'o> {
    options: &'o ParseOptions,
    file: Arc<str>,
    documents: Vec<Document>,
    report: Report,
    /// Whether any document held anything.
    has_content: bool,
}

/// A text that holds one object, and where it stands.
struct Piece {
    source: Arc<Source>,
    origin: Origin,
    /// How many lists it was taken out of.
    nesting: usize,
}

impl Piece {
    fn text(&self) -> &str {
        &self.source.text
    }

    /// A finding about this piece.
    fn about(&self, finding: Diagnostic) -> Diagnostic {
        finding.at(&self.origin)
    }

    /// A finding about a place in this piece.
    fn about_place(&self, finding: Diagnostic, place: Option<(u32, u32)>) -> Diagnostic {
        match place {
            Some((line, column)) if line > 0 => {
                finding.at_place(&self.origin, line.saturating_add(self.source.first_line - 1), column)
            }
            _ => self.about(finding),
        }
    }
}

impl Reader<'_> {
    fn read_stream(&mut self, text: &str) {
        let whole = Origin::new(self.file.clone(), 0, 0);
        let limits = &self.options.limits;
        if text.len() > limits.max_stream_bytes {
            let (is, most) = (text.len(), limits.max_stream_bytes);
            self.report.push(
                Diagnostic::error(Code::LIMIT, format!("{is} bytes, more than the {most} that are read")).at(&whole),
            );
            return;
        }
        for (index, chunk) in split::split(text).enumerate() {
            if index >= limits.max_documents {
                let most = limits.max_documents;
                self.report.push(Diagnostic::error(Code::LIMIT, format!("more than {most} documents")).at(&whole));
                return;
            }
            self.read_chunk(chunk, u32::try_from(index).unwrap_or(u32::MAX));
        }
        if !self.has_content && self.report.is_empty() && !text.trim().is_empty() {
            self.report.push(Diagnostic::info(Code::EMPTY, "no objects: only comments and empty documents").at(&whole));
        }
    }

    fn read_chunk(&mut self, chunk: Chunk<'_>, index: u32) {
        let before = chunk.text.lines().take_while(|line| is_leading(line)).count();
        let line = chunk.first_line.saturating_add(u32::try_from(before).unwrap_or(0));
        let mut origin = Origin::new(self.file.clone(), line, 1);
        origin.doc_index = index;
        let (is, most) = (chunk.text.len(), self.options.limits.max_document_bytes);
        if is > most {
            let message = format!("the document has {is} bytes, more than the {most} that are read");
            self.report.push(Diagnostic::error(Code::LIMIT, message).at(&origin));
            return;
        }
        let piece = self.piece(chunk.text.to_owned(), chunk.first_line, &origin, 0);
        if split::is_notes(chunk.text) {
            let finding = Diagnostic::info(Code::NOT_AN_OBJECT, "the notes that Helm prints; passed over");
            return self.report.push(piece.about(finding));
        }
        self.read_parsed(&piece);
    }

    fn piece(&self, text: String, first_line: u32, origin: &Origin, nesting: usize) -> Piece {
        let source = Arc::new(Source { text, first_line });
        Piece { origin: origin.clone().with_source(source.clone()), source, nesting }
    }

    fn read_parsed(&mut self, piece: &Piece) {
        self.read_parsed_as(piece, None);
    }

    /// Reads a piece. `of_list` is what it is where it does not say so itself.
    fn read_parsed_as(&mut self, piece: &Piece, of_list: Option<&Head>) {
        let tree = match Tree::parse_within(piece.text(), self.options.limits.max_nodes) {
            Ok((tree, ended)) => match self.options.limits.excess(&tree, ended) {
                Some(message) => return self.report.push(piece.about(Diagnostic::error(Code::LIMIT, message))),
                None => tree,
            },
            Err(error) => return self.not_yaml(piece, &error),
        };
        if let Some(place) = tree.binary() {
            let finding = Diagnostic::error(Code::WRONG_TYPE, "a value in base64, where Kubernetes has texts")
                .help("write the text itself, without `!!binary`");
            return self.report.push(piece.about_place(finding, Some(place)));
        }
        if let Some(place) = tree.rest(piece.text()) {
            let finding =
                Diagnostic::error(Code::SYNTAX, "the document has ended before this, which belongs to nothing")
                    .effect("nothing of either is read")
                    .help("put a line `---` between documents");
            return self.report.push(piece.about_place(finding, Some(place)));
        }
        let shape = head::shape(&tree);
        self.has_content |= shape != Shape::Empty;
        match (shape, of_list) {
            (Shape::Empty, _) => {}
            (Shape::Object(head), _) => self.read_object(piece, &head, &tree),
            (Shape::Untyped, Some(head)) => self.read_object(piece, head, &tree),
            (Shape::Untyped, None) => self.read_untyped(piece, &tree),
            (Shape::List, _) => self.report.push(piece.about(stranger::list(&tree))),
            (Shape::Text, _) => self.read_text(piece),
        }
    }

    fn read_text(&mut self, piece: &Piece) {
        let first = piece.origin.line.saturating_sub(piece.source.first_line) + 1;
        let finding = object::mind_placeholder(stranger::text(piece.text()), piece.text(), Some((first, 1)));
        self.report.push(piece.about(finding));
    }

    fn read_value<T: DeserializeOwned>(&mut self, piece: &Piece) -> Option<T> {
        let tree = match Tree::parse(piece.text()) {
            Ok(tree) => tree,
            Err(error) => {
                self.not_yaml(piece, &error);
                return None;
            }
        };
        self.refuse_duplicates(piece, &tree, None);
        match typed::read::<T>(&tree, &self.options.limits) {
            Ok(read) => {
                let unknown: Vec<_> = read.unknown.iter().map(|path| (path, Severity::Error)).collect();
                self.report.extend(object::unknown_fields::<T>(&unknown).map(|finding| piece.about(finding)));
                Some(read.value)
            }
            Err(failures) => {
                let found = failures.failures.into_iter();
                self.report.extend(found.map(|failure| object::failure_finding::<T>(piece, &tree, failure)));
                None
            }
        }
    }

    fn not_yaml(&mut self, piece: &Piece, error: &SyntaxError) {
        let (code, message, help) = typed::syntax(&error.message);
        let place = Some((error.line, error.column));
        let finding = Diagnostic::error(code, message).advise(help);
        let finding = match stranger::surroundings(piece.text()) {
            Some(help) => finding.help(help),
            None => object::mind_placeholder(finding, piece.text(), place),
        };
        self.report.push(piece.about_place(finding, place));
    }

    /// Reads an object by its type.
    fn read_object(&mut self, piece: &Piece, head: &Head, tree: &Tree) {
        let known = lookup(&head.api_version, &head.kind);
        if !tree.duplicates().is_empty() {
            let id = match known {
                Lookup::Known(kind) => self.identify(kind, tree),
                _ => None,
            };
            return self.refuse_duplicates(piece, tree, id.as_ref());
        }
        if let Lookup::Known(kind) = known {
            return self.read_known(kind, piece, tree);
        }
        let root = tree.root().unwrap_or_default();
        if head.kind.ends_with("List") && tree.get(root, "items").is_some() {
            return self.read_list(piece, head, tree);
        }
        match head.kind.as_str() {
            kind @ ("ConfigMap" | "IstioOperator" | "Istio") => self.read_holder(piece, tree, kind),
            "EnvoyFilter" if known == Lookup::Skipped => self.skip_envoy_filter(piece, head, tree),
            _ => self.report.push(piece.about(stranger::other_object(head, known, tree))),
        }
    }

    fn refuse_duplicates(&mut self, piece: &Piece, tree: &Tree, id: Option<&ResourceId>) {
        // The way to each is searched for, so that only a number that a person reads is told.
        for (mapping, key) in tree.duplicates().iter().take(typed::MAX_FAILURES) {
            let (code, message, help) = typed::duplicate(&key.text);
            let mut finding =
                Diagnostic::error(code, message).path(tree.path_of(*mapping).field(key.text.clone())).advise(help);
            finding.resource = id.cloned();
            self.report.push(piece.about_place(finding, Some((key.line, key.column))));
        }
    }

    fn read_known(&mut self, kind: Kind, piece: &Piece, tree: &Tree) {
        let limits = &self.options.limits;
        if tree.depth() > limits.max_depth {
            let message = format!("lists and mappings are nested more than {} deep", limits.max_depth);
            return self.report.push(piece.about(Diagnostic::error(Code::LIMIT, message)));
        }
        macro_rules! by_kind {
            ($($kind:ident $(($name:literal))? = $type:path, $form:ident, $group:literal, $versions:tt;)*) => {
                match kind { $(Kind::$kind => by_kind!(@$form $type)),* }
            };
            (@spec $type:path) => { self.read_enveloped::<$type>(kind, piece, tree) };
            (@bare $type:path) => { self.read_bare::<$type>(kind, piece, tree) };
        }
        for_each_kind!(by_kind);
    }

    /// The part of a piece that one node covers.
    fn cut(&self, piece: &Piece, tree: &Tree, node: NodeId) -> Piece {
        let (text, line) = tree.cut(piece.text(), node);
        self.below(piece, text, line, tree.node(node).column)
    }

    /// A text that begins at a place of a piece.
    fn below(&self, piece: &Piece, text: String, line: u32, column: u32) -> Piece {
        let line = line.saturating_add(piece.source.first_line - 1);
        let mut origin = piece.origin.clone();
        (origin.line, origin.column) = (line, column);
        self.piece(text, line, &origin, piece.nesting)
    }
}

/// Whether a line stands before the first content of a document.
fn is_leading(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    let line = line.strip_prefix("---").unwrap_or(line).trim_start();
    line.is_empty() || line.starts_with(['#', '%'])
}

#[cfg(test)]
mod tests;
