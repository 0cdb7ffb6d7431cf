//! Text to documents.
//!
//! A stream is cut into documents by its `---` lines, each is parsed into a tree that knows where everything stands, and
//! the struct of its kind is read from the tree. Whatever does not fit becomes a finding; good documents are kept, bad ones are not.
//!
//! What is taken: YAML and JSON, several documents in a stream, `kind: List`, Windows line ends, a byte order mark. A
//! MeshConfig may be a document of its own, the `mesh` key of a ConfigMap `istio`, or the `meshConfig` of an
//! IstioOperator or of Helm values. Kinds that a mesh has no use for are passed over with a note.
//!
//! YAML is read as Kubernetes reads it: `no` and `123` are no strings, and whoever wants one has to quote it.

mod from_tree;
mod head;
mod mesh_config;
mod object;
mod objection;
mod outline;
mod placeholder;
mod probe;
pub(crate) mod scalar;
mod split;
pub(crate) mod typed;

#[cfg(test)]
pub(crate) use self::typed::from_str_noting;
pub(crate) use self::typed::{from_node, from_str};

use std::sync::Arc;

use self::head::{Head, Shape};
pub use self::outline::{Outline, outline};
use self::split::Chunk;
use crate::diagnostic::{Code, Diagnostic, Origin, Report, Source};
use crate::locate::{NodeId, SyntaxError, Tree};
use crate::resource::{Kind, Lookup, Resource, ResourceId, for_each_kind, lookup};

/// An object and where it was written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// Where it was written.
    pub origin: Origin,
    /// The object.
    pub resource: Resource,
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
        }
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
    let mut reader = Reader { options, file: origin.into(), documents: Vec::new(), report: Report::new() };
    reader.read_stream(text);
    reader.report.locate();
    (reader.documents, reader.report)
}

/// What has been read so far.
struct Reader<'o> {
    options: &'o ParseOptions,
    file: Arc<str>,
    documents: Vec<Document>,
    report: Report,
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
        self.read_parsed(&piece);
    }

    fn piece(&self, text: String, first_line: u32, origin: &Origin, nesting: usize) -> Piece {
        let source = Arc::new(Source { text, first_line });
        Piece { origin: origin.clone().with_source(source.clone()), source, nesting }
    }

    fn read_parsed(&mut self, piece: &Piece) {
        let tree = match Tree::parse_within(piece.text(), self.options.limits.max_nodes) {
            Ok((tree, true)) if tree.alias_nodes() <= self.options.limits.max_alias_nodes => tree,
            Ok((_, true)) => {
                let most = self.options.limits.max_alias_nodes;
                let message = format!("aliases stand for more than {most} lists, mappings and values");
                return self.report.push(piece.about(Diagnostic::error(Code::LIMIT, message)));
            }
            Ok((_, false)) => {
                let most = self.options.limits.max_nodes;
                let message = format!("the document has more than {most} lists, mappings and values");
                return self.report.push(piece.about(Diagnostic::error(Code::LIMIT, message)));
            }
            Err(error) => return self.not_yaml(piece, &error),
        };
        match head::shape(&tree) {
            Shape::Empty => {}
            Shape::Object(head) => self.read_object(piece, &head, &tree),
            Shape::Untyped => self.read_untyped(piece, &tree),
            Shape::List => self.not_an_object(piece, "a list, not a Kubernetes object"),
            Shape::Text => self.not_an_object(piece, "plain text, not a Kubernetes object"),
        }
    }

    fn not_yaml(&mut self, piece: &Piece, error: &SyntaxError) {
        let (code, message, help) = typed::syntax(&error.message);
        let place = Some((error.line, error.column));
        let finding = Diagnostic::error(code, message).advise(help);
        let finding = object::mind_placeholder(finding, piece.text(), place);
        self.report.push(piece.about_place(finding, place));
    }

    fn not_an_object(&mut self, piece: &Piece, message: &str) {
        self.report.push(piece.about(Diagnostic::error(Code::NOT_AN_OBJECT, message)));
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
            return self.read_list(piece, tree);
        }
        match head.kind.as_str() {
            kind @ ("ConfigMap" | "IstioOperator" | "Istio") => self.read_holder(piece, tree, kind),
            _ => self.pass_over(piece, head, known),
        }
    }

    fn refuse_duplicates(&mut self, piece: &Piece, tree: &Tree, id: Option<&ResourceId>) {
        for (mapping, key) in tree.duplicates() {
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
            ($($kind:ident = $type:path, $form:ident, $group:literal, $versions:tt;)*) => {
                match kind { $(Kind::$kind => by_kind!(@$form $type)),* }
            };
            (@spec $type:path) => { self.read_enveloped::<$type>(kind, piece, tree) };
            (@bare $type:path) => { self.read_bare::<$type>(kind, piece, tree) };
        }
        for_each_kind!(by_kind);
    }

    fn read_list(&mut self, piece: &Piece, tree: &Tree) {
        if piece.nesting >= MAX_LISTS {
            return self.not_an_object(piece, "lists of lists of objects are not read");
        }
        let items = tree.root().and_then(|root| tree.get(root, "items"));
        for item in items.map_or(&[][..], |items| tree.elements(items)) {
            let item = self.cut(piece, tree, *item);
            self.read_parsed(&Piece { nesting: piece.nesting + 1, ..item });
        }
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

    fn pass_over(&mut self, piece: &Piece, head: &Head, known: Lookup) {
        let Head { api_version, kind } = head;
        let finding = match known {
            Lookup::UnknownVersion(of) => {
                let versions = of.versions().join(", ");
                Diagnostic::error(Code::UNKNOWN_VERSION, format!("{kind} has no version `{api_version}`"))
                    .path("apiVersion")
                    .help(format!("{} has {versions}", of.group()))
            }
            Lookup::WrongGroup(of) => {
                Diagnostic::warning(Code::FOREIGN_KIND, format!("`{api_version}` has no {kind}; passed over"))
                    .path("apiVersion")
                    .suggest(format!("{}/{}", of.group(), of.versions().first().unwrap_or(&"v1")))
            }
            Lookup::Skipped => Diagnostic::warning(
                Code::SKIPPED_KIND,
                format!("{kind} speaks about Envoy, which is not part of this mesh; skipped"),
            )
            .path("kind"),
            _ if api_version.is_empty() => {
                let finding = Diagnostic::warning(Code::FRAGMENT, format!("{kind} without `apiVersion`; passed over"));
                finding.path("kind").help("a patch or a reference to an object is not the object")
            }
            _ => Diagnostic::info(Code::FOREIGN_KIND, format!("{kind} of `{api_version}` is not read; passed over"))
                .path("kind"),
        };
        self.report.push(piece.about(finding));
    }
}

/// Lists may stand in lists this often.
const MAX_LISTS: usize = 4;

/// Whether a line stands before the first content of a document.
fn is_leading(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    let line = line.strip_prefix("---").unwrap_or(line).trim_start();
    line.is_empty() || line.starts_with(['#', '%'])
}

#[cfg(test)]
mod tests;
