//! Who may do what, asked without a request being there.

use std::net::IpAddr;

use http::{HeaderMap, Method, Version};

use super::{Access, DryRun, RuleName, Verdict};
use crate::jwt::Claims;
use crate::request_form::{self, Head, Told};
use crate::route::internal_headers;
use crate::snapshot::Snapshot;
use crate::{Failure, PeerView, Profile, RequestView, Scheme};

/// A request that somebody might send to a workload.
#[derive(Clone, Debug)]
pub struct AccessQuestion {
    /// The method.
    pub method: Method,
    /// Path, with or without a query; what stands behind a `#` does not count.
    pub target: String,
    /// The host; where it is `None` that of the headers.
    pub authority: Option<String>,
    /// Headers.
    pub headers: HeaderMap,
    /// Who mutual TLS would prove the caller to be, with or without `spiffe://`; `None` for plaintext.
    pub principal: Option<String>,
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// The server name of the handshake.
    pub sni: Option<String>,
    /// The workload's port.
    pub port: u16,
    /// The claims of a token that is valid.
    pub claims: Option<Claims>,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessAnswer<'s> {
    /// `allow`, `deny`, or `reject` where the mesh answers before a policy is asked.
    pub decision: &'static str,
    /// The rule that decides, if one does.
    pub rule: Option<RuleName>,
    /// Why, in words.
    pub reason: String,
    /// A rule of an `AUDIT` policy that matches.
    pub audit: Option<&'s RuleName>,
    /// What policies on trial would have said.
    pub dry_run: DryRun<'s>,
}

impl AccessQuestion {
    /// A request without headers, over plaintext, to port 80.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        let (target, headers) = (target.into(), HeaderMap::new());
        let (authority, principal, address, sni, claims) = (None, None, None, None, None);
        Self { method, target, authority, headers, principal, address, sni, port: 80, claims }
    }

    /// Decides with the code that decides about requests. A policy with the action `CUSTOM` denies, since nobody can be asked.
    pub fn answer(self, snapshot: &Snapshot, profile: Profile) -> AccessAnswer<'_> {
        self.look(snapshot, profile, |access| decided(snapshot, access)).unwrap_or_else(|failure| AccessAnswer {
            decision: "reject",
            rule: None,
            reason: format!("{failure} ({})", failure.http_status().as_u16()),
            audit: None,
            dry_run: DryRun::default(),
        })
    }

    /// What is said of it, as policies see it.
    ///
    /// # Errors
    /// Why the mesh answers it before a policy is asked.
    pub fn look<T>(
        mut self,
        snapshot: &Snapshot,
        profile: Profile,
        say: impl FnOnce(&Access<'_>) -> T,
    ) -> Result<T, Failure> {
        let target = self.target.split('#').next().unwrap_or_default().to_owned();
        let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
        let normal = self.take_form(snapshot, profile, path)?.unwrap_or_else(|| path.to_owned());
        let host = self.headers.remove("host").and_then(|host| host.to_str().ok().map(str::to_owned));
        let principal = self.principal.map(|principal| match principal.contains("://") {
            true => principal,
            false => format!("spiffe://{principal}"),
        });
        let view = RequestView {
            method: &self.method,
            scheme: if principal.is_some() { Scheme::Https } else { Scheme::Http },
            authority: self.authority.as_deref().or(host.as_deref()).unwrap_or_default(),
            path: &normal,
            query,
            headers: &self.headers,
            peer: PeerView {
                address: self.address,
                principal: principal.as_deref(),
                sni: self.sni.as_deref(),
                local_address: None,
                claims: self.claims.as_ref(),
            },
            port: self.port,
        };
        Ok(say(&Access::request(&view)))
    }

    /// What the mesh makes of a request before policies look at it, or why it answers it itself.
    fn take_form(&mut self, snapshot: &Snapshot, profile: Profile, path: &str) -> Result<Option<String>, Failure> {
        let Self { method, headers, principal, .. } = self;
        let head = Head { version: Version::HTTP_11, method, scheme: None, authority: None, headers };
        request_form::check(&head, profile)?;
        if *method == Method::CONNECT {
            return Err(Failure::NoRoute);
        }
        let told = Told { over_tls: principal.is_some(), certificate: None, details: snapshot.tls().told.details };
        request_form::prepare_headers(headers, told)?;
        internal_headers::join_lines(headers);
        request_form::normalize_for(profile, path, snapshot.path_normalization())
    }
}

fn decided<'s>(snapshot: &'s Snapshot, access: &Access<'_>) -> AccessAnswer<'s> {
    let policies = snapshot.authorization();
    let decision = policies.decide(access);
    let asked = policies.questions(access).next().map(|(provider, rule)| (provider.to_owned(), rule.clone()));
    let (decision_word, rule, reason) = match (decision.verdict, asked) {
        (Verdict::Denied(Some(rule)), _) => ("deny", Some(rule.clone()), "a DENY rule matches".to_owned()),
        (Verdict::Denied(None), _) => {
            ("deny", None, "there are ALLOW policies, and none of their rules matches".to_owned())
        }
        // Who is asked is not there: nobody is let in unseen.
        (Verdict::Allowed(_), Some((provider, rule))) => {
            ("deny", Some(rule), format!("the provider {provider} decides, and cannot be asked from here"))
        }
        (Verdict::Allowed(Some(rule)), None) => ("allow", Some(rule.clone()), "an ALLOW rule matches".to_owned()),
        (Verdict::Allowed(None), None) => {
            ("allow", None, "no DENY rule matches, and no ALLOW policy selects the workload".to_owned())
        }
    };
    AccessAnswer { decision: decision_word, rule, reason, audit: decision.audit, dry_run: decision.dry_run }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mesh_refuses_is_rejected_before_a_policy_is_asked() {
        let snapshot = Snapshot::default();
        let answer = |method: &str, target: &str| {
            let question = AccessQuestion::new(method.parse().unwrap(), target);
            question.answer(&snapshot, Profile::Safe).decision
        };
        assert_eq!((answer("GET", "/"), answer("get", "/"), answer("GET", "/%00")), ("allow", "reject", "reject"));
        assert_eq!(answer("CONNECT", "/"), "reject");
    }
}
