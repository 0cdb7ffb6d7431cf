//! VirtualService: what a rule does.

use super::{assert_actions, http, with_route};

#[test]
fn actions_are_checked() {
    for (action, finding) in [
        ("timeout: 0s", "error spec.http[0].timeout: duration must be greater than 1ms"),
        ("timeout: 1ms", ""),
        ("timeout: 1500us", "error spec.http[0].timeout: only durations to ms precision are supported"),
        ("retries: {attempts: -1}", "error spec.http[0].retries.attempts: attempts cannot be negative"),
        (
            "retries: {attempts: 0, retryOn: 5xx}",
            "error spec.http[0].retries: http retry policy configured when attempts are set to 0 (disabled)",
        ),
        (
            "retries: {attempts: 1, retryOn: '5xx, 503'}",
            "error spec.http[0].retries.retryOn: \" 503\" is not a valid retryOn policy",
        ),
        (
            "rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}",
            "error spec.http[0].rewrite.uriRegexRewrite: rewrite may only contain one of URI or UriRegexRewrite",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a}}",
            "error spec.http[0].rewrite.uriRegexRewrite: UriRegexRewrite requires both Rewrite and Match fields to be specified",
        ),
        ("fault: {}", "error spec.http[0].fault: HTTP fault injection must have an abort and/or a delay"),
        (
            "fault: {abort: {httpStatus: 600}}",
            "warning spec.http[0].fault.abort.httpStatus: HTTP status 600 is not in range 200-599",
        ),
        (
            "fault: {abort: {httpStatus: 601}}",
            "error spec.http[0].fault.abort.httpStatus: HTTP status 601 is not in range 200-599",
        ),
        (
            "fault: {abort: {percentage: {value: 0.00001}, httpStatus: 500}}",
            "error spec.http[0].fault.abort.percentage: percentage 0.00001 is neither 0.0, nor in range [0.0001, 100.0]",
        ),
        ("fault: {abort: {}}", "warning spec.http[0].fault.abort: abort configured, but error type not set"),
        (
            "mirrorPercent: 10",
            "warning spec.http[0].mirrorPercent: using deprecated setting \"mirrorPercent\", use \"mirrorPercentage\" instead",
        ),
        (
            "mirrorPercentage: {value: 100.5}",
            "error spec.http[0].mirrorPercentage: mirror_percentage must have a max value of 100 (it has 100.500000)",
        ),
        ("mirrors: [{}]", "error spec.http[0].mirrors[0]: destination is required for mirrors"),
        (
            "corsPolicy: {allowOrigins: [{exact: ''}]}",
            "error spec.http[0].corsPolicy.allowOrigins[0]: '' is not a valid match type for CORS allow origins",
        ),
        (
            "corsPolicy: {allowMethods: [get]}",
            "error spec.http[0].corsPolicy.allowMethods[0]: \"get\" is not a supported HTTP method",
        ),
        (
            "corsPolicy: {maxAge: 1500ms}",
            "error spec.http[0].corsPolicy.maxAge: max_age duration is accurate only to seconds precision",
        ),
        (
            "headers: {request: {set: {':path': x}}}",
            "error spec.http[0].headers.request.set[:path]: invalid header \":path\": header cannot have \":\" prefix",
        ),
        (
            "headers: {response: {remove: [Host]}}",
            "error spec.http[0].headers.response.remove[0]: invalid header \"Host\": cannot set Host header",
        ),
        (
            "headers: {request: {set: {Host: a}}}\nrewrite: {authority: b}",
            "error spec.http[0].headers.request.set[Host]: authority header cannot be set multiple times: have \"b\", attempting to set \"a\"",
        ),
    ] {
        assert_eq!(with_route(action).join("\n"), finding, "{action}");
    }
}

#[test]
fn redirects_and_direct_responses_are_checked() {
    for (action, finding) in [
        ("redirect: {}", "error spec.http[0].redirect: redirect must specify URI, authority, scheme, or port"),
        (
            "redirect: {uri: /a, prefixRewrite: /b}",
            "error spec.http[0].redirect.prefixRewrite: redirect may only specify one of uri or prefix_rewrite",
        ),
        (
            "match: [{uri: {exact: /a}}]\nredirect: {prefixRewrite: /b}",
            "error spec.http[0].redirect.prefixRewrite: redirect prefix_rewrite requires all URI matches to use prefix match type",
        ),
        (
            "redirect: {uri: /a, redirectCode: 200}",
            "error spec.http[0].redirect.redirectCode: 200 is not a valid redirect code, must be 3xx",
        ),
        (
            "redirect: {scheme: ftp}",
            "error spec.http[0].redirect.scheme: invalid redirect scheme, must be \"http\" or \"https\"",
        ),
        (
            "directResponse: {status: 199}",
            "error spec.http[0].directResponse.status: HTTP status 199 is not in range 200-599",
        ),
    ] {
        assert_eq!(http(action).join("\n"), finding, "{action}");
    }
    let body = "x".repeat((100 << 10) + 1);
    assert!(http(&format!("directResponse: {{status: 200, body: {{string: {body}}}}}"))[0].starts_with("warning"));
    let body = "x".repeat((1 << 20) + 1);
    assert!(
        http(&format!("directResponse: {{status: 200, body: {{string: {body}}}}}"))[0]
            .ends_with("must be less than 1MB")
    );
}

