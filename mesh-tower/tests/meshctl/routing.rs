//! `meshctl explain`, `test` and `diff`.

use serde_json::json;

use super::{folder, run, run_with};

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
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: jason
    match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - name: canary
    route:
    - {destination: {host: reviews, subset: v1}, weight: 95}
    - {destination: {host: reviews, subset: v2}, weight: 5}
    timeout: 1s
    retries: {attempts: 2, perTryTimeout: 250ms, retryOn: 5xx}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [www.example.com]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - route: [{destination: {host: reviews, port: {number: 9080}}}]
";

const CASES: &str = "\
testCases:
- description: jason sees v2
  request: {authority: ['reviews:9080'], method: [GET, POST], uri: [/1, /2], headers: {end-user: jason}}
  wantMatch: true
  route:
  - destination: {host: reviews, subset: v2}
- description: the canary gets five of a hundred
  request: {authority: ['reviews:9080']}
  want: {route: canary, share: {v1: 95, v2: 5}, retries: {attempts: 2, perTryTimeout: 250ms}, timeout: 1s}
- description: the edge redirects what is old
  request: {authority: [www.example.com], uri: [/old/x]}
  redirect: {uri: /new}
  want: {status: 301}
";

#[test]
fn an_explanation_names_each_route_and_the_file_behind_it() {
    let mesh = folder(&[("mesh/reviews.yaml", MESH)]);
    let ran = run(mesh.path(), &["explain", "GET", "http://reviews:9080/1", "-H", "end-user: ann", "--roll", "97"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("✗ #0 jason   header end-user = \"ann\", wanted exact \"jason\""), "{}", ran.out);
    assert!(ran.out.contains("mesh/reviews.yaml:30"), "{}", ran.out);
    assert!(ran.out.ends_with("=> would send to 10.0.0.2:9080\n"), "{}", ran.out);
    let ran = run(mesh.path(), &["explain", "GET", "http://reviews:9080/1", "-o", "json"]);
    assert_eq!(ran.json()["route"], "canary");
    let ran = run(mesh.path(), &["explain", "GET", "http://reviews:9080/1", "-o", "json", "--all"]);
    assert_eq!(ran.json().as_array().map(Vec::len), Some(2));
}

#[test]
fn what_cannot_be_asked_is_no_explanation() {
    let mesh = folder(&[("mesh/reviews.yaml", MESH)]);
    for arguments in
        [&["explain", "GET", "reviews"][..], &["explain", "GET", "http://reviews/", "-c", "nothing"], &["explain"]]
    {
        let ran = run(mesh.path(), arguments);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!ran.err.is_empty());
    }
}

#[test]
fn a_batch_answers_line_by_line() {
    let mesh = folder(&[("mesh/reviews.yaml", MESH)]);
    let ask = |request: serde_json::Value, roll: u64| json!({"config": ["mesh"], "client": {"namespace": "default", "labels": {}}, "request": request, "roll": roll});
    let lines = [
        ask(json!({"method": "GET", "url": "http://reviews:9080/1", "headers": [["end-user", "jason"]]}), 0)
            .to_string(),
        ask(json!({"method": "GET", "authority": "reviews", "path": "/1", "port": 9080}), 95).to_string(),
        "not json".to_owned(),
    ];
    let ran = run_with(mesh.path(), &["explain", "--batch", "-"], &lines.join("\n"));
    let answers: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ran.status, answers.len()), (1, 3));
    assert_eq!((&answers[0]["route"], &answers[0]["destination"]["subset"]), (&json!("jason"), &json!("v2")));
    assert_eq!((&answers[1]["route"], &answers[1]["destination"]["subset"]), (&json!("canary"), &json!("v2")));
    assert_eq!(
        answers[1]["clusters"][0],
        json!({"host": "reviews.default.svc.cluster.local", "subset": "v1", "port": 9080, "share": 0.95})
    );
    assert!(answers[2]["error"].is_string());
}

