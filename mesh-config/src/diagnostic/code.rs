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
    UNKNOWN_KIND = "MESH0035", "unknown-kind", "a kind that a group of Istio's does not have";
    INVALID_NAME = "MESH0036", "invalid-name", "a name that no object of Kubernetes can have";
    EMPTY = "MESH0037", "empty", "a text without objects";
    SUBSET_WITHOUT_ENDPOINTS = "MESH0102", "subset-without-endpoints", "a subset whose labels no endpoint has";
    NO_ENDPOINTS = "MESH0103", "no-endpoints", "a destination without endpoints";
    UNKNOWN_DESTINATION = "MESH0104", "unknown-destination", "a destination that no service entry or service defines";
    LITERAL_HOST = "MESH0204", "literal-host", "a host that no service defines: its rules act on port 80 only";
    OVERRULED = "MESH0205", "overruled", "a rule that an older one for the same host displaces";
    MIRROR_LOOP = "MESH0410", "mirror-loop", "a mirror back to the host whose requests are mirrored";
    MANY_TRIES = "MESH0411", "many-tries", "so many retries that they are an attack of one's own";
    WHOLE_POOL_EJECTION = "MESH0510", "whole-pool-ejection", "outlier detection that may eject every endpoint at the first error";
    IMPOSSIBLE_EJECTION = "MESH0501", "impossible-ejection", "outlier detection that can never eject an endpoint";
    NESTED_POLICY = "MESH0502", "nested-policy",
        "a policy of a subset or port with what Istio warns about only where it stands at the top";

    DEPRECATED = "IST0002", "Deprecated", "a deprecated field";
    REFERENCE_NOT_FOUND = "IST0101", "ReferencedResourceNotFound", "something that is referred to and not there";
    SCHEMA_ERROR = "IST0106", "SchemaValidationError", "Istio's webhook refuses the resource";
    CONFLICTING_HOSTS = "IST0109", "ConflictingMeshGatewayVirtualServiceHosts",
        "two VirtualServices of the mesh own one host";
    CONFLICTING_SIDECARS = "IST0110", "ConflictingSidecarWorkloadSelectors", "two Sidecars select one pod";
    SIDECARS_WITHOUT_SELECTOR = "IST0111", "MultipleSidecarsWithoutWorkloadSelectors",
        "several Sidecars for one whole namespace";
    DESTINATION_PORT_REQUIRED = "IST0112", "VirtualServiceDestinationPortSelectorRequired",
        "a destination without port to a service with several";
    NO_MATCHING_WORKLOADS = "IST0127", "NoMatchingWorkloadsFound", "a policy that applies to no workload";
    NO_CA_CERTIFICATES = "IST0128", "NoServerCertificateVerificationDestinationLevel",
        "TLS towards a host that does not say which certificates it trusts";
    NO_CA_CERTIFICATES_OF_PORT = "IST0129", "NoServerCertificateVerificationPortLevel",
        "TLS towards a port that does not say which certificates it trusts";
    UNREACHABLE_RULE = "IST0130", "VirtualServiceUnreachableRule", "a rule that can never match";
    INEFFECTIVE_MATCH = "IST0131", "VirtualServiceIneffectiveMatch", "a match that an earlier one covers";
    HOST_NOT_IN_GATEWAY = "IST0132", "VirtualServiceHostNotFoundInGateway",
        "a rule whose hosts the gateway does not take";
    SCHEMA_WARNING = "IST0133", "SchemaWarning", "Istio's webhook accepts the resource with a warning";
    ADDRESSES_REQUIRED = "IST0134", "ServiceEntryAddressesRequired", "a TCP port of a host without addresses";
    DUPLICATE_CERTIFICATE = "IST0138", "GatewayDuplicateCertificate", "one certificate in several gateways";
    SUBSET_NOT_AT_GATEWAY = "IST0140", "IngressRouteRulesNotAffected",
        "subsets of the mesh's rules that the rules of a gateway do not name";
    CONFLICTING_GATEWAYS = "IST0145", "ConflictingGateways", "two gateways want one host on one port";
    CLAIMS_WITHOUT_AUTHENTICATION = "IST0149", "JwtClaimBasedRoutingWithoutRequestAuthN",
        "a rule by claims of tokens that nobody checks";
    NO_TELEMETRY_PROVIDER = "IST0157", "InvalidTelemetryProvider", "an access log that goes nowhere";
    CONFLICTING_TELEMETRIES = "IST0159", "ConflictingTelemetryWorkloadSelectors", "two Telemetries select one pod";
    TELEMETRIES_WITHOUT_SELECTOR = "IST0160", "MultipleTelemetriesWithoutWorkloadSelectors",
        "several Telemetries for one whole namespace";
    INVALID_CREDENTIAL = "IST0161", "InvalidGatewayCredential", "a secret of a gateway without usable certificate";
    GATEWAY_PORT_WITHOUT_SERVICE = "IST0162", "GatewayPortNotDefinedOnService",
        "a port of a gateway that no service leads to";
    INTERNAL_GATEWAY = "IST0165", "ReferencedInternalGateway", "a rule for a gateway that Istio made for itself";
    INEFFECTIVE_SELECTOR = "IST0166", "IneffectiveSelector", "a selector on pods that only a target reference reaches";
    INEFFECTIVE_POLICY = "IST0167", "IneffectivePolicy", "a Sidecar for workloads without a proxy beside them";
    NEGATIVE_CONDITION = "IST0171", "NegativeConditionStatus", "an object that the cluster reports a problem with";
    SUBSET_SELECTS_NOTHING = "IST0173", "DestinationRuleSubsetNotSelectPods", "a subset whose labels no pod has";
    UNKNOWN_RULE_HOST = "IST0174", "UnknownDestinationRuleHost", "a DestinationRule for a host that does not exist";
    JWKS_FETCH_UNRESTRICTED = "IST0175", "JwksUriFetchUnrestricted",
        "a control plane that fetches keys from any address";
    CONFLICTING_PROTOCOLS = "IST0177", "ConflictingServiceEntryProtocol",
        "ServiceEntries that disagree about the protocol of a port";
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

    /// Whether it is one of Istio's own.
    #[must_use]
    pub fn is_istio(self) -> bool {
        self.0.starts_with("IST")
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