#[test]
fn rewrites_are_checked() {
    assert_actions(&[
        (
            "rewrite: {}",
            "error spec.http[0].rewrite: rewrite must specify at least one of URI, UriRegexRewrite, or authority. \
             Only one of URI or UriRegexRewrite may be specified",
        ),
        ("rewrite: {authority: b}", ""),
        ("rewrite: {uriRegexRewrite: {match: a, rewrite: b}}", ""),
    ]);
    let found = with_route("rewrite: {uriRegexRewrite: {match: '(', rewrite: b}}").join("\n");
    assert!(
        found.starts_with("error spec.http[0].rewrite.uriRegexRewrite.match: \"HTTPRewrite.UriRegexRewrite.Match\": "),
        "{found}"
    );
}

#[test]
fn retries_are_checked() {
    assert_actions(&[
        ("retries: {attempts: 0}", ""),
        ("retries: {}", ""),
        (
            "retries: {perTryTimeout: 1s}",
            "error spec.http[0].retries: http retry policy configured when attempts are set to 0 (disabled)",
        ),
        (
            "retries: {retryRemoteLocalities: false}",
            "error spec.http[0].retries: http retry policy configured when attempts are set to 0 (disabled)",
        ),
        ("retries: {backoff: 10ms}", ""),
        (
            "retries: {attempts: 1, perTryTimeout: 0s, backoff: 1us}",
            "error spec.http[0].retries.perTryTimeout: duration must be greater than 1ms\n\
             error spec.http[0].retries.backoff: duration must be greater than 1ms",
        ),
        (
            "retries: {attempts: 1, retryOn: '5xx,nope,999'}",
            "error spec.http[0].retries.retryOn: \"nope\" is not a valid retryOn policy\n\
             error spec.http[0].retries.retryOn: \"999\" is not a valid retryOn policy",
        ),
    ]);
}

#[test]
fn faults_are_checked() {
    assert_actions(&[
        (
            "fault: {abort: {grpcStatus: unavailable}}",
            "error spec.http[0].fault.abort.grpcStatus: gRPC status \"unavailable\" is not supported. See \
             https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported codes, for example 'NOT_FOUND'",
        ),
        ("fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0.5}}}", ""),
        (
            "fault: {abort: {http2Error: x}}",
            "error spec.http[0].fault.abort.http2Error: HTTP/2 abort fault injection not supported yet",
        ),
        (
            "fault: {delay: {exponentialDelay: 1s}}",
            "error spec.http[0].fault.delay.exponentialDelay: exponentialDelay not supported yet",
        ),
        (
            "fault: {delay: {fixedDelay: 0s, percentage: {value: 101}}}",
            "error spec.http[0].fault.delay.percentage: percentage 101 is neither 0.0, nor in range [0.0001, 100.0]\n\
             error spec.http[0].fault.delay.fixedDelay: duration must be greater than 1ms",
        ),
        ("fault: {delay: {fixedDelay: 1s, percentage: {value: 0}}}", ""),
    ]);
}

#[test]
fn mirrors_are_checked() {
    assert_actions(&[
        ("mirror: {host: b}\nmirrorPercentage: {value: 0}", ""),
        ("mirror: {host: '*'}", "error spec.http[0].mirror.host: invalid destination host *"),
        (
            "mirrorPercentage: {value: -1}",
            "error spec.http[0].mirrorPercentage: mirror_percentage must have a min value of 0 (it has -1.000000)",
        ),
        (
            "mirrors: [{destination: {host: b}, percentage: {value: 101}}]",
            "error spec.http[0].mirrors[0].percentage: mirror percentage must have a max value of 100 (it has 101.000000)",
        ),
        (
            "mirrorPercent: 101",
            "error spec.http[0].mirrorPercent: mirror_percent must have a max value of 100 (it has 101)\n\
             warning spec.http[0].mirrorPercent: using deprecated setting \"mirrorPercent\", use \"mirrorPercentage\" instead",
        ),
    ]);
}

#[test]
fn headers_of_requests_responses_and_destinations_are_checked() {
    assert_actions(&[
        ("headers: {request: {add: {Host: b}}}", ""),
        ("headers: {request: {set: {x: '%REQ(:path)%'}}}", ""),
        ("headers: {request: {add: {'': b}}}", "error spec.http[0].headers.request.add[]: header name cannot be empty"),
        (
            "headers: {response: {add: {x: '50%'}}}",
            "error spec.http[0].headers.response.add[x]: header value configuration: invalid header configuration. Un-escaped %",
        ),
        (
            "headers: {request: {remove: [':authority']}}",
            "error spec.http[0].headers.request.remove[0]: invalid header \":authority\": header cannot have \":\" prefix",
        ),
        (
            "headers: {request: {set: {Host: a}, add: {':authority': b}}}",
            "error spec.http[0].headers.request.add[:authority]: authority header cannot be set multiple times: \
             have \"a\", attempting to set \"b\"",
        ),
    ]);
    assert_eq!(
        http("route: [{destination: {host: a}, headers: {response: {set: {host: x}}}}]"),
        ["error spec.http[0].route[0].headers.response.set[host]: invalid header \"host\": cannot set Host header"]
    );
}

#[test]
fn cors_policies_are_checked() {
    assert_actions(&[
        ("corsPolicy: {allowOrigins: [{regex: '.*'}], allowMethods: ['*'], allowHeaders: ['*', x-a], maxAge: 24h}", ""),
        (
            "corsPolicy: {allowOrigins: [{}]}",
            "error spec.http[0].corsPolicy.allowOrigins[0]: '' is not a valid match type for CORS allow origins",
        ),
        (
            "corsPolicy: {exposeHeaders: ['x y']}",
            "error spec.http[0].corsPolicy.exposeHeaders[0]: header name x y is not a valid header name",
        ),
        (
            "corsPolicy: {allowHeaders: ['']}",
            "error spec.http[0].corsPolicy.allowHeaders[0]: header name cannot be empty",
        ),
    ]);
}
