//! Regexes that are meant for a part of a value.

use super::rules::each_http_rule;
use super::{Analyzer, Context};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::validate::{At, Checker};
use crate::value::StringMatch;

/// `MESH0306`: a regex has to match the whole value.
pub(super) struct PartialRegex;

impl Analyzer for PartialRegex {
    fn name(&self) -> &'static str {
        "mesh.PartialRegex"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::PARTIAL_REGEX]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        each_http_rule(set, out, |cx, at, rule| {
            for (index, matches) in rule.route.matches.iter().enumerate() {
                let at = at.field("match");
                let at = at.index(index);
                check(cx, &at.field("uri"), matches.uri.as_ref(), Value::Path);
                for (field, values) in [("headers", &matches.headers), ("withoutHeaders", &matches.without_headers)] {
                    for (name, value) in values {
                        let kind = if is_long(name) { Value::Long } else { Value::Other };
                        check(cx, &at.field(field).key(name), Some(value), kind);
                    }
                }
            }
        });
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Value {
    /// It begins with a slash.
    Path,
    /// It is hardly ever one word.
    Long,
    Other,
}

/// Headers whose values are many words.
fn is_long(name: &str) -> bool {
    ["user-agent", "cookie", "accept", "authorization", "referer", "x-forwarded-for", "content-type", "accept-language"]
        .iter()
        .any(|long| name.eq_ignore_ascii_case(long))
}

fn check(cx: &mut Checker<'_>, at: &At<'_>, value: Option<&StringMatch>, kind: Value) {
    let Some(StringMatch::Regex(regex)) = value else { return };
    let Some((message, help)) = problem(regex, kind) else { return };
    let finding = Diagnostic::warning(Code::PARTIAL_REGEX, message)
        .effect("the condition does not hold for values that only contain a match")
        .help(help);
    cx.push(&at.field("regex"), finding);
}

fn problem(regex: &str, kind: Value) -> Option<(String, String)> {
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let begins_with_name = inner.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_optional = inner[begins_with_name.into()..].starts_with(['*', '?', '{']);
    if kind == Value::Path && begins_with_name && !is_optional && !inner.contains('|') {
        let message =
            format!("the regex `{regex}` matches no path: it is for the whole path, which begins with a slash");
        let help = match regex.starts_with('^') {
            true => format!("`/{inner}`"),
            false => format!("`.*{inner}`, or `/{inner}`"),
        };
        return Some((message, help));
    }
    let is_cut_open = regex.starts_with('^')
        && !inner.contains('|')
        && inner.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '-' || c == '_')
        // A class such as `\d` may stand there for a value of that length.
        && !inner.contains('\\');
    if is_cut_open {
        let message =
            format!("the regex `{regex}` is for the whole value: it matches nothing that goes on after `{inner}`");
        return Some((message, format!("`{inner}.*`, or `{inner}` without the `^` if that is what is meant")));
    }
    let is_word =
        !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '-' || c == '_');
    if kind == Value::Long && is_word {
        let message = format!("the regex `{regex}` is for the whole value, and matches only a value that is `{inner}`");
        return Some((message, format!("`.*{inner}.*`")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only, places, rules};
    use super::*;

    fn matching(condition: &str) -> String {
        rules(&format!("{{match: [{{{condition}}}], route: [{{destination: {{host: r}}}}]}}"))
    }

    #[test]
    fn a_regex_for_a_part_of_the_value_is_pointed_out() {
        for (condition, place) in [
            ("uri: {regex: v1}", "uri"),
            ("uri: {regex: 'api/.*'}", "uri"),
            ("uri: {regex: ^/api}", "uri"),
            ("headers: {user-agent: {regex: Chrome}}", "headers[user-agent]"),
            ("headers: {x: {regex: ^beta}}", "headers[x]"),
        ] {
            let found = places(&PartialRegex, &matching(condition));
            assert_eq!(found, [format!("MESH0306 warning spec.http[0].match[0].{place}.regex")], "{condition}");
        }
        let finding = only(&PartialRegex, &matching("headers: {user-agent: {regex: Chrome}}"));
        assert_eq!(finding.help.as_deref(), Some("`.*Chrome.*`"));
    }

    #[test]
    fn a_regex_for_the_whole_value_is_good() {
        for good in [
            "uri: {regex: '/v[12]/.*'}",
            "uri: {regex: '.*v1.*'}",
            "uri: {regex: '^/api$'}",
            "uri: {regex: '(/a|/b)'}",
            "uri: {regex: 'a?/b'}",
            "uri: {regex: '^/api(/.*)?'}",
            "headers: {user-agent: {regex: '.*Chrome.*'}}",
            "headers: {x: {regex: beta}}",
            "headers: {x: {regex: '^\\d\\dx'}}",
            "headers: {cookie: {regex: '^(.*?;)?(user=jason)(;.*)?$'}}",
        ] {
            assert_eq!(places(&PartialRegex, &matching(good)), [""; 0], "{good}");
        }
    }
}
