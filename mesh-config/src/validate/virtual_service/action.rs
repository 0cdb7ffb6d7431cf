//! What an HTTP rule does besides choosing destinations.

use super::super::checker::{At, Checker};
use super::super::common;
use super::super::string_match::{self, Place};
use super::http::{destination, matches_prefixes_only};
use crate::api::virtual_service::{
    CorsPolicy, FaultAbort, FaultDelay, HttpDirectResponse, HttpFaultInjection, HttpRedirect, HttpRetry, HttpRewrite,
    HttpRoute,
};
use crate::value::header::check_name;
use crate::value::http_status::check_status;
use crate::value::port::check_port;
use crate::value::retry_on::check_retry_on;
use crate::value::{Percent, StringMatch, grpc_status};

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, route: &HttpRoute) {
    if let Some(redirect) = &route.redirect {
        check_redirect(cx, &at.field("redirect"), redirect, matches_prefixes_only(route));
    }
    if let Some(response) = &route.direct_response {
        check_direct_response(cx, &at.field("directResponse"), response);
    }
    if let Some(rewrite) = &route.rewrite {
        check_rewrite(cx, &at.field("rewrite"), rewrite);
    }
    if let Some(retries) = &route.retries {
        check_retries(cx, &at.field("retries"), retries);
    }
    if let Some(fault) = &route.fault {
        check_fault(cx, &at.field("fault"), fault);
    }
    if let Some(cors) = &route.cors_policy {
        check_cors(cx, &at.field("corsPolicy"), cors);
    }
    check_mirrors(cx, at, route);
}

