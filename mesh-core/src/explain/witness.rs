//! Requests that tell the rules of a configuration apart: for each route one that it asks for, and for each of its
//! conditions one that fails just that.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::Question;
use crate::route::condition::header::HeaderSource;
use crate::route::condition::{PathCondition, StringMatcher};
use crate::route::{Condition, Route};
use crate::snapshot::{Snapshot, TableId, Vhost};

/// Requests for every virtual host of a snapshot.
pub(super) fn witnesses(snapshot: &Snapshot) -> Vec<Question> {
    let mut found = Vec::new();
    let mut ports: Vec<_> = snapshot.mesh.iter().map(|(port, table)| (*port, *table, false)).collect();
    ports.extend(snapshot.gateways.iter().map(|server| (server.port, server.table, true)));
    // The map has no order; the same two configurations always give the same list.
    ports.sort_by_key(|(port, table, gateway)| (*gateway, *port, table.0));
    for (port, table, gateway) in ports {
        for vhost in vhosts(snapshot, table) {
            let routes = &snapshot.routes[vhost.first as usize..(vhost.first + vhost.count) as usize];
            let host = vhost.name.rsplit_once(':').map_or(&*vhost.name, |(host, _)| host).replace('*', "any");
            let drafts = routes.iter().flat_map(drafts_for).chain([Draft::default()]);
            found.extend(drafts.filter_map(|draft| draft.ask(&host, port, gateway)));
        }
    }
    found
}

fn vhosts(snapshot: &Snapshot, table: TableId) -> impl Iterator<Item = &Vhost> {
    let mut ids = snapshot.tables[table.0 as usize].hosts.vhosts();
    ids.sort_unstable_by_key(|id| id.0);
    ids.dedup();
    ids.into_iter().map(|id| &snapshot.vhosts[id.0 as usize])
}

/// A request in the making.
#[derive(Clone, Debug, Default)]
struct Draft {
    method: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    query: Vec<String>,
    headers: Vec<(String, String)>,
}

/// A request that fulfils all conditions of a route, and for each condition one that fulfils all others.
fn drafts_for(route: &Route) -> Vec<Draft> {
    let all = || route.conditions.iter().enumerate();
    let without = |left_out: Option<usize>| {
        let mut draft = Draft::default();
        for (index, condition) in all() {
            if Some(index) != left_out {
                draft.fulfil(condition);
            } else if matches!(condition, Condition::Path(_)) {
                draft.path = Some("/~other".to_owned());
            }
        }
        draft
    };
    let mut drafts = vec![without(None)];
    drafts.extend(all().map(|(index, _)| without(Some(index))));
    // What lies below a prefix, and beside it.
    if let Some(Condition::Path(PathCondition::Prefix { prefix, .. })) = route.conditions.first() {
        for tail in ["/x", "x"] {
            drafts.push(Draft { path: Some(format!("{prefix}{tail}")), ..without(None) });
        }
    }
    drafts
}

impl Draft {
    fn fulfil(&mut self, condition: &Condition) {
        match condition {
            Condition::Path(PathCondition::Exact { path: text, .. } | PathCondition::Prefix { prefix: text, .. }) => {
                self.path = Some(text.to_string());
            }
            Condition::Path(PathCondition::Regex { pattern, .. }) => self.path = sample(pattern),
            Condition::Method(condition) => self.method = value_for(&condition.0, "GET"),
            Condition::Scheme(condition) => self.scheme = value_for(&condition.0, "http"),
            Condition::Authority(condition) => self.authority = value_for(&condition.0, "any"),
            Condition::Query(condition) => {
                let value = value_for(&condition.matcher, "x").unwrap_or_default();
                self.query.push(format!("{}={value}", condition.name));
            }
            Condition::Header(condition) if condition.inverted => {}
            Condition::Header(condition) => {
                let value = value_for(&condition.matcher, "x");
                match &condition.source {
                    HeaderSource::Named(name) => {
                        self.headers.extend(value.map(|value| (name.to_string(), value)));
                    }
                    HeaderSource::Authority => self.authority = value,
                    HeaderSource::Method => self.method = value,
                    HeaderSource::Path => self.path = value,
                    HeaderSource::Scheme => self.scheme = value,
                    HeaderSource::Nowhere => {}
                }
            }
        }
    }

    /// The request; none where what the conditions ask for is no request at all.
    fn ask(self, host: &str, port: u16, gateway: bool) -> Option<Question> {
        let scheme = self.scheme.as_deref().unwrap_or("http");
        let path = self.path.as_deref().filter(|path| path.starts_with('/')).unwrap_or("/");
        let (path, own_query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<_> =
            self.query.iter().map(String::as_str).chain([own_query]).filter(|q| !q.is_empty()).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let authority = self.authority.as_deref().unwrap_or(host);
        let url = format!("{scheme}://{authority}{path}{query}");
        let mut question = Question::new(self.method.as_deref().unwrap_or("GET"), &url).ok()?.on_port(port);
        for (name, value) in &self.headers {
            question = question.header(name, value).ok()?;
        }
        Some(if gateway { question.through_gateway() } else { question })
    }
}

fn value_for(matcher: &StringMatcher, any: &str) -> Option<String> {
    match matcher {
        StringMatcher::Present => Some(any.to_owned()),
        StringMatcher::Exact(text) | StringMatcher::Prefix(text) => Some(text.to_string()),
        StringMatcher::Regex(regex) => sample(regex.as_str()),
    }
}

/// A text that an expression matches.
fn sample(pattern: &str) -> Option<String> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
    let mut bytes = Vec::new();
    write_sample(&hir, &mut bytes);
    String::from_utf8(bytes).ok()
}

fn write_sample(hir: &Hir, out: &mut Vec<u8>) {
    if out.len() > MAX_SAMPLE {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Unicode(class)) => {
            let plain = class.iter().find(|range| range.end() >= 'a').or(class.iter().next());
            if let Some(range) = plain {
                let one = range.start().max('a').min(range.end());
                out.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        HirKind::Class(Class::Bytes(class)) => {
            let plain = class.iter().find(|range| range.end() >= b'a').or(class.iter().next());
            out.extend(plain.map(|range| range.start().max(b'a').min(range.end())));
        }
        HirKind::Repetition(repetition) => {
            // One rather than none, where both are allowed: it shows more.
            let times = repetition.min.max(u32::from(repetition.max != Some(0))).min(64);
            for _ in 0..times {
                write_sample(&repetition.sub, out);
            }
        }
        HirKind::Capture(capture) => write_sample(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write_sample(part, out)),
        HirKind::Alternation(parts) => parts.iter().take(1).for_each(|part| write_sample(part, out)),
    }
}

const MAX_SAMPLE: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_matches_its_expression() {
        for pattern in ["^(?:/v[12]/.*)$", "^(?:a|b)$", "^(?:[0-9]{3}-x+)$", "^(?:.*)$", "^(?:/é?)$", "^(?:(?i)abc)$"]
        {
            let regex = regex::bytes::Regex::new(pattern).unwrap();
            let text = sample(pattern).unwrap();
            assert!(regex.is_match(text.as_bytes()), "{pattern}: {text:?}");
        }
    }
}
