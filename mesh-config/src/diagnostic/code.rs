//! The registry of finding codes.

use std::fmt;

/// What kind of finding a [`Diagnostic`](super::Diagnostic) is.
///
/// `IST####` are the codes of Istio's own analyzers and mean what they mean there; `MESH####` are ours, grouped by
/// area: 00 syntax and files, 01 references, 02 hosts and gateways, 05 pools and outlier detection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

/// Code, name, meaning, page.
type Row = (Code, &'static str, &'static str, &'static str);

macro_rules! codes {
    ($($konst:ident = $code:literal, $name:literal, $meaning:literal;)*) => {
        impl Code {
            $(#[doc = concat!("`", $code, "`: ", $meaning)] pub const $konst: Self = Self($code);)*
        }

        static TABLE: &[Row] =
            &[$((Code::$konst, $name, $meaning, include_str!(concat!("pages/", $code, ".md")))),*];
    };
}

codes! {
    UNKNOWN_FIELD = "MESH0001", "unknown-field", "a field that this kind does not have";
    IGNORED_FIELD = "MESH0003", "ignored-field", "a field of Istio's that this mesh does not act on";
    SYNTAX = "MESH0004", "syntax", "the text is neither YAML nor JSON";
    WRONG_TYPE = "MESH0005", "wrong-type", "a value that does not fit its field";
    DUPLICATE_KEY = "MESH0006", "duplicate-key", "a key that stands twice in one mapping";
    LIMIT = "MESH0007", "limit", "larger, deeper or more entangled than the loader accepts";
    PLACEHOLDER = "MESH0008", "placeholder", "a template placeholder that was never filled in";
    NOT_AN_OBJECT = "MESH0009", "not-an-object", "not a Kubernetes object";
    FRAGMENT = "MESH0010", "fragment", "part of an object: a patch or a reference";
    FOREIGN_KIND = "MESH0011", "foreign-kind", "a kind that this mesh has no use for; passed over";
    UNKNOWN_VERSION = "MESH0012", "unknown-version", "a kind of Istio's in a version that does not exist";
    SKIPPED_KIND = "MESH0013", "skipped-kind", "a kind of Istio's that has no meaning in process; skipped";
    DUPLICATE_RESOURCE = "MESH0014", "duplicate-resource", "two documents with the same kind, namespace and name";
    UNREADABLE = "MESH0015", "unreadable", "a file or directory that cannot be read";
    NO_FILES = "MESH0016", "no-files", "a directory without configuration files";
    EMPTY_SPEC = "MESH0017", "empty-spec", "an object without spec";
    NOT_ENFORCED = "MESH0018", "not-enforced", "read and checked, but not yet acted on";
    WORKLOAD_WITHOUT_LABELS = "MESH0019", "workload-without-labels",
        "policies select by label, but this workload was given none";
    SCHEMA_RULE = "MESH0020", "schema-rule", "the API server refuses the object by Istio's CRD";
    SNAKE_CASE = "MESH0021", "snake-case", "a field under its protobuf name, which the API server does not know";
    UNCHECKED_VALUE = "MESH0030", "unchecked-value",
        "a value that Istio's webhook does not look at, and that cannot work";
    REFUSED_BY_ENVOY = "MESH0031", "refused-by-envoy", "a value that Istio's webhook takes and Envoy refuses";
    SUBSET_WITHOUT_ENDPOINTS = "MESH0102", "subset-without-endpoints", "a subset whose labels no endpoint has";
    NO_ENDPOINTS = "MESH0103", "no-endpoints", "a destination without endpoints";
    UNKNOWN_DESTINATION = "MESH0104", "unknown-destination", "a destination that no service entry or service defines";
    DELEGATE_MISSING = "MESH0120", "delegate-missing", "a rule whose delegate cannot be put in its place";
    LITERAL_HOST = "MESH0204", "literal-host", "a host that no service defines: its rules act on port 80 only";
    OVERRULED = "MESH0205", "overruled", "a rule that an older one for the same host displaces";
    DELEGATE_CONFLICT = "MESH0220", "delegate-conflict", "a delegate's rule that does not fit the rule that delegates";
    SERVER_CONFLICT = "MESH0221", "server-conflict", "a server of a Gateway that an earlier one leaves no room for";
    OUTSIDE_SCOPE = "MESH0240", "outside-scope", "what the Sidecar of a workload keeps from it";
    IMPORTS_NOTHING = "MESH0241", "imports-nothing", "an egress host of a Sidecar that imports nothing";
    IMPOSSIBLE_EJECTION = "MESH0501", "impossible-ejection", "outlier detection that can never eject an endpoint";
    NESTED_POLICY = "MESH0502", "nested-policy",
        "a policy of a subset or port with what Istio warns about only where it stands at the top";

    DEPRECATED = "IST0002", "Deprecated", "a deprecated field";
    REFERENCE_NOT_FOUND = "IST0101", "ReferencedResourceNotFound", "a gateway or subset that no document defines";
    SCHEMA_ERROR = "IST0106", "SchemaValidationError", "Istio's webhook refuses the resource";
    CONFLICTING_HOSTS = "IST0109", "ConflictingMeshGatewayVirtualServiceHosts",
        "two VirtualServices of the mesh own one host";
    UNREACHABLE_RULE = "IST0130", "VirtualServiceUnreachableRule", "a rule that can never match";
    INEFFECTIVE_MATCH = "IST0131", "VirtualServiceIneffectiveMatch", "a match that an earlier one covers";
    SCHEMA_WARNING = "IST0133", "SchemaWarning", "Istio's webhook accepts the resource with a warning";
}

impl Code {
    /// All codes, in the order of the registry.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(code, ..)| *code)
    }

    /// The code as printed, `MESH0001`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// A short name, `unknown-field` (Istio's own for its codes).
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, ..)| name)
    }

    /// What it means, in one line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("", |(_, _, meaning, _)| meaning)
    }

    /// One screen about it in Markdown: what it means, what happens at run time, an example that has it, and the same
    /// mended. The file is `pages/CODE.md` beside this one.
    #[must_use]
    pub fn page(self) -> &'static str {
        self.row().map_or("", |(_, _, _, page)| page)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|(code, ..)| *code == self)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_says_what_it_means() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::all() {
            assert!(seen.insert(code), "{code} stands twice");
            assert!(!code.name().is_empty() && !code.meaning().is_empty());
        }
    }
}
