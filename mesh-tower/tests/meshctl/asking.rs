//! What `meshctl explain` and `meshctl test` can be asked, and where they ask it.

use serde_json::{Value, json};

use super::{Ran, folder, run, run_with};

/// Two Gateways for different workloads: one with nothing but TLS, one on a port of its own.
const EDGE: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ['*.example.com']
    tls: {mode: SIMPLE, credentialName: example}
  - port: {number: 443, name: https-admin, protocol: HTTPS}
    hosts: [admin.example.com]
    tls: {mode: SIMPLE, credentialName: admin}
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*.example.com']
    tls: {httpsRedirect: true}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: private, namespace: edge}
spec:
  selector: {istio: internal}
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
    hosts: ['*']
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: edge}
spec:
  hosts: [www.example.com, admin.example.com]
  gateways: [public]
  exportTo: ['.']
  http:
  - name: secure
    match: [{scheme: {exact: https}, port: 443}]
    directResponse: {status: 204}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: desk, namespace: edge}
spec:
  hosts: [desk.example.com, www.example.com]
  gateways: [private]
  http:
  - name: desk
    route: [{destination: {host: desk}}]
";

/// A root in one namespace that delegates to another.
const DELEGATES: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: edge}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http:
  - name: books
    match: [{uri: {prefix: /books}}]
    delegate: {name: books, namespace: books}
    headers: {request: {set: {x-from: root}}}
  - name: rest
    route: [{destination: {host: rest}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books, namespace: books}
spec:
  http:
  - route: [{destination: {host: reviews, port: {number: 9080}}}]
";

const SERVICE: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews.default.svc.cluster.local]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: faults, namespace: default}
spec:
  hosts: [greeter.example.com]
  http:
  - match: [{uri: {prefix: /busy}}]
    directResponse: {status: 429}
  - fault: {abort: {percentage: {value: 100}, grpcStatus: ALREADY_EXISTS}}
    route: [{destination: {host: reviews, port: {number: 9080}}}]
";

fn tested(config: &str, cases: &str) -> Ran {
    let mesh = folder(&[("mesh/a.yaml", config), ("cases.yaml", &format!("testCases:\n{cases}"))]);
    run(mesh.path(), &["test", "cases.yaml"])
}

#[test]
fn a_gateway_is_asked_whatever_it_selects_and_with_tls_where_it_has_nothing_else() {
    let ran = tested(
        EDGE,
        "\
- description: https without labels
  request: {authority: [www.example.com], scheme: https}
  want: {route: secure, status: 204}
- description: theirs, which says no scheme
  request: {authority: [desk.example.com], uri: [/x]}
  wantMatch: true
  route: [{destination: {host: desk}}]
- description: http is sent to https
  request: {authority: [www.example.com], scheme: http, uri: [/x]}
  want: {status: 301, location: 'https://www.example.com/x'}
- description: a rule counts before that, where the scheme is not said
  request: {authority: [www.example.com], gateway: edge/public}
  want: {route: secure}
- description: a gateway by name
  request: {authority: [www.example.com], gateway: edge/private}
  want: {route: desk}
- description: the other one by name
  request: {authority: [www.example.com], gateway: public}
  want: {route: secure}
- description: nothing in the mesh
  request: {authority: [www.example.com], gateway: mesh}
  wantMatch: false
- description: not by plain http at the port of https
  request: {authority: [admin.example.com], scheme: http, port: 443}
  wantMatch: false
- description: the handshake leads to the server with the most specific host
  request: {authority: [admin.example.com]}
  want: {route: secure}
",
    );
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.contains("rules covered 2 of 2"), "{}", ran.out);
}

#[test]
fn a_case_that_asks_at_a_gateway_that_is_not_there_says_so() {
    let ran = tested(EDGE, "- request: {authority: [www.example.com], gateway: edge/publik}\n");
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("cannot be asked at the gateway `edge/publik`"), "{}", ran.err);
}

