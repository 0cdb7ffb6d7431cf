//! What comes out, as Envoy 1.40 was seen to have it.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::ResponseFlags;
use crate::telemetry::Side;
use crate::telemetry::record::Names;

fn record() -> Record {
    let mut record = Record::new(Side::Client, UNIX_EPOCH + Duration::from_secs(1_580_702_706), Method::GET);
    record.path = Some("/reviews/1?q=1&x=y".parse().unwrap());
    record.authority = "reviews:9080".into();
    record.status = 503;
    record.flags = ResponseFlags::UF;
    record.details = "via_upstream".into();
    record.duration = Duration::from_millis(25);
    record.response_duration = Some(Duration::from_millis(20));
    record.response_bytes = 10;
    record.attempts = 1;
    record.upstream = Some("127.0.0.1:80".into());
    for (name, value) in [("x-user", "ann"), ("x-two", "1"), ("x-two", "2"), ("referer", "http://r/")] {
        record.request_headers.append(name, HeaderValue::from_static(value));
    }
    record
}

fn is_true(expression: &str) -> bool {
    let (program, _) = Program::compile(expression).unwrap_or_else(|problem| panic!("{expression}: {problem}"));
    program.is_true(Scope { record: &record(), peer: None, own: None })
}

fn holds(expressions: &[&str]) {
    let wrong: Vec<_> = expressions.iter().filter(|expression| !is_true(expression)).collect();
    assert!(wrong.is_empty(), "not true: {wrong:#?}");
}

fn fails(expressions: &[&str]) {
    let wrong: Vec<_> = expressions.iter().filter(|expression| is_true(expression)).collect();
    assert!(wrong.is_empty(), "true: {wrong:#?}");
}

#[test]
fn attributes_are_what_is_known_of_the_request() {
    holds(&[
        "request.path == '/reviews/1?q=1&x=y'",
        "request['url_path'] == '/reviews/1' && request.query == 'q=1&x=y'",
        "request.host == 'reviews:9080' && request.method == 'GET' && request.protocol == 'HTTP/1.1'",
        "request.headers['X-USER'] == 'ann' && request.headers.referer == 'http://r/'",
        "'X-User' in request.headers && has(request.headers.referer) && has(request.referer)",
        "request.headers['x-two'] == '1,2'",
        "request.headers[':path'] == request.path && response.headers[':status'] == '503'",
        "size(request.headers) == 8",
        "response.code == 503 && response.code == 503u && response.code == 503.0 && response.code > 502.5",
        "response.flags == 32 && response.grpc_status == 14 && response.size == 10",
        "response.backend_latency == duration('20ms') && request.duration == duration('25ms')",
        "request.time == timestamp('2020-02-03T04:05:06Z') && request.time.getFullYear() == 2020",
        "!connection.mtls && connection.requested_server_name == ''",
        "upstream.port == 80 && upstream.transport_failure_reason == '' && upstream.request_attempt_count == 1u",
        "xds.listener_direction == 2 && xds.route_name == ''",
    ]);
}

#[test]
fn what_is_missing_errs_and_an_error_is_not_true() {
    fails(&[
        "request.headers['x-none'] == 'a'",
        "request.headers['x-none'] != 'a'",
        "!(request.headers['x-none'] == 'a')",
        "request.headers['x-none'] == null",
        "request.headers['x-none'] == 'a' ? true : true",
        "has(request.headers.nosuch)",
        "has(request.nosuch)",
        "has(request.headers.x.y)",
        "has(nosuch.a)",
        "request.useragent == ''",
        "request.nosuch == 1",
        "nosuch == 1",
        "nosuch(request.path)",
        "metadata.filter_metadata['a'] == 'b'",
        "connection.tls_version == ''",
        "source.port > 0",
        "request",
        "request.path",
        "response.code",
        "1",
        "'true'",
        "null",
        "response.code ? true : false",
        "response.code && true",
        "(1 / 0 == 1) && false",
        "[1, 1 / 0].size() == 2",
    ]);
    holds(&[
        "true || request.headers['x-none'] == 'a'",
        "request.headers['x-none'] == 'a' || true",
        "(nosuch.x && true) || true",
        "!('x-none' in request.headers)",
        "!has(request.headers.nosuch) || request.headers.nosuch == 'x'",
    ]);
}

