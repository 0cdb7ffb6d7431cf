//! Explanations by example.

mod diff;
mod inbound;

use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, parse};

use super::{Action, Explainer, Explanation, Question};
use crate::snapshot::Snapshot;
use crate::{Rng, Site, SplitMix64, compile};

const MESH: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 10}}
  subsets:
  - name: v1
    labels: {version: v1}
  - name: v2
    labels: {version: v2}
    trafficPolicy:
      loadBalancer: {simple: ROUND_ROBIN}
  - name: v3
    labels: {version: v3}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: jason
    match:
    - headers: {end-user: {exact: jason}}
    - sourceLabels: {app: admin}
    route: [{destination: {host: reviews, subset: v2}}]
  - name: old
    match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - name: gone
    match: [{uri: {exact: /gone}}]
    route: [{destination: {host: reviews, subset: v9}}]
  - name: empty
    match: [{uri: {exact: /empty}}]
    route: [{destination: {host: reviews, subset: v3}}]
  - name: canary
    route:
    - {destination: {host: reviews, subset: v1}, weight: 95}
    - {destination: {host: reviews, subset: v2}, weight: 5}
    timeout: 1s
    retries: {attempts: 2, perTryTimeout: 250ms, retryOn: 5xx}
    rewrite: {uri: /inner}
    headers: {request: {set: {x-route: canary}}}
    mirror: {host: reviews, subset: v2}
    mirrorPercentage: {value: 100}
";

struct World {
    set: ConfigSet,
    mesh: MeshConfig,
    site: Site,
    snapshot: Snapshot,
}

impl World {
    fn new(yaml: &str) -> Self {
        let (documents, report) = parse("mesh.yaml", yaml);
        assert!(!report.has_errors(), "{report}");
        let (set, _) = ConfigSet::from_documents(documents);
        let (mesh, site) = (set.mesh_config().cloned().unwrap_or_default(), Site::default());
        let snapshot = compile(&set, &mesh, &site).snapshot;
        Self { set, mesh, site, snapshot }
    }

    fn explainer(&self) -> Explainer<'_> {
        Explainer::new(&self.set, &self.mesh, &self.site, &self.snapshot)
    }

    fn explain(&self, question: &Question) -> Explanation {
        self.explainer().explain(question)
    }
}

fn get(path: &str) -> Question {
    Question::get(&format!("http://reviews:9080{path}")).unwrap()
}

#[test]
fn each_route_says_why_it_does_not_take_the_request() {
    let found = World::new(MESH).explain(&get("/1").header("end-user", "ann").unwrap());
    let failed: Vec<_> = found.tried.iter().map(|tried| tried.failed.as_ref().map(ToString::to_string)).collect();
    assert_eq!(
        failed,
        [
            Some("header end-user = \"ann\", wanted exact \"jason\"".to_owned()),
            Some("path = \"/1\", wanted prefix \"/old\"".to_owned()),
            Some("path = \"/1\", wanted exact \"/gone\"".to_owned()),
            Some("path = \"/1\", wanted exact \"/empty\"".to_owned()),
            None,
        ]
    );
    assert_eq!((found.action, found.route.as_deref()), (Action::Route, Some("canary")));
    assert_eq!(found.tried[4].rule.at, "mesh.yaml:49");
}

#[test]
fn blocks_for_other_clients_are_named() {
    let found = World::new(MESH).explain(&get("/1"));
    let left: Vec<_> = found.left_out.iter().map(|left| (left.rule.field.as_str(), left.why.as_str())).collect();
    assert_eq!(left, [("spec.http[0].match[1]", "it is for clients with app=admin, which this one has not")]);
}

#[test]
fn the_roll_decides_and_shares_are_exact() {
    let world = World::new(MESH);
    let at = |roll| world.explain(&get("/1").with_roll(roll));
    let drawn = |roll| at(roll).split.into_iter().find(|entry| entry.drawn).unwrap().subset;
    assert_eq!((drawn(94), drawn(95), drawn(100)), ("v1".to_owned(), "v2".to_owned(), "v1".to_owned()));
    let shares: Vec<_> = at(0).split.iter().map(|entry| (entry.share, entry.rolls)).collect();
    assert_eq!(shares, [(0.95, (0, 95)), (0.05, (95, 100))]);
}