#[test]
fn a_rule_that_delegates_is_hit_and_met_by_what_it_delegates_to() {
    let cases = "\
- description: the root's own part, and the delegate's
  request: {authority: [shop.example.com], uri: [/books/1]}
  delegate: {name: books, namespace: books}
  headers: {request: {set: {x-from: root}}}
  route: [{destination: {host: reviews, port: {number: 9080}}}]
- description: no delegate there
  request: {authority: [shop.example.com], uri: [/x]}
  wantMatch: false
  delegate: {name: books, namespace: books}
";
    let ran = tested(DELEGATES, cases);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.contains("rules covered 3 of 3"), "{}", ran.out);
    let ran = tested(DELEGATES, &cases.replacen("namespace: books", "namespace: edge", 1));
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("wanted    delegate edge/books\n      got       books/books"), "{}", ran.out);
}

#[test]
fn a_short_name_that_is_wanted_means_the_host_beside_the_rule() {
    let case = |host: &str| {
        format!(
            "- request: {{authority: [shop.example.com], uri: [/books/1]}}\n  route: [{{destination: {{host: {host}}}}}]\n"
        )
    };
    for (host, status) in
        [("reviews", 0), ("reviews.books.svc.cluster.local", 0), ("reviews.edge.svc.cluster.local", 1)]
    {
        let ran = tested(DELEGATES, &case(host));
        assert_eq!(ran.status, status, "{host}: {}", ran.out);
    }
    let elsewhere = DELEGATES.replace("host: reviews,", "host: reviews.default.svc.cluster.local,");
    let ran = tested(&elsewhere, &case("reviews"));
    assert_eq!(ran.status, 1, "{}", ran.out);
}