#[test]
fn values_of_different_types_are_different_and_are_not_ordered() {
    holds(&[
        "response.code != '503'",
        "1 == 1u && 1 == 1.0 && 1.0 == 1u && 1 < 1.5 && 2u > 1",
        "null == null && null != 1 && true != 1 && [1] != ['a'] && [1] == [1.0]",
        "{'a': 1} == {'a': 1u} && [] == [] && {} == {}",
        "9007199254740993 == 9007199254740992.0 && 0.0 == -0.0",
        "0.0 / 0.0 != 0.0 / 0.0 && 5.0 / 0.0 > 1.0",
        "'a' < 'b' && true > false && b'a' < b'b'",
        "request.headers == request.headers",
    ]);
    fails(&[
        "1 < 'a'",
        "[1] < [2]",
        "null < null",
        "response.code == '503'",
        "'a' == b'a'",
        "duration('1s') == 1",
        "0.0 / 0.0 == 0.0 / 0.0",
    ]);
}

#[test]
fn whole_numbers_do_not_mix_and_do_not_overflow() {
    holds(&["1 + 1 == 2 && 1u + 1u == 2u && 5 / 2 == 2 && -5 / 2 == -2 && 5 % 3 == 2 && 2 + 3 * 4 - 1 == 13"]);
    fails(&[
        "1 + 1u == 2",
        "1 + 1.0 == 2.0",
        "5 / 0 == 2",
        "5 % 0 == 2",
        "9223372036854775807 + 1 > 0",
        "0u - 1u == 0u",
        "-(-9223372036854775807 - 1) > 0",
        "(-9223372036854775807 - 1) / -1 > 0",
        "(-9223372036854775807 - 1) % -1 == 0",
        "5.5 % 2.0 == 1.5",
        "-1u == 1u",
    ]);
}

#[test]
fn lists_and_maps_are_looked_into() {
    holds(&[
        "response.code in [200, 503] && response.code in [503u] && 2 in [1, 'a', 2]",
        "[1, 2][1] == 2 && [1, 2, 3][1u] == 2 && [1, 2, 3][1.0] == 2",
        "{'a': 1}.a == 1 && {'a': 1}['a'] == 1 && {1: 'a'}[1u] == 'a' && 'a' in {'a': 1} && has({'a': 1}.a)",
        "size([1, 2]) == 2 && size({'a': 1}) == 1 && size(b'abc') == 3 && size('é') == 1 && 'a'.size() == 1",
        "{'GET': true}[request.method]",
    ]);
    fails(&[
        "[1, 2][5] == 2",
        "[1, 2][-1] == 2",
        "{'a': 1}['b'] == 1",
        "has({'a': 1}.b)",
        "'a' in 'abc'",
        "1 in []",
        "{1: 'a', 1: 'b'}[1] == 'b'",
        "{1.5: 2} == {1.5: 2}",
        "size(1) == 1",
        "'a' in [nosuch]",
    ]);
}

#[test]
fn functions_are_those_that_envoy_has() {
    holds(&[
        "request.path.startsWith('/rev') && request.path.endsWith('y') && request.path.contains('q=')",
        "startsWith(request.path, '/rev') && matches(request.path, 'iews') && request.path.matches('^/rev')",
        "int('12') == 12 && int(1.9) == 1 && int(-1.9) == -1 && int(timestamp(5)) == 5 && uint('3') == 3u",
        "double('1.5') == 1.5 && bool('t') && bytes('a') == b'a' && dyn(1) == 1 && type(1) == int",
        "string(response.code) == '503' && string(1.5) == '1.5' && 'a' + 'b' == 'ab'",
        "timestamp('1970-01-01T01:00:05+01:00') == timestamp(5) && timestamp(5) - timestamp(3) == duration('2s')",
        "duration('1h30m') == duration('90m') && duration('-1s') < duration('0s')",
        "timestamp('2020-02-03T04:05:06.789Z').getMonth() == 1",
        "timestamp('2020-02-03T04:05:06.789Z').getDate() == 3 && timestamp(0).getDayOfWeek() == 4",
        "timestamp('2020-02-03T04:05:06.789Z').getDayOfYear() == 33",
        "timestamp('2020-02-03T04:05:06.789Z').getMilliseconds() == 789",
        "timestamp('2020-02-03T04:05:06.789Z').getHours('+02:00') == 6",
        "duration('3725s').getMinutes() == 62 && duration('1500ms').getMilliseconds() == 500",
    ]);
    fails(&[
        "'abc'.startsWith(1)",
        "int('x') == 12",
        "uint(-1) == 0u",
        "int(9.3e18) == 0",
        "bool(1)",
        "duration('5') == duration('5s')",
        "timestamp('2021-02-29T00:00:00Z') > timestamp(0)",
        "request.path.lowerAscii() == '/reviews'",
        "[1, 2].all(x, x > 0)",
        "'GETx'.matches(request.method)",
    ]);
}

