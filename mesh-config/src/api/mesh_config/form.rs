//! The forms in which a `MeshConfig` stands in a file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::MeshConfig;
use crate::value::field_names;
use crate::value::proto::or_default;

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
        let probe: Probe = serde_saphyr::from_str(text).ok()?;
        match probe.kind.as_str() {
            "ConfigMap" => {
                (probe.data.contains_key("mesh") && probe.metadata.is_istio()).then_some(MeshConfigForm::ConfigMap)
            }
            "IstioOperator" | "Istio" => {
                if probe.spec.mesh_config.0 {
                    Some(MeshConfigForm::IstioOperator)
                } else if probe.spec.values.mesh_config.0 {
                    Some(MeshConfigForm::OperatorValues)
                } else {
                    None
                }
            }
            "" if probe.mesh_config.0 => Some(MeshConfigForm::HelmValues),
            "" => is_bare(text).then_some(MeshConfigForm::Bare),
            _ => None,
        }
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
        let Some(form) = Self::detect(text) else {
            return Ok(None);
        };
        let error = |source: serde_saphyr::Error| MeshConfigError { form, message: source.to_string() };
        let mesh = match form {
            MeshConfigForm::Bare => serde_saphyr::from_str(text).map_err(error)?,
            MeshConfigForm::ConfigMap => {
                let document: ConfigMapDocument = serde_saphyr::from_str(text).map_err(error)?;
                // An empty text is the empty MeshConfig.
                match document.data.mesh.trim() {
                    "" => Self::default(),
                    mesh => serde_saphyr::from_str(mesh).map_err(error)?,
                }
            }
            MeshConfigForm::HelmValues => {
                let document: HelmValues = serde_saphyr::from_str(text).map_err(error)?;
                document.mesh_config
            }
            MeshConfigForm::IstioOperator | MeshConfigForm::OperatorValues => {
                let document: OperatorDocument = serde_saphyr::from_str(text).map_err(error)?;
                if form == MeshConfigForm::IstioOperator {
                    document.spec.mesh_config
                } else {
                    document.spec.values.mesh_config
                }
            }
        };
        Ok(Some((mesh, form)))
    }
}

fn is_bare(text: &str) -> bool {
    let Ok(keys) = serde_saphyr::from_str::<BTreeMap<String, IgnoredAny>>(text) else {
        return false;
    };
    let known = field_names::<MeshConfig>();
    !keys.contains_key("apiVersion") && keys.keys().any(|key| known.contains(&key.as_str()))
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

/// A key that may be there, whatever it holds.
#[derive(Clone, Copy, Debug, Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// As much of a document as tells its form.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Probe {
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    metadata: ProbeMetadata,
    #[serde(deserialize_with = "or_default")]
    data: BTreeMap<String, IgnoredAny>,
    mesh_config: Present,
    #[serde(deserialize_with = "or_default")]
    spec: ProbeSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProbeMetadata {
    #[serde(deserialize_with = "or_default")]
    name: String,
}

impl ProbeMetadata {
    fn is_istio(&self) -> bool {
        self.name == "istio" || self.name.starts_with("istio-")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProbeSpec {
    mesh_config: Present,
    #[serde(deserialize_with = "or_default")]
    values: ProbeValues,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProbeValues {
    mesh_config: Present,
}

#[derive(Deserialize)]
struct ConfigMapDocument {
    data: ConfigMapData,
}

#[derive(Deserialize)]
struct ConfigMapData {
    #[serde(deserialize_with = "or_default")]
    mesh: String,
}

#[derive(Deserialize)]
struct OperatorDocument {
    spec: OperatorSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperatorSpec {
    #[serde(default, deserialize_with = "or_default")]
    mesh_config: MeshConfig,
    #[serde(default, deserialize_with = "or_default")]
    values: HelmValues,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HelmValues {
    #[serde(deserialize_with = "or_default")]
    mesh_config: MeshConfig,
}

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
