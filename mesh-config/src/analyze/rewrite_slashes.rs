//! Rewrites that leave two slashes, or none, where one was.

use super::rules::{HttpRule, each_http_rule};
use super::{Analyzer, Context};
use crate::api::virtual_service::HttpRoute;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::validate::{At, Checker};
use crate::value::StringMatch;

/// `MESH0305`: the prefix that matched is replaced as text.
pub(super) struct RewriteSlashes;

impl Analyzer for RewriteSlashes {
    fn name(&self) -> &'static str {
        "mesh.RewriteSlashes"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REWRITE_SLASHES]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        each_http_rule(set, out, |cx, at, rule| {
            if let Some(rewrite) = rule.route.rewrite.as_ref().filter(|rewrite| !rewrite.uri.is_empty()) {
                check(cx, &at.field("rewrite").field("uri"), rule, &rewrite.uri);
            }
            if let Some(redirect) = rule.route.redirect.as_ref().filter(|redirect| !redirect.prefix_rewrite.is_empty())
            {
                check(cx, &at.field("redirect").field("prefixRewrite"), rule, &redirect.prefix_rewrite);
            }
        });
    }
}

fn check(cx: &mut Checker<'_>, at: &At<'_>, rule: HttpRule<'_>, to: &str) {
    for (index, matches) in rule.route.matches.iter().enumerate() {
        let Some(StringMatch::Prefix(prefix)) = &matches.uri else { continue };
        if prefix.len() < 2 || !prefix.starts_with('/') {
            continue;
        }
        let whole = prefix.trim_end_matches('/');
        let (path, help) = match (prefix.ends_with('/'), to.ends_with('/')) {
            // What follows the prefix begins with a slash, unless a match before has taken that.
            (false, true) if !is_taken(rule, index, &format!("{prefix}/")) => {
                let help = match to {
                    "/" => format!("two matches, `prefix: {whole}/` first and then `prefix: {whole}`"),
                    _ => format!("`{}`", to.trim_end_matches('/')),
                };
                (format!("{prefix}/x"), help)
            }
            (true, false) => (format!("{prefix}x"), format!("`{to}/`")),
            _ => continue,
        };
        let result = path.replacen(prefix.as_str(), to, 1);
        let message = format!("the prefix `{prefix}` is replaced by `{to}` as text: {path} becomes {result}");
        let finding = Diagnostic::warning(Code::REWRITE_SLASHES, message)
            .effect(format!("the path goes out as {result}, which servers seldom know: 404"))
            .help(help);
        return cx.push(at, finding);
    }
}

/// Whether a match before this one takes all paths below.
fn is_taken(rule: HttpRule<'_>, index: usize, below: &str) -> bool {
    let takes = |route: &HttpRoute, count: usize| {
        route.matches.iter().take(count).any(|matches| {
            matches!(&matches.uri, Some(StringMatch::Prefix(prefix)) if below.starts_with(prefix.as_str()))
                && matches.headers.is_empty()
                && matches.query_params.is_empty()
                && matches.method.is_none()
        })
    };
    // Not looking into earlier rules one by one keeps this linear; a few of them are all there are for one path.
    const FEW: usize = 16;
    let earlier = &rule.service.spec.http[rule.index.saturating_sub(FEW)..rule.index];
    takes(rule.route, index) || earlier.iter().any(|route| takes(route, usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only, places, rules};
    use super::*;

    const NONE: [&str; 0] = [];

    fn rewriting(prefixes: &[&str], to: &str) -> String {
        let matches: Vec<_> = prefixes.iter().map(|prefix| format!("{{uri: {{prefix: {prefix}}}}}")).collect();
        rules(&format!(
            "{{match: [{}], rewrite: {{uri: {to}}}, route: [{{destination: {{host: r}}}}]}}",
            matches.join(", ")
        ))
    }

    #[test]
    fn a_prefix_without_slash_rewritten_to_one_leaves_two() {
        let finding = only(&RewriteSlashes, &rewriting(&["/api"], "/"));
        assert_eq!(finding.message, "the prefix `/api` is replaced by `/` as text: /api/x becomes //x");
        assert_eq!(finding.path.to_string(), "spec.http[0].rewrite.uri");
        assert_eq!(finding.help.as_deref(), Some("two matches, `prefix: /api/` first and then `prefix: /api`"));
    }

    #[test]
    fn a_prefix_with_slash_rewritten_to_none_joins_two_names() {
        let finding = only(&RewriteSlashes, &rewriting(&["/api/"], "/v2"));
        assert_eq!(finding.message, "the prefix `/api/` is replaced by `/v2` as text: /api/x becomes /v2x");
    }

    #[test]
    fn what_fits_is_good() {
        for (prefixes, to) in [
            (&["/api/"][..], "/"),
            (&["/api"], "/v2"),
            (&["/"], "/v2/"),
            (&["/api/", "/api"], "/"),
            (&["/api/"], "/v2/"),
        ] {
            assert_eq!(places(&RewriteSlashes, &rewriting(prefixes, to)), NONE, "{prefixes:?} {to}");
        }
        assert_eq!(places(&RewriteSlashes, &rewriting(&["/api", "/api/"], "/")).len(), 1);
    }

    #[test]
    fn a_redirect_replaces_the_prefix_alike() {
        let yaml = rules("{match: [{uri: {prefix: /api}}], redirect: {prefixRewrite: /}}");
        assert_eq!(places(&RewriteSlashes, &yaml), ["MESH0305 warning spec.http[0].redirect.prefixRewrite"]);
    }
}