#[test]
fn what_can_only_err_is_noted_with_its_column() {
    let notes = |text: &str| -> Vec<String> {
        let (_, notes) = Program::compile(text).unwrap();
        notes.into_iter().map(|note| format!("{}: {}", note.column, note.what)).collect()
    };
    assert_eq!(notes("true && request.nosuch == 1"), ["9: there is no attribute request.nosuch"]);
    assert_eq!(notes("nosuch.a.b"), ["1: there is no variable nosuch"]);
    assert_eq!(notes("request.path.lowerAscii()"), ["14: there is no function lowerAscii"]);
    assert_eq!(notes("max(1, 2) == 2"), ["1: there is no function max"]);
    assert_eq!(notes("'a'.startsWith()"), ["5: startsWith does not take so many arguments"]);
    assert_eq!(
        notes("metadata.filter_metadata['a'] == 'b'"),
        ["1: the attribute metadata.filter_metadata is never there in a process"]
    );
    assert_eq!(notes("request.path.matches(request.host)"), ["14: the pattern of matches has to be a text in quotes"]);
    assert_eq!(
        notes("a.?b"),
        ["1: an optional field is not evaluated"].map(|_| "2: an optional field is not evaluated")
    );
    assert!(notes("has(request.nosuch) || !has(connection.tls_version)").is_empty(), "that is what is asked");
}

#[test]
fn the_headers_that_are_read_are_wanted() {
    let wanted = |text: &str| Program::compile(text).unwrap().0.wanted().clone();
    let two = wanted("request.headers['X-A'] == 'a' || request.useragent == 'b' || has(response.headers.etag)");
    assert_eq!(two.request, Names::Some(vec!["x-a".parse().unwrap(), "user-agent".parse().unwrap()]));
    assert_eq!(two.response, Names::Some(vec!["etag".parse().unwrap()]));
    assert_eq!(wanted("size(request.headers) > 3").request, Names::All);
    assert_eq!(wanted("request.headers[request.method] == 'a'").request, Names::All);
    assert_eq!(wanted("request.headers[':path'] == 'a'").request, Names::NONE);
}

#[test]
fn tags_tell_of_both_workloads() {
    let labels = [("app".to_owned(), "reviews".to_owned()), ("version".to_owned(), "v2".to_owned())].into();
    let peer = Workload::new(Some("reviews-v2"), Some("shop"), &labels);
    let own = Workload::new(Some("web"), Some("shop"), &[("app".to_owned(), "web".to_owned())].into());
    let tag = |text: &str, side| {
        let mut record = record();
        record.side = side;
        let (program, notes) = Program::compile(text).unwrap();
        assert_eq!(notes, []);
        program.tag(Scope { record: &record, peer: Some(&peer), own: Some(&own) }).into_string()
    };
    for expression in [
        "destination.labels['app'].value",
        "destination.labels['app']",
        "upstream_peer.labels['app'].value",
        "filter_state.upstream_peer.app",
        "filter_state['upstream_peer'].labels['app'].value",
    ] {
        assert_eq!(tag(expression, Side::Client), "reviews", "{expression}");
        assert_eq!(tag(expression, Side::Server), "web", "{expression}");
    }
    assert_eq!(tag("downstream_peer.workload + '/' + downstream_peer.version", Side::Server), "reviews-v2/v2");
    assert_eq!(tag("upstream_peer.cluster", Side::Client), "unknown");
    assert_eq!(tag("source.labels['team'].value", Side::Client), "unknown");
    assert_eq!(tag("has(request.headers.missing) ? 'a' : string(response.code)", Side::Client), "503");
    assert_eq!(tag("request.headers['missing']", Side::Client), "unknown");
    assert_eq!(tag("response.code >= 500", Side::Client), "true");
    assert_eq!(tag("request.time", Side::Client), "2020-02-03T04:05:06Z");
    assert_eq!(tag("request.duration", Side::Client), "0.025s");
}

#[test]
fn a_tag_is_cut_where_it_is_too_long() {
    let mut record = record();
    record.authority = "é".repeat(LONGEST_TAG).into();
    let (program, _) = Program::compile("'x' + request.host").unwrap();
    let tag = program.tag(Scope { record: &record, peer: None, own: None });
    assert_eq!(tag.len(), LONGEST_TAG - 1);
}

#[test]
fn long_expressions_need_no_deep_stack() {
    for long in [
        format!("1{}", " + 1".repeat(50_000)),
        format!("true{}", " && true".repeat(50_000)),
        format!("{{}}{}", ".a".repeat(50_000)),
        format!("1{}", ".size()".repeat(50_000)),
        format!("nosuch{}", "[0]".repeat(50_000)),
        format!("{}true", "!".repeat(50_000)),
        format!("{}true{}", "(".repeat(90), ")".repeat(90)),
        format!("{}true{}", "[".repeat(90), "]".repeat(90)),
    ] {
        let _value = is_true(&long);
    }
}

