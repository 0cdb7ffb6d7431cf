//! The decision about who may do what, ready to be measured.

use http::header::{ACCEPT, HeaderMap, HeaderValue, InvalidHeaderValue};
use http::{HeaderName, Method};
use mesh_config::api::AuthorizationPolicy;
use mesh_config::{Object, ObjectMeta};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::jwt::Claims;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "default";
const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// What the rules of the policies are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Each names a service account by its whole identity, and a method.
    Principal,
    /// Each names a namespace.
    Namespace,
    /// Each names a service account of a namespace.
    ServiceAccount,
    /// Each names a path.
    Path,
    /// Each names the beginning of a path.
    PathPrefix,
    /// Each has a path with operators.
    PathTemplate,
    /// Each names a host.
    Host,
    /// Each names the value of a header.
    Header,
    /// Each names the value of a claim.
    Claim,
    /// Each names a block of addresses.
    Address,
    /// Each keeps out whom it does not name: nothing that has to be there tells the rules apart.
    NotPrincipal,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Principal,
        Self::Namespace,
        Self::ServiceAccount,
        Self::Path,
        Self::PathPrefix,
        Self::PathTemplate,
        Self::Host,
        Self::Header,
        Self::Claim,
        Self::Address,
        Self::NotPrincipal,
    ];

    /// Its name in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Namespace => "namespace",
            Self::ServiceAccount => "service_account",
            Self::Path => "path",
            Self::PathPrefix => "path_prefix",
            Self::PathTemplate => "path_template",
            Self::Host => "host",
            Self::Header => "header",
            Self::Claim => "claim",
            Self::Address => "address",
            Self::NotPrincipal => "not_principal",
        }
    }

    /// Rule `number` of a number of them.
    fn rule(self, number: usize) -> Value {
        let source = |field: &str, value: String| json!({"from": [{"source": {field: [value]}}]});
        let operation = |field: &str, value: String| json!({"to": [{"operation": {field: [value]}}]});
        let when = |key: &str, value: String| json!({"when": [{"key": key, "values": [value]}]});
        match self {
            Self::Principal => {
                let mut rule = source("principals", format!("cluster.local/ns/team-{number}/sa/caller-{number}"));
                rule["to"] = json!([{"operation": {"methods": ["GET"]}}]);
                rule
            }
            Self::Namespace => source("namespaces", format!("team-{number}")),
            Self::ServiceAccount => source("serviceAccounts", format!("team-{number}/caller-{number}")),
            Self::Path => operation("paths", format!("/items/{number}/details")),
            Self::PathPrefix => operation("paths", format!("/items/{number}/*")),
            Self::PathTemplate => operation("paths", format!("/items/{number}/{{*}}")),
            Self::Host => operation("hosts", format!("host-{number}.example")),
            Self::Header => when("request.headers[x-tenant]", format!("tenant-{number}")),
            Self::Claim => when("request.auth.claims[group]", format!("group-{number}")),
            Self::Address => source("ipBlocks", format!("10.{}.{}.0/24", number / 250, number % 250)),
            // Whoever asks is one of those that are let be, but for the last policy.
            Self::NotPrincipal => source("notPrincipals", "cluster.local/ns/*".to_owned()),
        }
    }
}

/// Compiled policies and a request to decide about.
#[derive(Debug)]
pub struct Guarded {
    authorization: Authorization,
    principal: String,
    host: String,
    path: String,
    address: [u8; 4],
    headers: HeaderMap,
    claims: Claims,
}

impl Guarded {
    /// Prepares policies that let in, and a request that only the `last` of them is about, or none.
    ///
    /// # Errors
    /// What is wrong with the policies, or that the decision is another.
    pub fn new(subject: Subject, policies: usize, last: bool) -> Result<Self, String> {
        let objects: Vec<_> = (0..policies).map(|number| policy(subject, number)).collect::<Result<_, _>>()?;
        let trust_domains = &TrustDomains::new(["cluster.local"]);
        let setting = Setting { trust_domains, protocol: Protocol::Http, profile: Profile::Safe };
        let number = if last { policies.saturating_sub(1) } else { policies };
        let guarded = Self {
            authorization: Authorization::new(&objects, setting),
            principal: format!("spiffe://cluster.local/ns/team-{number}/sa/caller-{number}"),
            host: format!("host-{number}.example"),
            path: format!("/items/{number}/details"),
            address: [10, byte(number / 250), byte(number % 250), 7],
            headers: headers(number).map_err(|error| error.to_string())?,
            claims: Claims::new(Map::from_iter([("group".to_owned(), json!(format!("group-{number}")))])),
        };
        let expected = last && subject != Subject::NotPrincipal;
        if guarded.is_allowed() == expected { Ok(guarded) } else { Err(format!("allowed: {}", !expected)) }
    }

    /// Decides.
    pub fn is_allowed(&self) -> bool {
        let view = RequestView {
            method: &Method::GET,
            scheme: Scheme::Http,
            authority: &self.host,
            path: &self.path,
            query: Some("page=1"),
            headers: &self.headers,
            peer: PeerView {
                address: Some(self.address.into()),
                principal: Some(&self.principal),
                claims: Some(&self.claims),
                ..PeerView::default()
            },
            port: 8080,
        };
        self.authorization.decide(&Access::request(&view)).is_allowed()
    }
}

fn policy(subject: Subject, number: usize) -> Result<Object<AuthorizationPolicy>, String> {
    let spec = json!({"action": "ALLOW", "rules": [subject.rule(number)]});
    let spec: AuthorizationPolicy = serde_json::from_value(spec).map_err(|error| error.to_string())?;
    let mut meta = ObjectMeta::default();
    meta.name = format!("policy-{number:05}");
    meta.namespace = NAMESPACE.to_owned();
    Ok(Object::new(meta, spec))
}

fn headers(number: usize) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(TENANT, HeaderValue::try_from(format!("tenant-{number}"))?);
    Ok(headers)
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_policy_of_every_subject_is_about_its_request() {
        for subject in Subject::ALL {
            for (policies, last) in [(1, true), (10, true), (10, false)] {
                let prepared = Guarded::new(subject, policies, last).map(drop);
                assert_eq!(prepared, Ok(()), "{} with {policies}", subject.name());
            }
        }
    }
}
