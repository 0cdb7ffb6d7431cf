//! Retries that may send a request twice that must not be.

use super::cover::Earlier;
use super::rules::title;
use super::{Analyzer, Context};
use crate::api::virtual_service::{HttpMatchRequest, HttpRetry, HttpRoute};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};
use crate::value::{RetryCondition, RetryOn, StringMatch, regex};

/// `MESH0401`: some conditions of `retryOn` also hold where the destination has got the request and may have acted on it.
/// Istio's default list holds none of them.
pub(super) struct RepeatedPost;

impl Analyzer for RepeatedPost {
    fn name(&self) -> &'static str {
        "mesh.RepeatedPost"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REPEATED_POST]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        for service in set.virtual_services() {
            let rules = &service.spec.http;
            if !rules.iter().any(|rule| risks(rule.retries.as_ref()).is_some()) {
                continue;
            }
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            check_rules(cx, rules);
        }
        for object in set.mesh_configs() {
            let policy = object.spec.default_http_retry_policy.as_ref();
            let Some(risks) = risks(policy) else { continue };
            let cx = &mut Checker::new(Kind::MeshConfig, &object.meta, &object.origin, out);
            let attempts = policy.map_or(0, |policy| policy.attempts);
            let at = At::top("defaultHttpRetryPolicy");
            cx.push(&at.field("retryOn"), finding("every rule without `retries`", &risks, attempts));
        }
    }
}

fn check_rules(cx: &mut Checker<'_>, rules: &[HttpRoute]) {
    let everything = HttpMatchRequest::default();
    let mut earlier = Earlier::new();
    for (index, rule) in rules.iter().enumerate() {
        let matches = if rule.matches.is_empty() { std::slice::from_ref(&everything) } else { rule.matches.as_slice() };
        let forwards = rule.redirect.is_none() && rule.direct_response.is_none();
        if let Some(risks) = risks(rule.retries.as_ref()).filter(|_| forwards) {
            let takes_post = |matches: &&HttpMatchRequest| takes(matches, POST) && !is_taken(&earlier, matches);
            if matches.iter().any(|matches| takes_post(&matches)) {
                let attempts = rule.retries.as_ref().map_or(0, |retries| retries.attempts);
                let spec = At::top("spec");
                let http = spec.field("http");
                let at = http.index(index);
                let finding = finding(&format!("rule {}", title(&rule.name, index)), &risks, attempts);
                cx.push(&at.field("retries").field("retryOn"), finding);
            }
        }
        for (m, matches) in rule.matches.iter().enumerate() {
            earlier.push(matches, (index, m));
        }
    }
}

const POST: &str = "POST";

/// The conditions that repeat what may have been done. Codes below 500 say that nothing was, except those for success.
fn risks(retries: Option<&HttpRetry>) -> Option<Vec<String>> {
    let retries = retries.filter(|retries| retries.attempts > 0 && !retries.retry_on.is_empty())?;
    let retry_on = RetryOn::parse(&retries.retry_on);
    let conditions = [RetryCondition::ServerError, RetryCondition::GatewayError, RetryCondition::Reset]
        .into_iter()
        .filter(|condition| retry_on.contains(*condition))
        .map(|condition| condition.as_str().to_owned());
    let codes = retry_on.status_codes.iter().filter(|code| !(300..500).contains(*code)).map(ToString::to_string);
    let risks: Vec<_> = conditions.chain(codes).collect();
    (!risks.is_empty()).then_some(risks)
}

fn takes(matches: &HttpMatchRequest, method: &str) -> bool {
    let header = matches.headers.get(":method");
    let without = matches.without_headers.get(":method");
    matches.method.iter().chain(header).all(|condition| is_met(condition, method))
        && without.is_none_or(|condition| !is_met(condition, method))
}

fn is_met(condition: &StringMatch, text: &str) -> bool {
    match condition {
        StringMatch::Presence => true,
        StringMatch::Exact(exact) => exact == text,
        StringMatch::Prefix(prefix) => text.starts_with(prefix.as_str()),
        StringMatch::Regex(source) => regex::full_match(source).is_ok_and(|regex| regex.is_match(text.as_bytes())),
    }
}

/// Whether an earlier rule takes every POST that this match would take.
fn is_taken(earlier: &Earlier<'_, (usize, usize)>, matches: &HttpMatchRequest) -> bool {
    let post = HttpMatchRequest { method: Some(StringMatch::Exact(POST.to_owned())), ..matches.clone() };
    earlier.covering(&post, |_, _| true).is_some()
}