#[test]
fn policy_says_where_it_stands() {
    let found = World::new(MESH).explain(&get("/1").with_roll(95));
    let destination = found.destination.unwrap();
    let lines: Vec<_> = destination
        .policy
        .iter()
        .map(|line| (line.name.as_str(), line.value.as_str(), line.place.field.as_str(), line.place.at.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("load balancer", "ROUND_ROBIN, HTTP/1.1", "spec.subsets[1].trafficPolicy.loadBalancer", "mesh.yaml:25"),
            ("connect timeout", "10s", "spec.trafficPolicy.connectionPool", "mesh.yaml:18"),
            ("limits", "10 connections", "spec.trafficPolicy.connectionPool", "mesh.yaml:18"),
        ]
    );
    assert_eq!(destination.subset.unwrap().labels, "version=v2");
    let addresses: Vec<_> = destination.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
    assert_eq!(addresses, ["10.0.0.2:9080"]);
}

#[test]
fn the_request_is_shown_as_the_destination_gets_it() {
    let question = get("/1?a=b").header("x-envoy-force-trace", "1").unwrap().header("x-user", "ann").unwrap();
    let upstream = World::new(MESH).explain(&question).upstream.unwrap();
    assert_eq!((upstream.authority.as_str(), upstream.path.as_str()), ("reviews:9080", "/inner1?a=b"));
    let names: Vec<_> = upstream.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.contains(&"x-user") && names.contains(&"x-route") && !names.contains(&"x-envoy-force-trace"),
        "{names:?}"
    );
}

#[test]
fn tries_are_added_up_against_the_timeout() {
    let retries = World::new(MESH).explain(&get("/1")).retries.unwrap();
    assert_eq!(
        retries.timeline.as_deref(),
        Some("3 tries of 250ms and pauses of up to 75ms: up to 825ms, fits the timeout")
    );
    assert_eq!((retries.attempts, retries.on.as_str()), (2, "5xx"));
}

#[test]
fn what_the_mesh_answers_has_a_status_and_flags() {
    let world = World::new(MESH);
    let ask = |url: &str| world.explain(&Question::get(url).unwrap());
    for (url, action, status, flags) in [
        ("http://reviews:9080/old", Action::Redirect, Some(301), ""),
        ("http://reviews:9080/gone", Action::Route, Some(503), "NC"),
        ("http://reviews:9080/empty", Action::Route, Some(503), "UH"),
        ("http://unknown.example/", Action::Passthrough, None, ""),
    ] {
        let found = ask(url);
        assert_eq!((found.action, found.status, found.flags.as_str()), (action, status, flags), "{url}");
    }
    assert_eq!(ask("http://reviews:9080/old").location.as_deref(), Some("http://reviews:9080/new"));
    let registry_only = format!("{MESH}---\noutboundTrafficPolicy: {{mode: REGISTRY_ONLY}}\n");
    let found = World::new(&registry_only).explain(&Question::get("http://unknown.example/").unwrap());
    assert_eq!((found.action, found.status), (Action::None, Some(502)));
}

#[test]
fn a_preflight_is_answered_where_the_rule_allows_the_origin() {
    let cors = "timeout: 1s\n    corsPolicy: {allowOrigins: [{exact: 'http://shop.example'}]}";
    let world = World::new(&MESH.replace("timeout: 1s", cors));
    let ask = |origin: &str| {
        let question = Question::new("OPTIONS", "http://reviews:9080/1").unwrap();
        let question =
            question.header("origin", origin).unwrap().header("access-control-request-method", "GET").unwrap();
        let found = world.explain(&question);
        (found.action, found.status, found.upstream.is_some())
    };
    assert_eq!(ask("http://shop.example"), (Action::Direct, Some(200), false));
    assert_eq!(ask("http://stranger.example"), (Action::Route, None, true));
}

