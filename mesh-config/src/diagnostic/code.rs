//! The registry of finding codes.

use std::fmt;

/// What kind of finding a [`Diagnostic`](super::Diagnostic) is.
///
/// `IST####` are the codes of Istio's own analyzers and mean what they mean there; `MESH####` are ours, grouped by
/// area: 00 syntax and files, 01 references, 02 hosts and gateways, 03 matching and weights, 04 retries and timeouts,
/// 05 pools and outlier detection, 06 TLS, 07 authorization.
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
    DELEGATE_MISSING = "MESH0120", "delegate-missing", "a rule whose delegate cannot be put in its place";
    WITHOUT_MESH = "MESH0203", "without-mesh", "rules for a service that leave out its callers in the mesh";
    LITERAL_HOST = "MESH0204", "literal-host", "a host that no service defines: its rules act on port 80 only";
    OVERRULED = "MESH0205", "overruled", "a rule that an older one for the same host displaces";
    FOREIGN_MATCH_GATEWAY = "MESH0206", "foreign-match-gateway",
        "a match for a gateway that the VirtualService is not bound to";
    DELEGATE_CONFLICT = "MESH0220", "delegate-conflict", "a delegate's rule that does not fit the rule that delegates";
    SERVER_CONFLICT = "MESH0221", "server-conflict", "a server of a Gateway that an earlier one leaves no room for";
    OUTSIDE_SCOPE = "MESH0240", "outside-scope", "what the Sidecar of a workload keeps from it";
    IMPORTS_NOTHING = "MESH0241", "imports-nothing", "an egress host of a Sidecar that imports nothing";
    SHADOWED_ROUTE = "MESH0301", "shadowed-route", "a rule or match that an earlier one leaves nothing for";
    SINGLE_WEIGHT = "MESH0302", "single-weight", "a weight at the only destination, which gets everything";
    DOUBLED_MIRROR = "MESH0303", "doubled-mirror", "a mirror to the destination that has the request already";
    REWRITE_SLASHES = "MESH0305", "rewrite-slashes", "a rewrite that leaves two slashes, or none, where one was";
    PARTIAL_REGEX = "MESH0306", "partial-regex", "a regex for a part of a value; it has to match the whole";
    STICKY_WEIGHTS = "MESH0307", "sticky-weights", "a hash that does not decide between weighted destinations";
    WEIGHT_SUM = "MESH0308", "weight-sum", "weights that do not add up to 100";
    UNMATCHABLE_PATH = "MESH0309", "unmatchable-path", "a path that no request has";
    METHOD_IN_LOWER_CASE = "MESH0310", "method-in-lower-case", "a method that no request has";
    SPLIT_MATCH = "MESH0311", "split-match", "a condition in a match of its own, which makes it an alternative";
    REPEATED_POST = "MESH0401", "repeated-post", "retries that may send a POST twice";
    TRIES_OVER_TIMEOUT = "MESH0402", "tries-over-timeout", "tries that the timeout has no room for";
    FAULT_AND_RETRIES = "MESH0403", "fault-and-retries", "retries beside an abort, which they do not repeat";
    SLOW_TRY_NOT_RETRIED = "MESH0404", "slow-try-not-retried",
        "a perTryTimeout whose end is no reason to try again";
    MIRROR_LOOP = "MESH0410", "mirror-loop", "a mirror back to the host whose requests are mirrored";
    MANY_TRIES = "MESH0411", "many-tries", "so many retries that they are an attack of one's own";
    IMPOSSIBLE_EJECTION = "MESH0501", "impossible-ejection", "outlier detection that can never eject an endpoint";
    NESTED_POLICY = "MESH0502", "nested-policy",
        "a policy of a subset or port with what Istio warns about only where it stands at the top";
    PORT_POLICY_REPLACES = "MESH0504", "port-policy-replaces", "a policy for a port that drops what stands above it";
    LIMIT_NEVER_REACHED = "MESH0505", "limit-never-reached", "a limit of outlier detection that another is always ahead of";
    ONLY_ENDPOINT_EJECTED = "MESH0506", "only-endpoint-ejected", "outlier detection that may eject the only endpoint";
    WHOLE_POOL_EJECTION = "MESH0510", "whole-pool-ejection", "outlier detection that may eject every endpoint at the first error";
    TLS_CONFLICT = "MESH0601", "tls-conflict", "TLS of a client that the server does not take";
    OVERRULED_PEER_MODE = "MESH0602", "overruled-peer-mode", "a PeerAuthentication that an older one displaces";
    ALLOWS_NOTHING = "MESH0701", "allows-nothing", "an ALLOW policy without rules, which denies everything";
    SPLIT_RULE = "MESH0702", "split-rule", "`from` and `to` in rules of their own, of which one is enough";
    UNMATCHABLE_PRINCIPAL = "MESH0703", "unmatchable-principal", "an identity that no caller has";
    EVADED_PATH = "MESH0704", "evaded-path", "a refused path that another spelling walks around";
    EVADED_HOST = "MESH0706", "evaded-host", "a refused host that a port walks around";
    UNMATCHABLE_HOST = "MESH0707", "unmatchable-host", "a host that no request has";
    IDENTITY_WITHOUT_MTLS = "MESH0708", "identity-without-mtls", "a policy by identity where callers need not have one";

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
