use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::route::testing::{Request, lower};

fn first_by_asking_all(routes: &[Route], req: &RequestView<'_>) -> Option<usize> {
    routes.iter().position(|route| route.is_match(req))
}

fn routes(blocks: impl IntoIterator<Item = Value>) -> Vec<Route> {
    blocks
        .into_iter()
        .map(|block| lower(json!({"match": [block], "route": [{"destination": {"host": "a"}}]})))
        .collect()
}

fn string_match(value: &'static str) -> impl Strategy<Value = Value> {
    let values = value.split(' ').collect::<Vec<_>>();
    (select(values), 0..4).prop_map(|(value, form)| match form {
        0 => json!({"exact": value}),
        1 => json!({"prefix": value}),
        2 => json!({"regex": format!("{value}.*")}),
        _ => json!({}),
    })
}

fn uri() -> impl Strategy<Value = Value> {
    let path = "/[abAB]{0,2}(/[ab]{0,2})?";
    prop_oneof![
        3 => path.prop_map(|path| json!({"exact": path})),
        3 => path.prop_map(|path| json!({"prefix": path})),
        1 => Just(json!({"prefix": ""})),
        1 => select(vec!["/a.*", "/[ab]+", "/a(/b)?", ".*/b", "/a|/b", "/[ab]*/b", "(?i)/a", "/a/.*", "/b?", ".*"])
            .prop_map(|pattern| json!({"regex": pattern})),
    ]
}

fn block() -> impl Strategy<Value = Value> {
    let header = || (select(vec!["x-a", "x-b", "x-c", "x-d", "x-e", "x-f", ":authority", "host"]), string_match("a b"));
    (
        prop::option::of(uri()),
        any::<bool>(),
        prop::collection::vec(header(), 0..2),
        prop::collection::vec(header(), 0..2),
        prop::option::of(string_match("a b")),
        prop::option::of(select(vec!["a", "b"])),
        prop::option::of(select(vec!["GET", "POST"])),
    )
        .prop_map(|(uri, ignore_case, headers, without, query, authority, method)| {
            let mut block = json!({"ignoreUriCase": ignore_case});
            if let Some(uri) = uri {
                block["uri"] = uri;
            }
            for (name, value) in headers {
                block["headers"][name] = value;
            }
            for (name, value) in without {
                block["withoutHeaders"][name] = value;
            }
            if let Some(query) = query {
                block["queryParams"]["q"] = query;
            }
            if let Some(authority) = authority {
                block["authority"]["exact"] = json!(authority);
            }
            if let Some(method) = method {
                block["method"]["exact"] = json!(method);
            }
            block
        })
}

fn request() -> impl Strategy<Value = Request> {
    let headers = prop::collection::vec(
        (select(vec!["x-a", "x-b", "x-c", "x-d", "x-e", "x-f"]), select(vec!["a", "b", "ab", ""])),
        0..4,
    );
    (
        "/[abAB]{0,2}(/[ab]{0,2})?([?](q=a|q=b|q|r=a&q=ab))?",
        select(vec!["a", "b"]),
        select(vec!["GET", "POST", "CONNECT"]),
        headers,
    )
        .prop_map(|(target, authority, method, headers)| {
            let request = Request::get(&target).authority(authority).method(method);
            headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn the_index_finds_what_asking_every_route_finds(
        blocks in prop::collection::vec(block(), 0..48),
        requests in prop::collection::vec(request(), 24),
    ) {
        let routes = routes(blocks);
        let search = RouteSearch::build(&routes);
        for request in requests {
            let req = request.view();
            prop_assert_eq!(search.find(&routes, &req), first_by_asking_all(&routes, &req), "{:?}", request);
        }
    }

    #[test]
    fn an_unrelated_route_changes_nothing(
        blocks in prop::collection::vec(block(), 1..24), at in any::<prop::sample::Index>(), request in request(),
    ) {
        let mut with = blocks.clone();
        let at = at.index(blocks.len());
        with.insert(at, json!({"uri": {"exact": "/unrelated"}}));
        let (before, after) = (routes(blocks), routes(with));
        let found = RouteSearch::build(&before).find(&before, &request.view());
        let expected = found.map(|index| if index >= at { index + 1 } else { index });
        prop_assert_eq!(RouteSearch::build(&after).find(&after, &request.view()), expected);
    }
}

#[test]
fn without_routes_nothing_is_found() {
    assert_eq!(RouteSearch::build(&[]).find(&[], &Request::get("/").view()), None);
    assert_eq!(RouteSearch::default().find(&[], &Request::get("/").view()), None);
}

#[test]
fn connect_finds_no_route() {
    let routes = routes([json!({}), json!({"uri": {"prefix": ""}})]);
    let search = RouteSearch::build(&routes);
    assert_eq!(search.find(&routes, &Request::get("/").method("CONNECT").view()), None);
}

/// How many routes a request is compared with.
fn asked(routes: &[Route], request: &Request) -> usize {
    let search = RouteSearch::build(routes);
    let view = request.view();
    let expected = first_by_asking_all(routes, &view);
    assert_eq!(search.find(routes, &view), expected);
    COUNT.with(|count| count.replace(0));
    let mut first = First { routes, req: &view, best: u32::MAX };
    search.tree.visit(&mut first);
    COUNT.with(|count| count.replace(0))
}

thread_local! {
    pub(super) static COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// What tells routes apart, the match block of the nth route, and a request for the last one.
type Kind = (&'static str, fn(usize) -> Value, Request);

#[test]
fn few_routes_are_asked_among_thousands() {
    let kinds: [Kind; 8] = [
        (
            "exact paths",
            |n| json!({"uri": {"exact": format!("/api/v1/items/{n}")}}),
            Request::get("/api/v1/items/2999"),
        ),
        ("prefixes", |n| json!({"uri": {"prefix": format!("/svc-{n}/")}}), Request::get("/svc-2999/x")),
        (
            "one header with many values",
            |n| json!({"headers": {"end-user": {"exact": format!("user-{n}")}}}),
            Request::get("/").header("end-user", "user-2999"),
        ),
        (
            "many headers",
            |n| json!({"headers": {format!("x-flag-{n}"): {}}}),
            Request::get("/").header("x-flag-2999", "on"),
        ),
        (
            "a query parameter",
            |n| json!({"queryParams": {"user": {"exact": format!("{n}")}}}),
            Request::get("/?user=2999"),
        ),
        (
            "authorities",
            |n| json!({"authority": {"exact": format!("host-{n}.example.com")}}),
            Request::get("/").authority("host-2999.example.com"),
        ),
        (
            "regexes with a segment",
            |n| json!({"uri": {"regex": format!("/api/v[0-9]+/thing-{n}/.*")}}),
            Request::get("/api/v2/thing-2999/x"),
        ),
        (
            "regexes with a beginning",
            |n| json!({"uri": {"regex": format!("/thing-{n}-[0-9]+")}}),
            Request::get("/thing-2999-7"),
        ),
    ];
    for (kind, block, request) in kinds {
        let routes = routes((0..3_000).map(block));
        let asked = asked(&routes, &request);
        assert!((1..=20).contains(&asked), "{kind}: {asked} routes asked");
    }
}

#[test]
fn regexes_that_nothing_else_tells_apart_are_compared_at_once() {
    let routes = routes((0..200).map(|n| json!({"uri": {"regex": format!(".*[.]{n}")}})));
    assert!(asked(&routes, &Request::get("/x.199")) <= 2);
    assert_eq!(asked(&routes, &Request::get("/x.200")), 0);
}
