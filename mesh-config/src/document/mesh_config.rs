//! The places where a MeshConfig is found.

use super::{Piece, Reader, stranger, typed};
use crate::api::MeshConfig;
use crate::api::mesh_config::MeshConfigForm;
use crate::diagnostic::{Code, Diagnostic, FieldPath};
use crate::locate::Tree;
use crate::meta::ObjectMeta;
use crate::resource::{Kind, ResourceId};
use crate::value::field_names;

/// Where istiod's own configuration lives.
const ROOT_NAMESPACE: &str = "istio-system";
const NAME: &str = "istio";

impl Reader<'_> {
    /// A document without `kind`: a MeshConfig, Helm values that hold one, or nothing of ours.
    pub(super) fn read_untyped(&mut self, piece: &Piece, tree: &Tree) {
        match MeshConfigForm::of(tree) {
            Some(MeshConfigForm::Bare) if is_mostly_known(tree) => self.read_mesh_config(piece, tree, &mesh_meta()),
            None | Some(MeshConfigForm::Bare) => self.report.push(piece.about(stranger::untyped(tree))),
            Some(form) => self.read_mesh_config_in(piece, tree, form),
        }
    }

    /// A ConfigMap, IstioOperator or Istio, of which only a MeshConfig in it is read.
    pub(super) fn read_holder(&mut self, piece: &Piece, tree: &Tree, kind: &str) {
        match MeshConfigForm::of(tree) {
            Some(MeshConfigForm::ConfigMap) => self.read_config_map(piece, tree),
            Some(form) => self.read_mesh_config_in(piece, tree, form),
            None => {
                let finding =
                    Diagnostic::info(Code::FOREIGN_KIND, format!("this {kind} holds no MeshConfig; passed over"));
                self.report.push(piece.about(finding.path("kind")));
            }
        }
    }

    /// The text under `mesh`, which stands line for line below its key, moved in by its indentation.
    fn read_config_map(&mut self, piece: &Piece, tree: &Tree) {
        let text = |path: &str| tree.at(&FieldPath::from(path)).and_then(|id| tree.scalar(id));
        let name = text("metadata.name").unwrap_or_default();
        let namespace = text("metadata.namespace").unwrap_or(&self.options.default_namespace);
        let meta = ObjectMeta::new(namespace, name);
        let path = path_of(MeshConfigForm::ConfigMap);
        let Some((node, inner)) = tree.at(&path).and_then(|id| Some((tree.node(id), tree.scalar(id)?))) else { return };
        let indent = " ".repeat(node.column.saturating_sub(1) as usize);
        let moved: String = inner.split_inclusive('\n').map(|line| format!("{indent}{line}")).collect();
        let inner = self.below(piece, moved, node.line, node.column);
        self.read_inner(&inner, &meta);
    }

    fn read_mesh_config_in(&mut self, piece: &Piece, tree: &Tree, form: MeshConfigForm) {
        if let Some(node) = tree.at(&path_of(form)) {
            let inner = self.cut(piece, tree, node);
            self.read_inner(&inner, &mesh_meta());
        }
    }

    /// A MeshConfig that was taken out of another document.
    fn read_inner(&mut self, piece: &Piece, meta: &ObjectMeta) {
        match Tree::parse(piece.text()) {
            Ok(tree) => self.read_mesh_config(piece, &tree, meta),
            Err(error) => self.not_yaml(piece, &error),
        }
    }

    fn read_mesh_config(&mut self, piece: &Piece, tree: &Tree, meta: &ObjectMeta) {
        let kind = Kind::MeshConfig;
        let id = ResourceId::new(kind, &meta.namespace, &meta.name);
        if !tree.duplicates().is_empty() {
            return self.refuse_duplicates(piece, tree, Some(&id));
        }
        match typed::read::<MeshConfig>(tree, &self.options.limits) {
            Ok(read) => {
                if self.report_unknown::<MeshConfig>(kind, &id, piece, &read.unknown) {
                    self.keep(kind, piece, tree, meta.clone(), read.value);
                }
            }
            Err(failures) => self.report_failures::<MeshConfig>(kind, Some(id), piece, tree, failures),
        }
    }
}

fn path_of(form: MeshConfigForm) -> FieldPath {
    form.path().iter().fold(FieldPath::root(), |path, key| path.field(*key))
}

/// A document of somebody else's may have a name or two in common with a MeshConfig.
fn is_mostly_known(tree: &Tree) -> bool {
    let known = field_names::<MeshConfig>();
    let entries = tree.entries(tree.root().unwrap_or_default());
    let strangers = entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())).count();
    strangers * 2 < entries.len()
}

fn mesh_meta() -> ObjectMeta {
    ObjectMeta::new(ROOT_NAMESPACE, NAME)
}