/// Expressions that make sense more often than any text does.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("request.path"),
        Just("response.code"),
        Just("request.headers['x-user']"),
        Just("request.headers"),
        Just("request.headers['x-none']"),
        Just("1"),
        Just("-1"),
        Just("2u"),
        Just("1.5"),
        Just("'a'"),
        Just("b'a'"),
        Just("true"),
        Just("false"),
        Just("null"),
        Just("nosuch.x"),
        Just("request.time"),
        Just("request.duration"),
        Just("9223372036854775807"),
        Just("-9223372036854775808"),
        Just("18446744073709551615u"),
        Just("1e308"),
        Just("timestamp('9999-12-31T23:59:59Z')"),
        Just("timestamp(9223372036)"),
        Just("duration('2562047h')"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 64, 3, |inner| {
        let operator = prop_oneof![
            Just("=="),
            Just("!="),
            Just("<"),
            Just(">="),
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("in"),
            Just("&&"),
            Just("||")
        ];
        let function = prop_oneof![
            Just("size"),
            Just("int"),
            Just("uint"),
            Just("double"),
            Just("string"),
            Just("bool"),
            Just("bytes"),
            Just("type"),
            Just("dyn"),
            Just("duration"),
            Just("timestamp")
        ];
        let method = prop_oneof![
            Just("size()"),
            Just("startsWith('a')"),
            Just("matches('a+')"),
            Just("getHours()"),
            Just("getFullYear()"),
            Just("getDayOfYear('-05:00')"),
            Just("getMilliseconds()")
        ];
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), method).prop_map(|(a, m)| format!("({a}).{m}")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}][{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

/// True, false or an error.
fn outcome(text: &str) -> Result<bool, super::value::Erred> {
    let (program, _) = Program::compile(text).unwrap();
    program.root.truth(Scope { record: &record(), peer: None, own: None })
}

proptest! {
    #[test]
    fn any_text_is_compiled_and_evaluated_without_a_panic(text in "[a-c0-9.?:!&|()\\[\\]{}'\"\\\\ ,=<>+*/%é-]{0,32}") {
        if let Ok((program, _)) = Program::compile(&text) {
            let record = record();
            let scope = Scope { record: &record, peer: None, own: None };
            drop((program.is_true(scope), program.tag(scope)));
        }
    }

    #[test]
    fn any_expression_is_evaluated_without_a_panic(text in expression()) {
        let record = record();
        let (program, _) = Program::compile(&text).unwrap();
        let scope = Scope { record: &record, peer: None, own: None };
        prop_assert_eq!(program.is_true(scope), outcome(&text) == Ok(true));
        prop_assert!(program.tag(scope).len() <= LONGEST_TAG);
    }

    #[test]
    fn and_and_or_do_not_care_for_the_order(a in expression(), b in expression()) {
        for operator in ["&&", "||"] {
            prop_assert_eq!(outcome(&format!("({a}) {operator} ({b})")), outcome(&format!("({b}) {operator} ({a})")));
        }
    }

    #[test]
    fn de_morgan_holds_with_errors_too(a in expression(), b in expression()) {
        prop_assert_eq!(outcome(&format!("!(({a}) && ({b}))")), outcome(&format!("!({a}) || !({b})")));
        prop_assert_eq!(outcome(&format!("!!({a})")), outcome(&format!("({a}) && true")));
    }

    #[test]
    fn what_is_not_equal_is_different(a in expression(), b in expression()) {
        prop_assert_eq!(outcome(&format!("!(({a}) == ({b}))")), outcome(&format!("({a}) != ({b})")));
        prop_assert_eq!(outcome(&format!("({a}) == ({b})")), outcome(&format!("({b}) == ({a})")));
    }

    #[test]
    fn numbers_are_what_is_written(number in any::<i64>(), unsigned in any::<u64>(), text in "[ -~]{0,20}") {
        prop_assert_eq!(outcome(&format!("int('{number}') == {number}")), Ok(true));
        prop_assert_eq!(outcome(&format!("uint('{unsigned}') == {unsigned}u")), Ok(true));
        let quoted = text.replace('\\', "\\\\").replace('\'', "\\'");
        prop_assert_eq!(outcome(&format!("size('{quoted}') == {}", text.len())), Ok(true));
    }

    #[test]
    fn points_in_time_come_back_from_their_text(seconds in -9_000_000_000_i64..9_000_000_000, nanos in 0..1_000_000_000_i64) {
        let nanos = seconds * 1_000_000_000 + nanos;
        prop_assert_eq!(super::time::timestamp(&super::time::timestamp_text(nanos)), Some(nanos));
        let text = super::time::duration_text(nanos);
        prop_assert_eq!(text.parse::<mesh_config::value::Duration>().map(|read| read.as_nanos()), Ok(nanos));
    }
}