#[test]
fn cases_pass_or_say_what_they_got_instead() {
    let mesh = folder(&[("mesh/reviews.yaml", MESH), ("tests/reviews_test.yaml", CASES)]);
    let ran = run(mesh.path(), &["test", "tests"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.ends_with("3 passed, 0 failed\n") && ran.out.contains("4 requests"), "{}", ran.out);
    assert!(ran.out.contains("rules covered 3 of 4 (75.0 %)"), "{}", ran.out);
    let ran = run(mesh.path(), &["test", "tests", "--fail-under", "90"]);
    assert_eq!(ran.status, 1);
    let wrong = folder(&[("mesh/reviews.yaml", MESH), ("tests/a.yaml", &CASES.replace("v1: 95", "v1: 90"))]);
    let ran = run(wrong.path(), &["test", "tests"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("wanted    share of v1 90 %") && ran.out.contains("got       95 %"), "{}", ran.out);
    assert!(ran.out.contains("because   route canary of VirtualService default/reviews"), "{}", ran.out);
}

#[test]
fn a_case_with_a_misspelt_field_is_not_passed_over() {
    let mesh = folder(&[("mesh/reviews.yaml", MESH), ("a.yaml", &CASES.replace("wantMatch", "wantmatch"))]);
    let ran = run(mesh.path(), &["test", "a.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("a.yaml:4:3") && ran.err.contains("did you mean `wantMatch`?"), "{}", ran.err);
}

#[test]
fn a_difference_is_shown_with_the_rules_of_both_sides() {
    let mesh = folder(&[("old/a.yaml", MESH), ("new/a.yaml", &MESH.replace("weight: 95", "weight: 45"))]);
    let ran = run(mesh.path(), &["diff", "old", "old"]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.starts_with("no difference found in ") && ran.out.ends_with(" routes\n"), "{}", ran.out);
    let ran = run(mesh.path(), &["diff", "old", "new"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("- 95 % v1 of reviews.default.svc.cluster.local:9080"), "{}", ran.out);
    assert!(ran.out.contains("+ 90 % v1 of reviews.default.svc.cluster.local:9080"), "{}", ran.out);
    assert!(ran.out.contains("old/a.yaml:30") && ran.out.contains("new/a.yaml:30"), "{}", ran.out);
}

#[test]
fn a_configuration_that_a_mesh_refuses_is_no_basis_for_an_answer() {
    let bad = MESH.replace("subset: v2}}]", "subset: v2}, nonsense: 1}]");
    let mesh = folder(&[("mesh/a.yaml", &bad), ("good/a.yaml", MESH)]);
    for arguments in [&["explain", "GET", "http://reviews:9080/"][..], &["diff", "good", "mesh"]] {
        let ran = run(mesh.path(), arguments);
        assert_eq!(ran.status, 2, "{}", ran.out);
        assert!(ran.err.contains("nonsense") && ran.err.contains("a mesh refuses this configuration"), "{}", ran.err);
    }
}

#[test]
fn nobody_is_let_in_by_policies_of_which_one_could_not_be_read() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: admin, namespace: shop}\nspec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}\n";
    let mesh = folder(&[("good/a.yaml", policy), ("bad/a.yaml", &policy.replace("paths:", "pathss:"))]);
    let check =
        |config: &str| run(mesh.path(), &["authz", "check", "GET", "/admin", "--on", "shop/orders", "-c", config]);
    assert_eq!(check("good").status, 1);
    let ran = check("bad");
    assert_eq!(ran.status, 2, "{}", ran.out);
    assert!(ran.err.contains("pathss"), "{}", ran.err);
    let line = json!({"config": ["bad"], "workload": {"namespace": "shop"}, "request": {"path": "/admin"}}).to_string();
    let ran = run_with(mesh.path(), &["authz", "check", "--batch", "-"], &line);
    assert_eq!((ran.status, &ran.json()["refused"]), (1, &json!(true)), "{}", ran.out);
}
