//! Header operations: what a rule changes about request and response headers.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use mesh_config::api::virtual_service::{HeaderOperations, Headers};

use super::lower::LowerError;
use super::rewrite::lower_authority;
use super::substitution::Template;

/// The operations of one level on one direction.
///
/// All removals come first, then each `set`, then each `add`, the latter two sorted by name. Values
/// are rendered after the removals and before the first `set`. A value that renders empty does
/// nothing: it neither adds nor replaces nor removes.
#[derive(Clone, Debug, Default)]
pub struct HeaderOps {
    remove: Box<[HeaderName]>,
    set: Box<[HeaderOp]>,
    add: Box<[HeaderOp]>,
}

#[derive(Clone, Debug)]
struct HeaderOp {
    name: HeaderName,
    value: Value,
    /// Whether `add` appends to the line that is there.
    single: bool,
}

#[derive(Clone, Debug)]
enum Value {
    Literal(HeaderValue),
    Template(Template),
}

impl HeaderOps {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Whether a value is made from the request, so that the operations on a response need its head.
    pub fn reads_request(&self) -> bool {
        self.set.iter().chain(&self.add).any(|op| matches!(&op.value, Value::Template(value) if value.reads_request()))
    }

    /// What is done, in words and in order, removals by name: `remove x-debug`, `set x-user: %REQ(user)%`.
    pub fn describe(&self) -> Vec<String> {
        let mut removed: Vec<_> = self.remove.iter().map(|name| format!("remove {name}")).collect();
        removed.sort_unstable();
        let set = self.set.iter().map(|op| format!("set {op}"));
        let added = self.add.iter().map(|op| format!("add {op}"));
        removed.into_iter().chain(set).chain(added).collect()
    }

    /// Changes headers. `render` gives the text of a template, from the headers as they are after
    /// the removals.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, render: impl Fn(&Template, &HeaderMap) -> Vec<u8>) {
        for name in &self.remove {
            headers.remove(name);
        }
        // Empty, and not allocated, without templates.
        let mut rendered = Vec::new();
        for op in self.set.iter().chain(&self.add) {
            if let Value::Template(template) = &op.value {
                rendered.push(HeaderValue::try_from(render(template, headers)).ok().filter(|value| !value.is_empty()));
            }
        }
        let mut rendered = rendered.into_iter();
        let mut value = |op: &HeaderOp| match &op.value {
            Value::Literal(value) => Some(value.clone()),
            Value::Template(_) => rendered.next().flatten(),
        };
        for op in &self.set {
            if let Some(value) = value(op) {
                headers.insert(&op.name, value);
            }
        }
        for op in &self.add {
            if let Some(value) = value(op) {
                add(headers, op, value);
            }
        }
    }
}

impl fmt::Display for HeaderOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Literal(value) => write!(f, "{}: {}", self.name, String::from_utf8_lossy(value.as_bytes())),
            Value::Template(template) => write!(f, "{}: {}", self.name, template.source()),
        }
    }
}

/// A new line, or `,value` behind the line that is there for what Envoy keeps as a single value.
fn add(headers: &mut HeaderMap, op: &HeaderOp, value: HeaderValue) {
    if op.single
        && let Some(before) = headers.get(&op.name)
        && let Ok(joined) = HeaderValue::try_from([before.as_bytes(), b",", value.as_bytes()].concat())
    {
        headers.insert(&op.name, joined);
        return;
    }
    headers.append(&op.name, value);
}

/// The header operations that act together, lowered.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderLevel {
    pub(crate) request: HeaderOps,
    pub(crate) response: HeaderOps,
    /// What the request operations make of the authority: they may set or add `host` or
    /// `:authority`, which is a rewrite and not a header.
    pub(crate) authority: Option<Authority>,
}

impl HeaderLevel {
    /// One level out of the operations of a rule and of its single destination: the rule's come
    /// first among the removals, among the `set`s and among the `add`s, but an authority of the
    /// rule counts before that of the destination.
    ///
    /// # Errors
    /// Names and values that no header can have, and substitution commands that do not exist.
    pub(crate) fn lower(rule: Option<&Headers>, destination: Option<&Headers>) -> Result<Self, LowerError> {
        let rule = rule.map(|headers| ("headers", headers));
        let destination = destination.map(|headers| ("route[0].headers", headers));
        Self::lower_at(rule.into_iter().chain(destination))
    }

