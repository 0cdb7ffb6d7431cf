use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Method, Version};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ResponseFlags;
use crate::telemetry::Side;
use crate::telemetry::record::Names;

/// A request of which all is known.
fn record() -> Record {
    let started = UNIX_EPOCH + Duration::from_millis(1_795_575_805_979);
    let mut record = Record::new(Side::Client, started, Method::GET);
    record.path = Some("/api/v1?id=7&x=y".parse().unwrap());
    record.authority = "reviews:9080".into();
    record.protocol = Version::HTTP_2;
    record.status = 503;
    record.flags = ResponseFlags::URX.with(ResponseFlags::UF);
    record.details = "upstream_reset_before_response_started{remote_connection_failure}".into();
    record.duration = Duration::from_millis(25);
    record.response_duration = Some(Duration::from_millis(20));
    (record.request_bytes, record.response_bytes) = (5, 91);
    record.route = "canary".into();
    record.cluster = Some("outbound|9080|v1|reviews.default.svc.cluster.local".into());
    record.upstream = Some("10.0.0.1:9080".into());
    record.attempts = 3;
    record.downstream_remote = Some("192.0.2.7:1234".parse().unwrap());
    for (name, value) in [("user-agent", "curl/8"), ("x-request-id", "abc"), ("x-odd", "a\tb\"c")] {
        record.request_headers.insert(name, HeaderValue::from_static(value));
    }
    record
}

fn line(format: &Format, record: &Record) -> String {
    let mut out = Vec::new();
    format.write(record, "host-1", &mut out);
    String::from_utf8(out).unwrap()
}

fn text(format: &str) -> String {
    line(&Format::text(format, false).unwrap(), &record())
}

#[test]
fn the_default_line_is_istios() {
    let expected = concat!(
        r#"[2026-11-25T03:03:25.979Z] "GET /api/v1?id=7&x=y HTTP/2" 503 URX,UF "#,
        r#"upstream_reset_before_response_started{remote_connection_failure} - "-" 5 91 25 20 "-" "curl/8" "abc" "#,
        r#""reviews:9080" "10.0.0.1:9080" outbound|9080|v1|reviews.default.svc.cluster.local - - 192.0.2.7:1234 - canary"#,
        "\n"
    );
    assert_eq!(line(&Format::default_text(false), &record()), expected);
}

#[test]
fn lines_of_json_have_numbers_and_nulls() {
    let parsed: serde_json::Value = serde_json::from_str(&line(&Format::default_json(false), &record())).unwrap();
    assert_eq!(parsed.as_object().unwrap().len(), 24);
    assert_eq!(
        (&parsed["response_code"], &parsed["bytes_sent"], &parsed["duration"]),
        (&json!(503), &json!(91), &json!(25))
    );
    assert_eq!((&parsed["response_flags"], &parsed["x_forwarded_for"]), (&json!("URX,UF"), &json!(null)));
    let without: serde_json::Value = serde_json::from_str(&line(&Format::default_json(true), &record())).unwrap();
    assert!(without.get("x_forwarded_for").is_none() && without.get("authority").is_some());
}

#[test]
fn no_flags_are_a_dash_in_json_too_where_other_things_are_null() {
    let record = Record::new(Side::Server, UNIX_EPOCH, Method::GET);
    let values =
        [("flags", "%RESPONSE_FLAGS%"), ("long", "%RESPONSE_FLAGS_LONG%"), ("status", "%GRPC_STATUS(NUMBER)%")];
    let format = Format::json(values.map(|(name, value)| (name, json!(value))), false).unwrap();
    assert_eq!(line(&format, &record), "{\"flags\":\"-\",\"long\":\"-\",\"status\":null}\n");
}

#[test]
fn values_of_json_may_be_lists_and_objects_and_mixed_texts() {
    let values = [
        ("b", json!({"c": "%RESPONSE_CODE%", "d": ["%REQ(missing)%", 1, true]})),
        ("a", json!("%PROTOCOL%/%REQ(missing)%")),
    ];
    let format = Format::json(values, false).unwrap();
    assert_eq!(line(&format, &record()), "{\"a\":\"HTTP/2/-\",\"b\":{\"c\":503,\"d\":[null,1,true]}}\n");
}

#[test]
fn commands_are_written_as_envoy_writes_them() {
    let cases = [
        ("%%", "%"),
        ("%REQ(USER-AGENT):4%", "curl"),
        ("%REQ(missing?x-request-id)%", "abc"),
        ("%RESP(x-missing)%|%TRAILER(x-missing)%", "-|-"),
        ("%RESPONSE_FLAGS_LONG%", "UpstreamRetryLimitExceeded,UpstreamConnectionFailure"),
        ("%RESPONSE_DURATION% %RESPONSE_TX_DURATION% %REQUEST_DURATION%", "20 5 -"),
        ("%UPSTREAM_CLUSTER%", "outbound|9080|v1|reviews.default.svc.cluster.local;"),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "10.0.0.1 9080"),
        ("%DOWNSTREAM_REMOTE_PORT% %DOWNSTREAM_LOCAL_ADDRESS%", "1234 -"),
        ("%START_TIME(%s.%3f)%", "1795575805.979"),
        ("%HOSTNAME% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "host-1 3"),
        ("%GRPC_STATUS% %GRPC_STATUS_NUMBER%", "- -"),
        ("%DYNAMIC_METADATA(a:b)% %FILTER_STATE(x:PLAIN)%", "- -"),
        ("%QUERY_PARAM(id)% %QUERY_PARAM(none)%", "7 -"),
        ("%STREAM_ID%", "abc"),
        ("%ENVIRONMENT(NO_SUCH_VARIABLE_HERE)%", "-"),
    ];
    for (format, expected) in cases {
        assert_eq!(text(format), format!("{expected}\n"), "{format}");
    }
    let call = Record { is_grpc: true, grpc_status: Some(5), ..record() };
    let forms = "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%";
    assert_eq!(line(&Format::text(forms, false).unwrap(), &call), "NotFound NOT_FOUND 5 5\n");
}

