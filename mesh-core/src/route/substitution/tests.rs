use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::route::testing::Request;

fn exchange() -> Exchange<'static> {
    Exchange {
        downstream_remote: Some("10.0.250.1:40000".parse().unwrap()),
        downstream_local: Some("[::1]:9080".parse().unwrap()),
        peer_principal: Some("spiffe://cluster.local/ns/default/sa/web"),
        hostname: "pod-1",
        ..Exchange::new(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_575_805_979))
    }
}

fn rendered(text: &str, request: &Request) -> String {
    let headers: HeaderMap =
        [("x-up", "mine")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect();
    let parts = request.parts();
    let scope = Scope {
        exchange: &exchange(),
        request: Some(RequestHead::from(&parts)),
        response: Some((StatusCode::NOT_FOUND, &headers)),
        route: "rule.block",
        cluster: "outbound|9080|v1|reviews.default.svc.cluster.local",
    };
    String::from_utf8(Template::parse(text).unwrap().render(&scope)).unwrap()
}

#[test]
fn each_command_renders_its_value() {
    let request = Request::get("/fmt?q=1").header("x-in", "a").header("x-in", "b").header("x-empty", "");
    for (text, expected) in [
        ("%REQ(x-in)%", "a"),
        ("%REQ(X-In)%", "a"),
        ("%REQ(x-missing?x-in)%", "a"),
        ("%REQ(x-empty?x-in)%", ""),
        ("%REQ(x-missing)%", ""),
        ("a-%REQ(x-in)%-b", "a-a-b"),
        ("%REQ(:path)%", "/fmt?q=1"),
        ("%REQ(:path):4%", "/fmt"),
        ("%REQ(:method)% %REQ(:authority)% %REQ(host)% %REQ(:scheme)%", "GET reviews reviews http"),
        ("%REQ(x-missing?:path)%", "/fmt?q=1"),
        ("%RESP(x-up)%", "mine"),
        ("%RESP(x-missing?x-up)%", "mine"),
        ("%RESP(:status)%", "404"),
        ("%PROTOCOL%", "HTTP/1.1"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.250.1:40000"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.250.1"),
        ("%DOWNSTREAM_LOCAL_ADDRESS%", "[::1]:9080"),
        ("%DOWNSTREAM_LOCAL_PORT%", "9080"),
        ("%DOWNSTREAM_PEER_URI_SAN%", "spiffe://cluster.local/ns/default/sa/web"),
        ("%UPSTREAM_REMOTE_ADDRESS%", ""),
        ("%UPSTREAM_CLUSTER%", "outbound|9080|v1|reviews.default.svc.cluster.local;"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "0"),
        ("%RESPONSE_CODE%", "0"),
        ("%RESPONSE_FLAGS%", "-"),
        ("%RESPONSE_CODE_DETAILS%", ""),
        ("%ROUTE_NAME%", "rule.block"),
        ("%START_TIME%", "2026-11-25T03:03:25.979Z"),
        ("%START_TIME(%s.%3f)%", "1795575805.979"),
        ("%START_TIME(T-const)%", "T-const"),
        ("%HOSTNAME%", "pod-1"),
        ("%REQUESTED_SERVER_NAME%", ""),
    ] {
        assert_eq!(rendered(text, &request), expected, "{text}");
    }
}

#[test]
fn two_percent_signs_are_one() {
    let request = Request::get("/").header("x-in", "50%% %");
    for (text, expected) in [
        ("100%%", "100%"),
        ("%%%%", "%%"),
        ("a%%b%%c", "a%b%c"),
        ("%%REQ(x-in)%%", "%REQ(x-in)%"),
        ("%%%REQ(x-in)%%%", "%50%% %%"),
        ("added-%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%-100%%", "added-10.0.250.1-100%"),
    ] {
        assert_eq!(rendered(text, &request), expected, "{text}");
    }
}

#[test]
fn what_is_no_command_is_refused() {
    for (text, part) in [
        ("100%", "Un-escaped %"),
        ("% a%", "Un-escaped %"),
        ("%lower%", "Un-escaped %"),
        ("%REQ", "Un-terminated"),
        ("%REQ(x-in", "Un-terminated"),
        ("%REQ(x-in)", "Un-terminated"),
        ("%REQ%", "needs the name of a header"),
        ("%REQ()%", "needs the name of a header"),
        ("%REQ(a b)%", "not a header name"),
        ("%REQ(x-in):%", "Un-escaped %"),
        ("%NO_SUCH_COMMAND%", "NO_SUCH_COMMAND"),
        ("%HOSTNAME(x)%", "takes no argument"),
        ("%ENVIRONMENT%", "name of a variable"),
        ("%START_TIME(%Q)%", "not a time format"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_environment_is_read_when_the_value_is_parsed() {
    let path = std::env::var("PATH").unwrap_or_default();
    let template = Template::parse("a%ENVIRONMENT(PATH)%b").unwrap();
    assert_eq!(template.as_literal().unwrap(), format!("a{path}b").as_bytes());
    let unset = Template::parse("%ENVIRONMENT(MESH_CORE_TEST_UNSET)%").unwrap();
    assert_eq!(unset.as_literal().unwrap(), b"");
}

#[test]
fn a_template_knows_whether_it_reads_the_request() {
    for (text, expected) in [("%REQ(a)%", true), ("%RESP(a)%", false), ("a", false), ("%PROTOCOL%%REQ(:path)%", true)] {
        assert_eq!(Template::parse(text).unwrap().reads_request(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC*") {
        let _ = Template::parse(&text);
    }

    #[test]
    fn text_with_doubled_percent_signs_is_itself(text in "[a-z%( )]{0,12}") {
        let template = Template::parse(&text.replace('%', "%%")).unwrap();
        prop_assert_eq!(template.as_literal(), Some(text.as_bytes()));
    }
}
