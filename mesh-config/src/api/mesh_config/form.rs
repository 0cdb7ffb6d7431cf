//! The forms in which a `MeshConfig` stands in a file.

use std::fmt;

use super::MeshConfig;
use crate::diagnostic::FieldPath;
use crate::document;
use crate::locate::{NodeId, Tree};
use crate::value::field_names;

/// Where in a document the `MeshConfig` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MeshConfigForm {
    /// The document is a `MeshConfig`.
    Bare,
    /// The ConfigMap `istio`, or `istio-REVISION`: `data.mesh` holds a document as text.
    ConfigMap,
    /// Values of a Helm chart: `meshConfig` at the top.
    HelmValues,
    /// An `IstioOperator`: `spec.meshConfig`.
    IstioOperator,
    /// An `IstioOperator` or `Istio` with the values of a chart in it: `spec.values.meshConfig`.
    OperatorValues,
}

impl MeshConfigForm {
    /// The keys that lead to the `MeshConfig`.
    #[must_use]
    pub const fn path(self) -> &'static [&'static str] {
        match self {
            Self::Bare => &[],
            Self::ConfigMap => &["data", "mesh"],
            Self::HelmValues => &["meshConfig"],
            Self::IstioOperator => &["spec", "meshConfig"],
            Self::OperatorValues => &["spec", "values", "meshConfig"],
        }
    }
}

impl MeshConfig {
    /// Whether a YAML or JSON document holds a `MeshConfig`, and in which form.
    ///
    /// A document without `kind` counts as bare if one of its keys is a field of `MeshConfig`. The content is not read, so it
    /// may still have errors; text that is no YAML mapping holds none.
    ///
    /// ```
    /// use mesh_config::api::mesh_config::{MeshConfig, MeshConfigForm};
    ///
    /// assert_eq!(
    ///     MeshConfig::detect("meshConfig: {trustDomain: td}"),
    ///     Some(MeshConfigForm::HelmValues)
    /// );
    /// assert_eq!(MeshConfig::detect("kind: Service"), None);
    /// ```
    #[must_use]
    pub fn detect(text: &str) -> Option<MeshConfigForm> {
        MeshConfigForm::of(&Tree::parse(text).ok()?)
    }

    /// Reads the `MeshConfig` that a document holds and tells its form; `None` if it holds none.
    ///
    /// Unknown fields are passed over.
    ///
    /// ```
    /// use mesh_config::api::mesh_config::{MeshConfig, MeshConfigForm};
    ///
    /// let text = "{kind: ConfigMap, metadata: {name: istio}, data: {mesh: 'trustDomain: td'}}";
    /// let (mesh, form) = MeshConfig::from_text(text)?.ok_or("none")?;
    /// assert_eq!(mesh.trust_domain(), "td");
    /// assert_eq!(form, MeshConfigForm::ConfigMap);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The content does not have the types of a `MeshConfig`.
    pub fn from_text(text: &str) -> Result<Option<(Self, MeshConfigForm)>, MeshConfigError> {
        let Ok(tree) = Tree::parse(text) else { return Ok(None) };
        let Some(form) = MeshConfigForm::of(&tree) else { return Ok(None) };
        let error = |message: String| MeshConfigError { form, message };
        let Some(node) = form.node(&tree) else { return Ok(Some((Self::default(), form))) };
        let mesh = match form {
            MeshConfigForm::ConfigMap => document::from_str(tree.scalar(node).unwrap_or_default()).map_err(error)?,
            _ => document::from_node(&tree, node).map_err(error)?,
        };
        Ok(Some((mesh, form)))
    }
}

impl MeshConfigForm {
    /// The form in which a document holds a MeshConfig, if it does.
    pub(crate) fn of(tree: &Tree) -> Option<Self> {
        let root = tree.root()?;
        let text = |path: &str| tree.at(&FieldPath::from(path)).and_then(|node| tree.scalar(node)).unwrap_or_default();
        let has = |form: Self| form.node(tree).is_some();
        match text("kind") {
            "ConfigMap" => {
                let name = text("metadata.name");
                let is_istios = name == "istio" || name.starts_with("istio-");
                (is_istios && has(Self::ConfigMap)).then_some(Self::ConfigMap)
            }
            "IstioOperator" | "Istio" => {
                [Self::IstioOperator, Self::OperatorValues].into_iter().find(|form| has(*form))
            }
            "" if has(Self::HelmValues) => Some(Self::HelmValues),
            "" => is_bare(tree, root).then_some(Self::Bare),
            _ => None,
        }
    }

