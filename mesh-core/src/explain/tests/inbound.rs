//! What the workloads behind a destination say.

use super::World;
use crate::explain::Question;

const MESH: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9080}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, labels: {app: reviews, version: v1}, serviceAccount: reviews}
  - {address: 10.0.0.2, labels: {app: reviews, version: v2}, serviceAccount: reviews}
";

const STRICT: &str = "---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}, portLevelMtls: {9443: {mode: DISABLE}}}
";

const ALLOW: &str = "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow}
spec:
  selector: {matchLabels: {app: reviews}}
  rules:
  - {from: [{source: {serviceAccounts: [nobody]}}]}
  - {from: [{source: {principals: [cluster.local/ns/default/sa/productpage]}}], to: [{operation: {ports: [\"9080\"], paths: [/in*]}}]}
";

const DENY_V2: &str = "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec: {action: DENY, selector: {matchLabels: {version: v2}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
";

const REWRITE: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{match: [{uri: {prefix: /out}}], rewrite: {uri: /in}, route: [{destination: {host: reviews}}]}, {route: [{destination: {host: reviews}}]}]
";

const PLAINTEXT: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}
";

/// The lines that are printed about it, as the workload of an account.
fn inbound(documents: &[&str], account: &str, path: &str) -> Vec<String> {
    let mut world = World::new(&documents.concat());
    world.site.service_account = Some(account.to_owned());
    let question = Question::get(&format!("http://reviews{path}")).unwrap();
    let text = world.explain(&question).to_string();
    let from = text.lines().skip_while(|line| !line.starts_with("inbound"));
    let lines = from.take_while(|line| !line.starts_with("=>")).map(|line| {
        let words: Vec<_> = line.trim_start_matches("inbound").split_whitespace().collect();
        words.join(" ")
    });
    lines.collect()
}

const AS: &str = "as spiffe://cluster.local/ns/default/sa/productpage";

#[test]
fn the_mode_and_the_rule_are_named_that_decide() {
    assert_eq!(
        inbound(&[MESH, STRICT, ALLOW], "productpage", "/in/1"),
        [
            "reviews: PeerAuthentication default/strict STRICT · AuthorizationPolicy default/allow ALLOW (rule 1) mesh.yaml:25",
            AS
        ]
    );
    assert_eq!(
        inbound(&[MESH, STRICT, ALLOW], "stranger", "/in/1"),
        [
            "reviews: PeerAuthentication default/strict STRICT · denied: no rule of an ALLOW policy matches",
            "as spiffe://cluster.local/ns/default/sa/stranger"
        ]
    );
    assert_eq!(
        inbound(&[MESH, STRICT], "productpage", "/"),
        ["reviews: PeerAuthentication default/strict STRICT · allowed: no policy is in the way", AS]
    );
    // Nobody has said anything.
    assert!(inbound(&[MESH], "productpage", "/").is_empty());
}

#[test]
fn the_request_is_judged_as_it_is_sent() {
    let allowed = "reviews: PERMISSIVE by default · AuthorizationPolicy default/allow ALLOW (rule 1)";
    assert!(inbound(&[MESH, REWRITE, ALLOW], "productpage", "/out/1")[0].starts_with(allowed));
    let denied = "reviews: PERMISSIVE by default · denied: no rule of an ALLOW policy matches";
    assert_eq!(inbound(&[MESH, ALLOW], "productpage", "/out/1")[0], denied);
}

#[test]
fn workloads_that_say_different_things_are_told_apart() {
    let lines = inbound(&[MESH, ALLOW, DENY_V2], "productpage", "/in");
    assert!(
        lines[0].starts_with(
            "reviews {app=reviews,version=v1}: PERMISSIVE by default · AuthorizationPolicy default/allow ALLOW (rule 1)"
        ),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with(
            "reviews {app=reviews,version=v2}: PERMISSIVE by default · AuthorizationPolicy default/deny DENY (rule 0)"
        ),
        "{lines:?}"
    );
}

#[test]
fn in_plaintext_nobody_is_known_and_strict_refuses() {
    assert_eq!(
        inbound(&[MESH, STRICT, PLAINTEXT, ALLOW], "productpage", "/in"),
        [
            "reviews: PeerAuthentication default/strict STRICT · refuses the connection: it would not be mutual TLS of the mesh",
            "as nobody: no mutual TLS is spoken"
        ]
    );
    assert_eq!(
        inbound(&[MESH, PLAINTEXT, ALLOW], "productpage", "/in"),
        [
            "reviews: PERMISSIVE by default · denied: no rule of an ALLOW policy matches",
            "as nobody: no mutual TLS is spoken"
        ]
    );
}

#[test]
fn what_is_not_known_in_advance_is_named() {
    let token = "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: token}
spec: {action: DENY, rules: [{from: [{source: {notRequestPrincipals: [\"*\"]}}]}, {when: [{key: source.ip, values: [10.0.0.0/8]}]}]}
";
    let lines = inbound(&[MESH, token], "productpage", "/");
    assert!(lines[0].starts_with("reviews: PERMISSIVE by default · AuthorizationPolicy default/token DENY (rule 0)"));
    assert_eq!(
        lines[2],
        "its policies look at a token and addresses or the server name of the connection, too, which nobody knows in advance"
    );
}
