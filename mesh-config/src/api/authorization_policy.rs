//! `AuthorizationPolicy`: who may do what at a workload.

use crate::api::selector::{PolicyTargetReference, WorkloadSelector};
use crate::value::proto::{message, proto_enum};

message! {
    /// Allows or denies requests that one of its rules matches.
    pub struct AuthorizationPolicy {
        /// Workloads that this is for. Unset: all in the namespace (in the root namespace: in the mesh).
        pub selector: Option<WorkloadSelector>,
        /// Deprecated form of `target_refs`.
        #[serde(alias = "target_ref")]
        pub target_ref: Option<PolicyTargetReference>,
        /// Gateways and waypoints that this is for, instead of a selector.
        #[serde(alias = "target_refs")]
        pub target_refs: Vec<PolicyTargetReference>,
        /// The rules. Empty: nothing matches, so `ALLOW` without rules denies everything.
        pub rules: Vec<Rule>,
        /// What becomes of a request that a rule matches.
        pub action: AuthorizationAction,
        /// Who decides, with `CUSTOM`.
        pub provider: Option<AuthorizationProvider>,
    }
}

proto_enum! {
    /// What becomes of a request that a rule matches. Decided in the order `CUSTOM`, `DENY`, `ALLOW`.
    pub enum AuthorizationAction {
        /// It is allowed; where any such policy applies, what none allows is denied.
        #[default]
        Allow = 0 => "ALLOW",
        /// It is denied.
        Deny = 1 => "DENY",
        /// It is marked for audit and goes on.
        Audit = 2 => "AUDIT",
        /// An external service is asked.
        Custom = 3 => "CUSTOM",
    }
}

message! {
    /// Names an extension provider of the mesh.
    pub struct AuthorizationProvider {
        /// Name of the provider. Required.
        pub name: String,
    }
}

message! {
    /// Matches a request if one of `from`, one of `to` and all of `when` do. What is empty matches everything.
    pub struct Rule {
        /// Where the request comes from.
        pub from: Vec<RuleFrom>,
        /// What the request asks for.
        pub to: Vec<RuleTo>,
        /// Further conditions.
        pub when: Vec<Condition>,
    }
}

message! {
    /// One source.
    pub struct RuleFrom {
        /// The source. Required.
        pub source: Option<Source>,
    }
}

message! {
    /// One operation.
    pub struct RuleTo {
        /// The operation. Required.
        pub operation: Option<Operation>,
    }
}

message! {
    /// Who calls: all fields that are set have to match, each with one of its values. A `not` field must match with none.
    ///
    /// Text fields take `abc`, `abc*`, `*abc` and `*`.
    pub struct Source {
        /// Identities of the caller's certificate, without `spiffe://`.
        pub principals: Vec<String>,
        /// Not these identities.
        #[serde(alias = "not_principals")]
        pub not_principals: Vec<String>,
        /// Identities of the token, `issuer/subject`.
        #[serde(alias = "request_principals")]
        pub request_principals: Vec<String>,
        /// Not these identities of the token.
        #[serde(alias = "not_request_principals")]
        pub not_request_principals: Vec<String>,
        /// Namespaces of the caller's certificate.
        pub namespaces: Vec<String>,
        /// Not these namespaces.
        #[serde(alias = "not_namespaces")]
        pub not_namespaces: Vec<String>,
        /// Addresses or CIDR blocks of the direct peer.
        #[serde(alias = "ip_blocks")]
        pub ip_blocks: Vec<String>,
        /// Not these addresses of the direct peer.
        #[serde(alias = "not_ip_blocks")]
        pub not_ip_blocks: Vec<String>,
        /// Addresses or CIDR blocks of the original client, by `x-forwarded-for`.
        #[serde(alias = "remote_ip_blocks")]
        pub remote_ip_blocks: Vec<String>,
        /// Not these addresses of the original client.
        #[serde(alias = "not_remote_ip_blocks")]
        pub not_remote_ip_blocks: Vec<String>,
        /// Service accounts, `account` in the policy's namespace or `namespace/account`. No wildcards, at most 16.
        #[serde(alias = "service_accounts")]
        pub service_accounts: Vec<String>,
        /// Not these service accounts.
        #[serde(alias = "not_service_accounts")]
        pub not_service_accounts: Vec<String>,
        /// Trust domains of the caller's certificate.
        #[serde(alias = "trust_domains")]
        pub trust_domains: Vec<String>,
        /// Not these trust domains.
        #[serde(alias = "not_trust_domains")]
        pub not_trust_domains: Vec<String>,
    }
}

message! {
    /// What is asked for: all fields that are set have to match, each with one of its values. A `not` field must match with
    /// none.
    pub struct Operation {
        /// Authorities as sent, port included, in any case.
        pub hosts: Vec<String>,
        /// Not these authorities.
        #[serde(alias = "not_hosts")]
        pub not_hosts: Vec<String>,
        /// Ports of the workload, as exact numbers.
        pub ports: Vec<String>,
        /// Not these ports.
        #[serde(alias = "not_ports")]
        pub not_ports: Vec<String>,
        /// Methods.
        pub methods: Vec<String>,
        /// Not these methods.
        #[serde(alias = "not_methods")]
        pub not_methods: Vec<String>,
        /// Normalized paths without query; `{*}` is one segment, `{**}` any number.
        pub paths: Vec<String>,
        /// Not these paths.
        #[serde(alias = "not_paths")]
        pub not_paths: Vec<String>,
    }
}

message! {
    /// A condition on an attribute. One of the lists is required.
    pub struct Condition {
        /// Name of the attribute, such as `request.headers[x-user]`. Required.
        pub key: String,
        /// Values of which one has to match.
        pub values: Vec<String>,
        /// Values of which none may match.
        #[serde(alias = "not_values")]
        pub not_values: Vec<String>,
    }
}