#[test]
fn no_header_makes_a_second_line() {
    assert_eq!(text("%REQ(x-odd)%"), "a\\x09b\"c\n");
    let format = Format::json([("odd", json!("%REQ(x-odd)%"))], false).unwrap();
    assert_eq!(line(&format, &record()), "{\"odd\":\"a\\tb\\\"c\"}\n");
}

#[test]
fn no_header_is_obeyed_by_a_terminal() {
    let mut record = record();
    let odd =
        HeaderValue::from_bytes("\u{9b}2Jé".as_bytes().iter().chain(b"\x9b").copied().collect::<Vec<_>>().as_slice());
    record.request_headers.insert("x-odd", odd.unwrap());
    assert_eq!(line(&Format::text("%REQ(x-odd)%", false).unwrap(), &record), "\\xc2\\x9b2Jé\\x9b\n");
}

#[test]
fn what_cannot_be_read_says_where() {
    for (format, problem) in [
        ("ok %NO_SUCH_COMMAND%", "%NO_SUCH_COMMAND% is not a command of access logs (at character 4)"),
        ("%REQ%", "%REQ% needs the name of a header in parentheses (at character 1)"),
        ("%GRPC_STATUS(x)%", "%GRPC_STATUS% is CAMEL_STRING, SNAKE_STRING or NUMBER, not \"x\" (at character 1)"),
        ("%PROTOCOL(x)%", "%PROTOCOL% takes no argument (at character 1)"),
    ] {
        assert_eq!(Format::text(format, false).unwrap_err(), problem);
    }
    assert!(Format::text("50 % off", false).is_err() && Format::text("%REQ(", false).is_err());
    let named = Format::json([("code", json!("%NOPE%"))], false).unwrap_err();
    assert!(named.starts_with("code: %NOPE%"), "{named}");
}

#[test]
fn only_headers_that_a_line_is_made_of_are_wanted() {
    let format = Format::text("%REQ(a?b)% %REQ(:PATH)% %RESP(c)%", false).unwrap();
    let names = |names: &[&'static str]| Names::Some(names.iter().map(|name| HeaderName::from_static(name)).collect());
    assert_eq!(format.wanted().request, names(&["a", "b"]));
    assert_eq!(Format::text("%STREAM_ID%", false).unwrap().wanted().request, names(&["x-request-id"]));
    assert_eq!((&format.wanted().response, &format.wanted().trailers), (&names(&["c"]), &Names::NONE));
}

proptest! {
    #[test]
    fn no_format_panics(format in "[%A-Z_()?:a-z0-9 ]{0,60}") {
        if let Ok(format) = Format::text(&format, false) {
            prop_assert!(line(&format, &record()).ends_with('\n'));
        }
    }
}

#[test]
fn what_is_known_of_the_connection_to_the_endpoint_is_written() {
    let mut known = record();
    known.upstream_local = Some("10.0.0.9:4711".parse().unwrap());
    known.upstream_failure = Some("delayed connect error: Connection refused".into());
    known.unique_id = u128::MAX;
    known.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
    known.tls.local_uri = Some("spiffe://cluster.local/ns/shop/sa/reviews".into());
    let write = |format: &str| line(&Format::text(format, false).unwrap(), &known);
    let local = "%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%";
    assert_eq!(write(local), "10.0.0.9:4711 10.0.0.9 4711\n");
    let reason = "%UPSTREAM_TRANSPORT_FAILURE_REASON% %TRACE_ID% %DOWNSTREAM_LOCAL_URI_SAN%";
    let expected = "delayed_connect_error:_Connection_refused 0af7651916cd43dd8448eb211c80319c \
                    spiffe://cluster.local/ns/shop/sa/reviews\n";
    assert_eq!(write(reason), expected);
    assert_eq!(write("%UNIQUE_ID%"), "ffffffff-ffff-4fff-bfff-ffffffffffff\n");
    known.upstream_local = None;
    known.response_duration = None;
    let nowhere = Format::text("%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_LOCAL_PORT%", false).unwrap();
    assert_eq!(line(&nowhere, &known), "10.0.0.1:9080 - -\n");
}

#[test]
fn a_header_that_says_nothing_is_there_and_the_time_of_the_endpoint_is_known_without_one() {
    let mut known = record();
    known.request_headers.insert("x-empty", HeaderValue::from_static(""));
    let write = |format: &str| line(&Format::text(format, false).unwrap(), &known);
    assert_eq!(write("[%REQ(X-EMPTY)%] [%REQ(X-NONE)%]"), "[] [-]\n");
    assert_eq!(write("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"), "20\n");
}

#[test]
fn a_call_that_was_told_no_status_has_the_one_that_the_http_status_means() {
    let mut known = record();
    let write = |known: &Record| line(&Format::text("%GRPC_STATUS% %GRPC_STATUS_NUMBER%", false).unwrap(), known);
    assert_eq!(write(&known), "- -\n");
    known.is_grpc = true;
    assert_eq!(write(&known), "Unavailable 14\n");
    known.grpc_status = Some(5);
    assert_eq!(write(&known), "NotFound 5\n");
}