#[test]
fn a_share_of_the_rules_is_a_number_from_0_to_100() {
    let mesh = folder(&[("mesh/a.yaml", EDGE), ("cases.yaml", "testCases: []\n")]);
    for share in ["nan", "-1", "101", "inf", "many"] {
        let ran = run(mesh.path(), &["test", "cases.yaml", "--fail-under", share]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{share}");
        assert!(ran.err.contains("it is no number from 0 to 100"), "{share}: {}", ran.err);
    }
}

#[test]
fn an_explanation_at_a_gateway_needs_no_labels() {
    let mesh = folder(&[("mesh/a.yaml", EDGE)]);
    let ran = run(mesh.path(), &["explain", "GET", "https://www.example.com/", "--gateway"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.contains("port 443 of edge/public") && ran.out.ends_with("=> answers 204\n"), "{}", ran.out);
    let ran = run(mesh.path(), &["explain", "GET", "http://www.example.com:8080/", "--gateway=edge/private"]);
    assert!(ran.out.contains("port 8080 of edge/private"), "{}", ran.out);
    let ran = run(mesh.path(), &["explain", "GET", "http://www.example.com:81/", "--gateway"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("by http on port 81; there are: edge/public with http on port 80, "), "{}", ran.err);
}

#[test]
fn rules_that_do_not_count_for_a_request_are_named() {
    let labelled = SERVICE.replace("greeter.example.com", "reviews").replace(
        "- match: [{uri: {prefix: /busy}}]\n    directResponse: {status: 429}\n  - fault: {abort: {percentage: {value: 100}, \
         grpcStatus: ALREADY_EXISTS}}\n    route",
        "- match: [{sourceLabels: {app: other}}]\n    route",
    );
    let mesh = folder(&[("mesh/a.yaml", &labelled), ("edge/a.yaml", EDGE)]);
    let ran = run(mesh.path(), &["explain", "GET", "http://reviews:9080/"]);
    assert!(ran.out.contains("- left out: it is for clients with app=other, which this one has not"), "{}", ran.out);
    assert!(ran.out.contains("VirtualService default/faults mesh/a.yaml:15"), "{}", ran.out);
    let ran = run(mesh.path(), &["explain", "GET", "http://reviews/"]);
    assert!(ran.out.contains("reviews.default.svc.cluster.local has no port 80, but 9080"), "{}", ran.out);
    let ran = run(mesh.path(), &["explain", "GET", "http://desk.example.com/", "-c", "edge"]);
    assert!(ran.out.contains("VirtualService edge/desk has rules for desk.example.com, but only at edge/private"));
}

#[test]
fn an_answer_to_grpc_shows_its_status() {
    let mesh = folder(&[("mesh/a.yaml", SERVICE)]);
    let explain = |url: &str, more: &[&str]| {
        let common = ["explain", "POST", url, "-H", "content-type: application/grpc"];
        run(mesh.path(), &[&common[..], more].concat())
    };
    let rows = [
        ("http://greeter.example.com/x", "=> answers 200 FI with grpc-status 6", 6),
        ("http://greeter.example.com/busy", "=> answers 200 with grpc-status 14", 14),
        ("http://reviews:9080/", "=> answers 200 UH with grpc-status 14", 14),
    ];
    for (url, last, status) in rows {
        let ran = explain(url, &[]);
        assert!(ran.out.contains(last), "{url}: {}", ran.out);
        assert_eq!(explain(url, &["-o", "json"]).json()["grpc_status"], json!(status), "{url}");
    }
    let plain = run(mesh.path(), &["explain", "POST", "http://greeter.example.com/busy", "-o", "json"]);
    assert_eq!((&plain.json()["status"], plain.json().get("grpc_status")), (&json!(429), None));
}

#[test]
fn what_is_asked_wrongly_is_told_by_its_part() {
    let mesh = folder(&[("mesh/a.yaml", SERVICE)]);
    let rows: [(&[&str], &str); 7] = [
        (&["http://reviews:99999/"], "the port 99999; a port is a number from 1 to 65535"),
        (&["ftp://reviews/"], "the scheme `ftp`; only http and https are routed"),
        (&["http://reviews/", "-H", ":method: PUT"], "it is the method that the question begins with"),
        (&["http://reviews/", "-H", ":path: /x"], "it is the path of the URL"),
        (&["http://reviews/", "-H", ":scheme: https"], "it is the scheme of the URL"),
        (&["http://reviews/", "-H", "end-user"], "the header `end-user` is not written name:value"),
        (&["http://reviews/", "-H", ":authority"], "the header `:authority` is not written name:value"),
    ];
    for (arguments, wanted) in rows {
        let ran = run(mesh.path(), &[&["explain", "GET"], arguments].concat());
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(wanted), "{arguments:?}: {}", ran.err);
    }
    let ran = run(mesh.path(), &["explain", "GET", "http://10.0.0.9/busy", "-H", ":authority: greeter.example.com"]);
    assert!(ran.out.ends_with("=> answers 429\n"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_line_of_a_batch_spoils_no_other_and_says_what_it_is_about() {
    let bad = SERVICE.replace("resolution: STATIC", "resolution: STATIC\n  nonsense: 1");
    let mesh = folder(&[("mesh/a.yaml", SERVICE), ("bad/a.yaml", &bad), ("edge/a.yaml", EDGE)]);
    let line = |config: &str, url: &str, gateway: bool| {
        let mut request = json!({"url": url});
        if gateway {
            request["gateway"] = json!(true);
        }
        json!({"config": [config], "request": request}).to_string().into_bytes()
    };
    let grpc = json!({"config": ["mesh"], "request": {"url": "http://greeter.example.com/busy",
        "headers": [["content-type", "application/grpc"]]}});
    let lines = [
        line("mesh", "http://greeter.example.com/busy", false),
        b"{\"config\": [\"\xff\"]}".to_vec(),
        line("bad", "http://greeter.example.com/busy", false),
        b"\r".to_vec(),
        line("edge", "https://www.example.com/", true),
        line("mesh", "http://greeter.example.com:70000/", false),
        grpc.to_string().into_bytes(),
    ];
    std::fs::write(mesh.path().join("asked.jsonl"), lines.join(&b'\n')).unwrap();
    let ran = run(mesh.path(), &["explain", "--batch", "asked.jsonl"]);
    let answers: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ran.status, answers.len()), (1, 6), "{}", ran.out);
    assert_eq!((&answers[0]["status"], answers[0].get("refused")), (&json!(429), None));
    assert_eq!(answers[1], json!({"error": "the line is not UTF-8 text"}));
    assert_eq!(answers[2]["refused"], true, "{}", answers[2]);
    assert_eq!(answers[3]["status"], 204, "{}", answers[3]);
    assert!(answers[4]["error"].as_str().unwrap().contains("the port 70000"));
    assert_eq!((&answers[5]["status"], &answers[5]["grpc_status"]), (&json!(200), &json!(14)));
    let refused = String::from_utf8(line("bad", "http://greeter.example.com/busy", false)).unwrap();
    assert_eq!(run_with(mesh.path(), &["explain", "--batch", "-"], &refused).status, 1);
}
