//! Routes: which rule takes a request, and what the rule does to it.
//!
//! A [`Route`] is one match block of one rule of a VirtualService, ready to decide by: names are
//! header names, regular expressions are compiled, shares are sums. A virtual host has its routes
//! in written order and the first that matches takes the request; [`search`] finds it without
//! looking at every one.
//!
//! What may be known when the configuration is compiled is decided there and leaves no trace here:
//! `port`, `gateways`, `sourceLabels` and `sourceNamespace` ([`selector`]) only decide whether a
//! route exists.
//!
//! What happens to a request that a route forwards is written once, in Envoy's order, in
//! [`prepare`].

pub mod action;
pub mod condition;
pub mod cors;
pub mod direct_response;
pub mod fault;
pub mod hash;
pub mod head;
pub mod header_ops;
pub mod internal_headers;
pub mod lower;
pub mod mirror;
pub mod prepare;
pub mod redirect;
pub mod reply;
pub mod rewrite;
pub mod search;
pub mod selector;
pub mod share;
pub mod split;
pub mod substitution;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::RequestView;
use crate::cluster::ClusterId;
use crate::retry::RetryPolicy;

pub use action::{Action, Forward};
pub use condition::Condition;
pub use cors::{Cors, CorsVerdict};
pub use direct_response::DirectResponse;
pub use fault::{Fault, FaultDecision};
pub use hash::{HashPolicy, RequestHash};
pub use head::RequestHead;
pub use header_ops::HeaderOps;
pub use lower::{LowerError, RuleContext, lower_rule};
pub use mirror::Mirror;
pub use redirect::Redirect;
pub use rewrite::Rewrite;
pub use share::Share;
pub use split::{Split, WeightedDestination};
pub use substitution::Exchange;

/// A route of a [`Snapshot`](crate::snapshot::Snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub u32);

/// Where one request goes; names things of the snapshot that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Routed {
    /// The rule that takes the request.
    pub route: RouteId,
    /// The index of the destination that was drawn; 0 where the route forwards nowhere.
    pub destination: u16,
    /// The draw of this request: the split and every mirror read the same one.
    pub draw: u64,
}

/// One match block of a rule and what the rule does with the requests it takes.
#[derive(Clone, Debug)]
pub struct Route {
    /// The rule's name, with `.` and the match block's name if that has one; `default` for a
    /// service without rules, empty for a rule without name.
    pub name: Box<str>,
    /// All of them have to hold. One is always about the path.
    pub conditions: Box<[Condition]>,
    /// What becomes of the request.
    pub action: Action,
    /// Limit for the whole exchange, retries included, from the end of the request; `None` for no
    /// limit.
    pub timeout: Option<Duration>,
    /// When to try again; `None` if never.
    pub retry: Option<RetryPolicy>,
    /// What of a request decides about its endpoint, where the cluster balances by hash.
    pub hash: Box<[HashPolicy]>,
    /// Delays and aborts to inject.
    pub fault: Option<Fault>,
    /// What browsers of other origins are told; `None` also where the route does not forward.
    pub cors: Option<Box<Cors>>,
    /// Where copies of the request go.
    pub mirrors: Box<[Mirror]>,
    /// Changes to the request's headers, applied after those of the destination.
    pub request_headers: HeaderOps,
    /// Changes to the response's headers, applied after those of the destination.
    pub response_headers: HeaderOps,
    /// Whether the port is one where only connections are looked at: requests go on as they came, and no header is
    /// added to them.
    pub carried: bool,
    /// The rule this comes from.
    pub origin: RuleOrigin,
}

impl Route {
    /// A route that takes every request and sets no policy.
    pub fn catch_all(name: &str, action: Action, origin: RuleOrigin) -> Self {
        Self {
            name: name.into(),
            conditions: Box::new([Condition::any_path()]),
            action,
            timeout: None,
            retry: None,
            hash: Box::default(),
            fault: None,
            cors: None,
            mirrors: Box::default(),
            request_headers: HeaderOps::default(),
            response_headers: HeaderOps::default(),
            carried: false,
            origin,
        }
    }

    /// Whether this route takes the request.
    ///
    /// `CONNECT` is taken by no route: Envoy routes it only where it is asked to.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        req.method != Method::CONNECT && self.conditions.iter().all(|condition| condition.is_match(req))
    }

    /// Whether a gateway counts this as a catch-all, to be moved behind the other routes of a host:
    /// the prefix `/` or the regular expression `.*` and no other condition.
    pub fn is_catch_all(&self) -> bool {
        matches!(&*self.conditions, [Condition::Path(path)] if path.is_catch_all())
    }
}

/// A cluster as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterRef {
    /// Envoy's name for it, such as `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub name: Box<str>,
    /// `None` if the host, port or subset does not exist: its share of the requests is 503 NC.
    pub id: Option<ClusterId>,
}

/// The configuration object and the rule in it that a route comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleOrigin {
    /// The object's kind, such as `VirtualService`; `setting` for what comes from no object.
    pub kind: &'static str,
    /// The object's namespace; empty for a setting.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
    /// The index of the rule in the object's `http` list.
    pub rule: Option<u32>,
    /// The rule that delegates to the object, where it acts as a delegate.
    pub delegated_by: Option<Arc<RuleOrigin>>,
}

impl RuleOrigin {
    /// A rule of a VirtualService.
    pub fn virtual_service(namespace: &str, name: &str, rule: usize) -> Self {
        let rule = u32::try_from(rule).ok();
        Self { kind: "VirtualService", namespace: namespace.into(), name: name.into(), rule, delegated_by: None }
    }

    /// The same rule, acting as a delegate's.
    #[must_use]
    pub fn delegated_by(self, root: Self) -> Self {
        Self { delegated_by: Some(Arc::new(root)), ..self }
    }

    /// A service that no rule speaks of.
    pub fn service(namespace: &str, host: &str) -> Self {
        Self { kind: "Service", namespace: namespace.into(), name: host.into(), rule: None, delegated_by: None }
    }

    /// A route that a setting makes, such as `outboundTrafficPolicy`.
    pub fn built_in(setting: &str) -> Self {
        Self { kind: "setting", namespace: Arc::default(), name: setting.into(), rule: None, delegated_by: None }
    }
}

impl fmt::Display for RuleOrigin {
    /// `VirtualService default/reviews http[2]`, and for a delegate's rule which one delegates to it
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        f.write_str(" ")?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)?;
        if let Some(rule) = self.rule {
            write!(f, " http[{rule}]")?;
        }
        match &self.delegated_by {
            Some(root) => write!(f, ", delegated to by {root}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