#[test]
fn the_text_can_be_followed_from_top_to_bottom() {
    let text = World::new(MESH).explain(&get("/1").with_roll(41)).to_string();
    let begins: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    for part in ["request", "listener", "host", "rules", "split", "subset", "cluster", "endpoints", "policy", "retries"]
    {
        assert!(begins.contains(&part), "{part} is missing:\n{text}");
    }
    assert!(text.contains("95.0 %  [0..95)  v1 of reviews.default.svc.cluster.local  <-"), "{text}");
    assert!(text.ends_with("=> would send to 10.0.0.1:9080\n"), "{text}");
}

#[test]
fn an_explanation_always_says_what_the_snapshot_decides() {
    let world = World::new(MESH);
    let mut rng = SplitMix64::new(7);
    for _ in 0..2_000 {
        let path = ["/1", "/old/x", "/gone", "/empty", "/", "/new"][rng.below(6) as usize];
        let question =
            get(path).header("end-user", ["jason", "ann"][rng.below(2) as usize]).unwrap().with_roll(rng.next_u64());
        let found = world.explain(&question);
        let taken = found.tried.iter().find(|tried| tried.failed.is_none()).map(|tried| tried.name.clone());
        assert_eq!(taken, found.route);
        assert!(found.split.is_empty() || found.split.iter().filter(|entry| entry.drawn).count() == 1);
    }
}

#[test]
fn a_host_that_a_sidecar_hides_is_told_from_one_that_there_is_not() {
    let hidden = format!(
        "{MESH}---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: own, namespace: default}}
spec: {{egress: [{{hosts: [elsewhere/*]}}], outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}
"
    );
    let world = World::new(&hidden);
    let why = |url: &str| world.explain(&Question::get(url).unwrap()).hidden;
    let sidecar = "reviews.default.svc.cluster.local is not imported by Sidecar default/own";
    for url in ["http://reviews:9080/", "http://reviews.default.svc.cluster.local:9080/"] {
        assert_eq!(why(url).as_deref(), Some(sidecar), "{url}");
    }
    assert_eq!(why("http://unknown.example/"), None);
    let rule = world.explain(&Question::get("http://unknown.example/").unwrap()).rule.unwrap();
    assert_eq!((rule.object.as_str(), rule.field.as_str()), ("Sidecar default/own", "spec.outboundTrafficPolicy"));
    let open = World::new(MESH).explain(&Question::get("http://reviews:1/").unwrap()).hidden;
    assert_eq!(open.as_deref(), Some("reviews.default.svc.cluster.local has no port 1, but 9080"));
}

#[test]
fn rules_that_do_not_count_here_are_named() {
    let world = World::new(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: alone, namespace: default}
spec: {hosts: [alone], http: [{directResponse: {status: 418}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: default}
spec: {hosts: ['*.example.com'], gateways: [public, other/private], http: [{directResponse: {status: 418}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: private, namespace: books}
spec: {hosts: [books.example.org], exportTo: ['.'], http: [{directResponse: {status: 418}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: labelled, namespace: default}
spec: {hosts: [labelled.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: labelled, namespace: default}
spec:
  hosts: [labelled.example]
  http: [{match: [{sourceLabels: {app: other}}], directResponse: {status: 418}}]
",
    );
    let ask = |url: &str| world.explain(&Question::get(url).unwrap());
    let rows = [
        (
            "http://alone/",
            "VirtualService default/alone has rules for alone.default.svc.cluster.local, which no service declares: only \
             requests to that name on port 80 follow them",
        ),
        (
            "http://www.example.com/",
            "VirtualService default/edge has rules for *.example.com, but only at default/public, other/private",
        ),
        (
            "http://books.example.org/",
            "VirtualService books/private has rules for books.example.org, and is not exported to this namespace",
        ),
    ];
    for (url, why) in rows {
        assert_eq!(ask(url).hidden.as_deref(), Some(why), "{url}");
    }
    assert_eq!(ask("http://alone.default.svc.cluster.local/").status, Some(418));
    let found = ask("http://labelled.example/");
    assert_eq!(found.rule.unwrap().object, "Service labelled.example");
    assert_eq!(found.left_out[0].rule.object, "VirtualService default/labelled");
}
