//! Requests and rules for the tests of this module.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::de::DeserializeOwned;

use super::selector::MatchSite;
use super::{Action, ClusterRef, Forward, LowerError, Route, RuleContext, RuleOrigin, Split, lower_rule};
use crate::cluster::ClusterId;
use crate::{PeerView, RequestView, Scheme};

/// A request that owns what a view borrows.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    scheme: Scheme,
    authority: String,
    target: String,
    headers: HeaderMap,
    port: u16,
}

impl Request {
    /// A GET for `reviews` with this path and query.
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: Method::GET,
            scheme: Scheme::Http,
            authority: "reviews".into(),
            target: target.into(),
            headers: HeaderMap::new(),
            port: 9080,
        }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    pub(crate) fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    pub(crate) fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub(crate) fn view(&self) -> RequestView<'_> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        RequestView {
            method: &self.method,
            scheme: self.scheme,
            authority: &self.authority,
            path,
            query,
            headers: &self.headers,
            peer: PeerView::default(),
            port: self.port,
        }
    }

    /// The head as it travels inside the stack.
    pub(crate) fn parts(&self) -> http::request::Parts {
        let uri = format!("{}://{}{}", self.scheme.as_str(), self.authority, self.target);
        let (mut parts, ()) = http::Request::builder().method(&self.method).uri(uri).body(()).unwrap().into_parts();
        parts.headers = self.headers.clone();
        parts
    }
}

/// A configuration struct from its JSON.
pub(crate) fn parse<T: DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// The values of a header, in order.
pub(crate) fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

/// The single route of a rule.
pub(crate) fn lower(rule: serde_json::Value) -> Route {
    let mut routes = try_lower(rule).unwrap();
    assert_eq!(routes.len(), 1);
    routes.remove(0)
}

/// Why a rule has no routes.
pub(crate) fn lower_error(rule: serde_json::Value) -> LowerError {
    try_lower(rule).unwrap_err()
}

/// The routes of a rule for a workload in the mesh on port 9080; a cluster is named as its host.
pub(crate) fn try_lower(rule: serde_json::Value) -> Result<Vec<Route>, LowerError> {
    let labels = BTreeMap::new();
    let mut context = RuleContext {
        site: MatchSite {
            labels: &labels,
            namespace: "default",
            gateway: None,
            port: 9080,
            virtual_service_namespace: "default",
        },
        resolve: &mut |destination| ClusterRef { name: destination.host.as_str().into(), id: Some(ClusterId(0)) },
        default_retry: None,
        hashes: &[],
        origin: RuleOrigin::virtual_service("default", "test", 0),
    };
    lower_rule(&parse(rule), &mut context)
}

impl Route {
    /// What a route that forwards does.
    pub(crate) fn forward(&self) -> &Forward {
        match &self.action {
            Action::Forward(forward) => forward,
            other => panic!("{other:?} does not forward"),
        }
    }

    pub(crate) fn split(&self) -> &Split {
        &self.forward().split
    }
}