    /// The level of one destination among several.
    ///
    /// # Errors
    /// As [`lower`](Self::lower).
    pub(crate) fn of_destination(headers: &Headers, index: usize) -> Result<Self, LowerError> {
        Self::lower_at([(&*format!("route[{index}].headers"), headers)])
    }

    fn lower_at<'a>(sources: impl IntoIterator<Item = (&'a str, &'a Headers)>) -> Result<Self, LowerError> {
        let mut request = LevelBuilder::default();
        let mut response = LevelBuilder::default();
        for (field, headers) in sources {
            if let Some(operations) = &headers.request {
                request.push(operations, &REQUEST, &format!("{field}.request"))?;
            }
            if let Some(operations) = &headers.response {
                response.push(operations, &RESPONSE, &format!("{field}.response"))?;
            }
        }
        let authority = request.authority.take();
        Ok(Self { request: request.build(), response: response.build(), authority })
    }
}

#[derive(Debug, Default)]
struct LevelBuilder {
    remove: Vec<HeaderName>,
    set: Vec<HeaderOp>,
    add: Vec<HeaderOp>,
    authority: Option<Authority>,
}

impl LevelBuilder {
    fn push(&mut self, from: &HeaderOperations, side: &Side, field: &str) -> Result<(), LowerError> {
        for (index, name) in from.remove.iter().enumerate() {
            self.remove.push(header_name(name, &format!("{field}.remove[{index}]"))?);
        }
        for (list, key, operations) in [(&mut self.set, "set", &from.set), (&mut self.add, "add", &from.add)] {
            for (name, value) in operations {
                let field = format!("{field}.{key}.{name}");
                if side.has_authority && is_authority(name) {
                    if self.authority.is_none() && !value.is_empty() {
                        self.authority = Some(lower_authority(value, &field)?);
                    }
                    continue;
                }
                let name = header_name(name, &field)?;
                if let Some(value) = Value::lower(value).map_err(|message| LowerError::new(&field, message))? {
                    let single = side.single.contains(&name.as_str());
                    list.push(HeaderOp { name, value, single });
                }
            }
        }
        Ok(())
    }

    fn build(self) -> HeaderOps {
        HeaderOps { remove: self.remove.into(), set: self.set.into(), add: self.add.into() }
    }
}

impl Value {
    /// `None` for a value that is empty, whose operation does nothing.
    fn lower(text: &str) -> Result<Option<Self>, String> {
        let template = Template::parse(text).map_err(|message| format!("header value configuration: {message}"))?;
        let Some(literal) = template.as_literal() else {
            return Ok(Some(Self::Template(template)));
        };
        match HeaderValue::from_bytes(literal) {
            Ok(value) => Ok(Some(Self::Literal(value)).filter(|_| !literal.is_empty())),
            Err(_) => Err(format!("header value configuration {text:?} is invalid")),
        }
    }
}

fn header_name(name: &str, field: &str) -> Result<HeaderName, LowerError> {
    let problem = if name.is_empty() {
        "header name cannot be empty".to_owned()
    } else if name.eq_ignore_ascii_case("host") {
        format!("invalid header {name:?}: cannot set Host header")
    } else if name.starts_with(':') {
        format!("invalid header {name:?}: header cannot have \":\" prefix")
    } else {
        match name.parse() {
            Ok(name) => return Ok(name),
            Err(_) => format!("{name:?} is not a valid header name"),
        }
    };
    Err(LowerError::new(field, problem))
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// What differs between requests and responses.
struct Side {
    has_authority: bool,
    /// The headers that are added to with a comma.
    single: &'static [&'static str],
}

const REQUEST: Side = Side { has_authority: true, single: SINGLE_IN_REQUESTS };
const RESPONSE: Side = Side { has_authority: false, single: SINGLE_IN_RESPONSES };

/// The request headers that Envoy keeps as one value.
pub(crate) const SINGLE_IN_REQUESTS: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "grpc-timeout",
    "keep-alive",
    "origin",
    "proxy-connection",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-path",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// The response headers that Envoy keeps as one value.
const SINGLE_IN_RESPONSES: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "date",
    "grpc-message",
    "grpc-status",
    "keep-alive",
    "location",
    "proxy-connection",
    "proxy-status",
    "server",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-degraded",
    "x-envoy-ratelimited",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

#[cfg(test)]
mod tests;