    /// The node that holds it; empty if it is null.
    fn node(self, tree: &Tree) -> Option<NodeId> {
        self.path().iter().try_fold(tree.root()?, |node, key| tree.get(node, key))
    }
}

fn is_bare(tree: &Tree, root: NodeId) -> bool {
    let known = field_names::<MeshConfig>();
    let entries = tree.entries(root);
    entries.iter().all(|(key, _)| key.text != "apiVersion")
        && entries.iter().any(|(key, _)| known.contains(&key.text.as_str()))
}

/// Why the `MeshConfig` of a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshConfigError {
    form: MeshConfigForm,
    message: String,
}

impl MeshConfigError {
    /// Where in the document the `MeshConfig` stands.
    #[must_use]
    pub const fn form(&self) -> MeshConfigForm {
        self.form
    }
}

impl fmt::Display for MeshConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MeshConfig")?;
        if !self.form.path().is_empty() {
            write!(formatter, " at {}", self.form.path().join("."))?;
        }
        write!(formatter, ": {}", self.message)
    }
}

impl std::error::Error for MeshConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [(&str, MeshConfigForm); 6] = [
        ("trustDomain: td", MeshConfigForm::Bare),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  meshNetworks: 'networks: {}'\n  mesh: |-\n    trustDomain: td\n",
            MeshConfigForm::ConfigMap,
        ),
        ("global: {hub: x}\nmeshConfig: {trustDomain: td}\npilot: {}", MeshConfigForm::HelmValues),
        (
            "kind: IstioOperator\nspec: {profile: demo, meshConfig: {trustDomain: td}, values: {global: {}}}",
            MeshConfigForm::IstioOperator,
        ),
        ("kind: IstioOperator\nspec: {values: {meshConfig: {trustDomain: td}}}", MeshConfigForm::OperatorValues),
        ("kind: Istio\nspec: {values: {meshConfig: {trust_domain: td}}}", MeshConfigForm::OperatorValues),
    ];

    #[test]
    fn each_form_is_told_and_read() {
        for (text, form) in FORMS {
            assert_eq!(MeshConfig::detect(text), Some(form), "{text}");
            let (mesh, found) = MeshConfig::from_text(text).unwrap().unwrap();
            assert_eq!((mesh.trust_domain(), found), ("td", form), "{text}");
        }
    }

    #[test]
    fn other_documents_hold_none() {
        for text in [
            "",
            "null",
            "- a",
            "text",
            "a: b",
            "{",
            "global: {hub: x}",
            "kind: Service\nspec: {meshConfig: {}}",
            "kind: ConfigMap\nmetadata: {name: other}\ndata: {mesh: 'a: b'}",
            "kind: ConfigMap\nmetadata: {name: istio}\ndata: {other: a}",
            "apiVersion: x/v1\ntrustDomain: td",
            "kind: IstioOperator\nspec: {profile: demo}",
        ] {
            assert_eq!(MeshConfig::detect(text), None, "{text}");
            assert_eq!(MeshConfig::from_text(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn an_empty_config_is_the_default() {
        for text in [
            "meshConfig: {}",
            "meshConfig:",
            "kind: ConfigMap\nmetadata: {name: istio-canary}\ndata: {mesh: ''}",
            "kind: IstioOperator\nspec: {meshConfig: null}",
        ] {
            let (mesh, _) = MeshConfig::from_text(text).unwrap().unwrap();
            assert_eq!(mesh, MeshConfig::default(), "{text}");
        }
    }

    #[test]
    fn an_error_says_where_the_config_stands() {
        let error = MeshConfig::from_text("meshConfig: {connectTimeout: soon}").unwrap_err();
        assert_eq!(error.form(), MeshConfigForm::HelmValues);
        let text = error.to_string();
        assert!(text.starts_with("MeshConfig at meshConfig: "), "{text}");
        assert!(text.contains("time: invalid duration \"soon\""), "{text}");
    }
}