fn check_redirect(cx: &mut Checker<'_>, at: &At<'_>, redirect: &HttpRedirect, prefixes_only: bool) {
    let has_path = !redirect.uri.is_empty() || !redirect.prefix_rewrite.is_empty();
    let has_port = redirect.port.is_some() || redirect.derive_port.is_some();
    if !has_path && redirect.authority.is_empty() && !has_port && redirect.scheme.is_empty() {
        cx.error(at, "redirect must specify URI, authority, scheme, or port");
    }
    if !redirect.uri.is_empty() && !redirect.prefix_rewrite.is_empty() {
        cx.error(&at.field("prefixRewrite"), "redirect may only specify one of uri or prefix_rewrite");
    }
    if !redirect.prefix_rewrite.is_empty() && !prefixes_only {
        let message = "redirect prefix_rewrite requires all URI matches to use prefix match type";
        cx.error(&at.field("prefixRewrite"), message);
    }
    if redirect.redirect_code != 0 && !(300..=399).contains(&redirect.redirect_code) {
        let message = format!("{} is not a valid redirect code, must be 3xx", redirect.redirect_code);
        cx.error(&at.field("redirectCode"), message);
    }
    if !matches!(redirect.scheme.as_str(), "" | "http" | "https") {
        cx.error(&at.field("scheme"), r#"invalid redirect scheme, must be "http" or "https""#);
    }
    if let Some(port) = redirect.port.filter(|port| *port != 0) {
        cx.check(&at.field("port"), check_port(port));
    }
}

fn check_direct_response(cx: &mut Checker<'_>, at: &At<'_>, response: &HttpDirectResponse) {
    const WARN: usize = 100 << 10;
    const REFUSE: usize = 1 << 20;
    cx.check(&at.field("status"), check_status(i64::from(response.status)));
    let Some(body) = &response.body else { return };
    let size = match (&body.string, &body.bytes) {
        (Some(text), _) => text.len(),
        (None, Some(bytes)) => bytes.0.len(),
        (None, None) => 0,
    };
    if size > REFUSE {
        let message = "large direct_responses may impact control plane performance, must be less than 1MB";
        cx.error(&at.field("body"), message);
    } else if size > WARN {
        cx.warn(&at.field("body"), "large direct_responses may impact control plane performance");
    }
}

fn check_rewrite(cx: &mut Checker<'_>, at: &At<'_>, rewrite: &HttpRewrite) {
    let regex = rewrite.uri_regex_rewrite.as_ref();
    if !rewrite.uri.is_empty() && regex.is_some() {
        cx.error(&at.field("uriRegexRewrite"), "rewrite may only contain one of URI or UriRegexRewrite");
    }
    if rewrite.uri.is_empty() && regex.is_none() && rewrite.authority.is_empty() {
        let message = "rewrite must specify at least one of URI, UriRegexRewrite, or authority. \
                       Only one of URI or UriRegexRewrite may be specified";
        cx.error(at, message);
    }
    if let Some(regex) = regex {
        let at = at.field("uriRegexRewrite");
        if regex.pattern.is_empty() || regex.rewrite.is_empty() {
            cx.error(&at, "UriRegexRewrite requires both Rewrite and Match fields to be specified");
        } else {
            string_match::check_regex(cx, &at.field("match"), &regex.pattern, Place::RegexRewrite);
        }
    }
}

pub(in super::super) fn check_retries(cx: &mut Checker<'_>, at: &At<'_>, retries: &HttpRetry) {
    if retries.attempts < 0 {
        cx.error(&at.field("attempts"), "attempts cannot be negative");
    }
    let has_more =
        retries.per_try_timeout.is_some() || !retries.retry_on.is_empty() || retries.retry_remote_localities.is_some();
    if retries.attempts == 0 && has_more {
        cx.error(at, "http retry policy configured when attempts are set to 0 (disabled)");
    }
    common::duration(cx, &at.field("perTryTimeout"), retries.per_try_timeout);
    common::duration(cx, &at.field("backoff"), retries.backoff);
    if !retries.retry_on.is_empty() {
        for problem in check_retry_on(&retries.retry_on) {
            cx.error(&at.field("retryOn"), problem);
        }
    }
}

fn check_fault(cx: &mut Checker<'_>, at: &At<'_>, fault: &HttpFaultInjection) {
    if fault.abort.is_none() && fault.delay.is_none() {
        cx.error(at, "HTTP fault injection must have an abort and/or a delay");
    }
    if let Some(abort) = &fault.abort {
        check_abort(cx, &at.field("abort"), abort);
    }
    if let Some(delay) = &fault.delay {
        check_delay(cx, &at.field("delay"), delay);
    }
}

fn check_abort(cx: &mut Checker<'_>, at: &At<'_>, abort: &FaultAbort) {
    check_percentage(cx, &at.field("percentage"), abort.percentage);
    if let Some(status) = abort.http_status {
        cx.check(&at.field("httpStatus"), check_status(i64::from(status)));
        if status == 600 {
            cx.unchecked(|cx| cx.error(&at.field("httpStatus"), "HTTP status 600 is not in range 200-599"));
        }
    } else if let Some(status) = &abort.grpc_status {
        if grpc_status::code(status).is_none() {
            let message = format!(
                "gRPC status {status:?} is not supported. See \
                 https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported codes, \
                 for example 'NOT_FOUND'"
            );
            cx.error(&at.field("grpcStatus"), message);
        }
    } else if abort.http2_error.is_some() {
        cx.error(&at.field("http2Error"), "HTTP/2 abort fault injection not supported yet");
    } else {
        cx.warn(at, "abort configured, but error type not set");
    }
}

fn check_delay(cx: &mut Checker<'_>, at: &At<'_>, delay: &FaultDelay) {
    check_percentage(cx, &at.field("percentage"), delay.percentage);
    common::duration(cx, &at.field("fixedDelay"), delay.fixed_delay);
    if delay.exponential_delay.is_some() {
        common::duration(cx, &at.field("exponentialDelay"), delay.exponential_delay);
        cx.error(&at.field("exponentialDelay"), "exponentialDelay not supported yet");
    }
}

fn check_percentage(cx: &mut Checker<'_>, at: &At<'_>, percentage: Option<Percent>) {
    let Some(Percent { value }) = percentage else { return };
    // What is no number has a finding of its own.
    if !value.is_nan() && value != 0.0 && !(0.0001..=100.0).contains(&value) {
        cx.error(at, format!("percentage {value} is neither 0.0, nor in range [0.0001, 100.0]"));
    }
}

fn check_mirrors(cx: &mut Checker<'_>, at: &At<'_>, route: &HttpRoute) {
    if let Some(percent) = route.mirror_percent {
        let at = at.field("mirrorPercent");
        if percent > 100 {
            cx.error(&at, format!("mirror_percent must have a max value of 100 (it has {percent})"));
        }
        cx.warn(&at, r#"using deprecated setting "mirrorPercent", use "mirrorPercentage" instead"#);
    }
    check_share(cx, &at.field("mirrorPercentage"), route.mirror_percentage, "mirror_percentage");
    if let Some(mirror) = &route.mirror {
        destination(cx, &at.field("mirror"), mirror);
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        let at = at.field("mirrors");
        let at = at.index(index);
        check_share(cx, &at.field("percentage"), mirror.percentage, "mirror percentage");
        match &mirror.destination {
            Some(to) => destination(cx, &at.field("destination"), to),
            None => cx.error(&at, "destination is required for mirrors"),
        }
    }
}

fn check_share(cx: &mut Checker<'_>, at: &At<'_>, percentage: Option<Percent>, name: &str) {
    let Some(Percent { value }) = percentage else { return };
    if value > 100.0 {
        cx.error(at, format!("{name} must have a max value of 100 (it has {value:.6})"));
    }
    if value < 0.0 {
        cx.error(at, format!("{name} must have a min value of 0 (it has {value:.6})"));
    }
}

fn check_cors(cx: &mut Checker<'_>, at: &At<'_>, cors: &CorsPolicy) {
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        let at = at.field("allowOrigins");
        let text = match origin {
            StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text) => text.as_str(),
            StringMatch::Presence => "",
        };
        match text {
            "" => cx.error(&at.index(index), "'' is not a valid match type for CORS allow origins"),
            _ => string_match::check(cx, &at.index(index), origin, Place::CorsOrigins),
        }
    }
    for (index, method) in cors.allow_methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            cx.error(&at.field("allowMethods").index(index), format!("{method:?} is not a supported HTTP method"));
        }
    }
    for (field, names) in [("allowHeaders", &cors.allow_headers), ("exposeHeaders", &cors.expose_headers)] {
        for (index, name) in names.iter().enumerate() {
            cx.check(&at.field(field).index(index), check_name(name));
        }
    }
    common::duration(cx, &at.field("maxAge"), cors.max_age);
    if cors.max_age.is_some_and(|age| age.as_nanos() % 1_000_000_000 != 0) {
        cx.error(&at.field("maxAge"), "max_age duration is accurate only to seconds precision");
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];
