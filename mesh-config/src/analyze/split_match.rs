//! Conditions that stand in matches of their own.

use super::rules::each_http_rule;
use super::{Analyzer, Context};
use crate::api::virtual_service::HttpMatchRequest;
use crate::diagnostic::{Code, Diagnostic, Report};

/// `MESH0311`: the items of `match` are alternatives, so that `- port:` beside `- uri:` takes everything on the port.
pub(super) struct SplitMatch;

impl Analyzer for SplitMatch {
    fn name(&self) -> &'static str {
        "mesh.SplitMatch"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::SPLIT_MATCH]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        each_http_rule(set, out, |cx, at, rule| {
            let matches = &rule.route.matches;
            let Some((index, field)) = matches.iter().enumerate().find_map(|(index, m)| Some((index, lone(m)?))) else {
                return;
            };
            let narrow = |other: &HttpMatchRequest| {
                (other.uri.is_some() || !other.headers.is_empty())
                    && match field {
                        "port" => other.port == 0,
                        "method" => other.method.is_none(),
                        _ => other.scheme.is_none(),
                    }
            };
            if !matches.iter().any(narrow) {
                return;
            }
            let message = format!("`{field}` is a match of its own: the items of `match` are alternatives");
            let finding = Diagnostic::warning(Code::SPLIT_MATCH, message)
                .effect(format!("the rule takes every request with that {field}, whatever its path and headers"))
                .help(format!("put `{field}` into the other item, without a dash, if both are to hold"));
            cx.push(&at.field("match").index(index), finding);
        });
    }
}

/// The only condition of a match, where it is one that is seldom meant to stand alone.
fn lone(matches: &HttpMatchRequest) -> Option<&'static str> {
    let without = |change: fn(&mut HttpMatchRequest)| {
        let mut rest = matches.clone();
        rest.name.clear();
        change(&mut rest);
        rest == HttpMatchRequest::default()
    };
    if matches.port != 0 {
        without(|rest| rest.port = 0).then_some("port")
    } else if matches.method.is_some() {
        without(|rest| rest.method = None).then_some("method")
    } else if matches.scheme.is_some() {
        without(|rest| rest.scheme = None).then_some("scheme")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{places, rules};
    use super::*;

    #[test]
    fn a_port_beside_a_path_takes_everything_on_the_port() {
        let found = |matches: &str| {
            places(&SplitMatch, &rules(&format!("{{match: [{matches}], route: [{{destination: {{host: r}}}}]}}")))
        };
        assert_eq!(found("{uri: {prefix: /a}}, {port: 80}"), ["MESH0311 warning spec.http[0].match[1]"]);
        assert_eq!(found("{method: {exact: GET}}, {uri: {prefix: /a}}"), ["MESH0311 warning spec.http[0].match[0]"]);
        for good in [
            "{uri: {prefix: /a}, port: 80}",
            "{port: 80}, {port: 81}",
            "{uri: {prefix: /a}}, {uri: {prefix: /b}}",
            "{port: 80}, {uri: {prefix: /a}, port: 81}",
            "{method: {exact: GET}}, {method: {exact: HEAD}}",
        ] {
            assert_eq!(found(good), [""; 0], "{good}");
        }
    }
}