fn finding(who: &str, risks: &[String], attempts: i32) -> Diagnostic {
    let risks = risks.join(", ");
    let message = format!(
        "retries may send a POST more than once: {who} takes every POST, and {risks} also repeats what the destination has got"
    );
    let message = if who.starts_with("rule") { message.replace("takes every POST", "takes POST") } else { message };
    let times = if attempts == 1 { "once more".to_owned() } else { format!("up to {attempts} times more") };
    Diagnostic::warning(Code::REPEATED_POST, message)
        .effect(format!("a POST that was carried out and then failed with {risks} is sent {times}"))
        .help(
            "keep these retries to a rule that matches `method: {regex: GET|HEAD|OPTIONS|PUT|DELETE}`, or retry on \
             connect-failure,refused-stream,reset-before-request: what the destination has not got",
        )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only, places, rule, rules};
    use super::*;

    const FOUND: [&str; 1] = ["MESH0401 warning spec.http[0].retries.retryOn"];
    const NONE: [&str; 0] = [];

    #[test]
    fn conditions_that_hold_after_the_request_was_received_are_named() {
        for retry_on in ["5xx", "gateway-error", "reset", "503", "connect-failure,502", "200"] {
            let yaml = rule(&format!("retries: {{attempts: 2, retryOn: '{retry_on}'}}"));
            assert_eq!(places(&RepeatedPost, &yaml), FOUND, "{retry_on}");
        }
        let safe = ["connect-failure,refused-stream,reset-before-request", "retriable-4xx", "429", "unavailable", ""];
        for retry_on in safe {
            let yaml = rule(&format!("retries: {{attempts: 2, retryOn: '{retry_on}'}}"));
            assert_eq!(places(&RepeatedPost, &yaml), NONE, "{retry_on}");
        }
        assert_eq!(places(&RepeatedPost, &rule("timeout: 1s")), NONE);
    }

    #[test]
    fn the_finding_says_how_often() {
        let finding = only(&RepeatedPost, &rule("retries: {attempts: 3, retryOn: '5xx,reset,503'}"));
        assert_eq!(
            finding.message,
            "retries may send a POST more than once: rule #0 takes POST, and 5xx, reset, 503 also repeats what the \
             destination has got"
        );
        assert_eq!(
            finding.effect.as_deref(),
            Some("a POST that was carried out and then failed with 5xx, reset, 503 is sent up to 3 times more")
        );
    }

    #[test]
    fn a_rule_that_takes_no_post_is_good() {
        let with = |matches: &str| {
            rules(&format!(
                "{{match: [{matches}], retries: {{attempts: 1, retryOn: 5xx}}, route: [{{destination: {{host: r}}}}]}}"
            ))
        };
        for good in [
            "{method: {exact: GET}}",
            "{method: {regex: GET|HEAD}}, {method: {prefix: PUT}}",
            "{headers: {':method': {exact: GET}}}",
            "{withoutHeaders: {':method': {exact: POST}}}",
        ] {
            assert_eq!(places(&RepeatedPost, &with(good)), NONE, "{good}");
        }
        for bad in ["{method: {exact: POST}}", "{uri: {prefix: /a}}", "{method: {exact: GET}}, {uri: {prefix: /a}}"] {
            assert_eq!(places(&RepeatedPost, &with(bad)), FOUND, "{bad}");
        }
    }

    #[test]
    fn a_post_that_an_earlier_rule_takes_is_no_concern() {
        let yaml = rules(
            "{match: [{method: {exact: POST}}], route: [{destination: {host: r}}]}, \
             {retries: {attempts: 1, retryOn: 5xx}, route: [{destination: {host: r}}]}",
        );
        assert_eq!(places(&RepeatedPost, &yaml), NONE);
        let some = yaml.replace("{method: {exact: POST}}", "{method: {exact: POST}, uri: {prefix: /a}}");
        assert_eq!(places(&RepeatedPost, &some), ["MESH0401 warning spec.http[1].retries.retryOn"]);
    }

    #[test]
    fn the_policy_of_the_mesh_is_looked_at() {
        let found = places(&RepeatedPost, "defaultHttpRetryPolicy: {attempts: 2, retryOn: '503'}\n");
        assert_eq!(found, ["MESH0401 warning defaultHttpRetryPolicy.retryOn"]);
        assert_eq!(places(&RepeatedPost, "defaultHttpRetryPolicy: {attempts: 0}\n"), NONE);
    }
}
