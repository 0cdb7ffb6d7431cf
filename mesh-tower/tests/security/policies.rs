//! Policies that select a workload act on what it serves.

use std::pin::Pin;
use std::sync::Mutex;

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Response};
use mesh_tower::inbound::{CheckAnswer, CheckRequest, Checking, ExternalAuthorizer, PeerIdentity};
use mesh_tower::source::ChannelSource;
use mesh_tower::{Body, Mesh, Profile};
use serde_json::json;

use crate::case::{Outcome, attack, documents, mesh};
use crate::wire;

async fn ask(mesh: &Mesh, caller: Option<&str>, target: &str, headers: &[(&str, &str)]) -> Outcome {
    let lines = [("host", "app")].iter().chain(headers);
    let headers: Vec<_> = lines.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let caller = caller.map(|principal| PeerIdentity::new(principal, None));
    attack(mesh, caller, &wire::http1("GET", target, &headers, ""), false).await
}

const FRONTEND: Option<&str> = Some("spiffe://cluster.local/ns/default/sa/frontend");

#[tokio::test]
async fn only_whom_a_policy_lets_in_gets_in() {
    let policies = json!([
        {"name": "allow", "action": "ALLOW", "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/default/sa/frontend"]}}]}]},
        {"name": "deny", "action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin*"], "ports": ["8080"]}}]}]},
    ]);
    let mesh = mesh(&documents("AuthorizationPolicy", &policies), &json!({}), Profile::Safe).await;
    assert_eq!(ask(&mesh, FRONTEND, "/x", &[]).await.status, Some(200));
    assert_eq!(ask(&mesh, FRONTEND, "/x/../admin", &[]).await.status, Some(403));
    let stranger = ask(&mesh, None, "/x", &[]).await;
    assert_eq!((stranger.status, stranger.reached.len()), (Some(403), 0));
    // A change acts at once.
    mesh.apply_yaml("case.yaml", "");
    assert_eq!(ask(&mesh, None, "/admin", &[]).await.status, Some(200));
}

#[tokio::test]
async fn policies_on_trial_are_counted_and_do_not_act() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: default, \
                  annotations: {istio.io/dry-run: \"true\"}}\nspec: {action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}\n";
    let mesh = mesh(policy, &json!({}), Profile::Safe).await;
    for path in ["/a", "/b", "/b"] {
        assert_eq!(ask(&mesh, None, path, &[]).await.status, Some(200));
    }
    let counts = mesh.gauges().dry_run;
    assert_eq!((counts.deny_denied, counts.deny_allowed, counts.allow_denied), (1, 2, 0));
}

/// Lets in by a header, and notes whom it was asked about.
#[derive(Debug, Default)]
struct ByHeader(Mutex<Vec<String>>);

impl ExternalAuthorizer for ByHeader {
    fn check(&self, request: CheckRequest) -> Checking {
        self.0.lock().unwrap().push(request.uri.path().to_owned());
        let answer = match request.headers.get("x-ask").map(HeaderValue::as_bytes) {
            Some(b"yes") => {
                let mut headers = HeaderMap::new();
                headers.insert("x-user", HeaderValue::from_static("ann"));
                CheckAnswer::Allow(headers)
            }
            Some(b"no") => CheckAnswer::Deny(Response::builder().status(418).body(Body::empty()).unwrap()),
            _ => CheckAnswer::Failed,
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            answer
        }) as Pin<Box<_>>
    }
}

const CUSTOM: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: default}\nspec: \
                      {action: CUSTOM, provider: {name: ask}, rules: [{to: [{operation: {paths: [/asked]}}]}]}\n---\n\
                      apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: b, namespace: default}\nspec: \
                      {action: DENY, rules: [{when: [{key: 'request.headers[x-user]', values: [bob]}]}]}\n";

#[tokio::test]
async fn a_custom_policy_asks_and_the_answer_counts() {
    let builder = Mesh::builder().config_yaml("case.yaml", CUSTOM).external_authorizer("ask", ByHeader::default());
    let mesh = builder.build().await.unwrap();
    assert_eq!(ask(&mesh, None, "/other", &[]).await.status, Some(200));
    assert_eq!(ask(&mesh, None, "/asked", &[("x-ask", "no")]).await.status, Some(418));
    assert_eq!(ask(&mesh, None, "/asked", &[]).await.status, Some(403));
    // What the answer says replaces what the caller said, before the other policies look.
    let asked = ask(&mesh, None, "/asked", &[("x-ask", "yes"), ("x-user", "bob")]).await;
    assert_eq!(asked.status, Some(200));
    assert!(asked.reached[0].1.contains(&("x-user".to_owned(), "ann".to_owned())), "{asked:?}");
}

#[tokio::test]
async fn a_provider_that_nobody_stands_for_denies() {
    let mesh = mesh(CUSTOM, &json!({}), Profile::Safe).await;
    assert_eq!(ask(&mesh, None, "/asked", &[]).await.status, Some(403));
    assert_eq!(ask(&mesh, None, "/other", &[]).await.status, Some(200));
}

#[tokio::test]
async fn nobody_is_served_before_every_source_has_delivered() {
    let (handle, source) = ChannelSource::new("control");
    let mesh = Mesh::builder().source(source).build().await.unwrap();
    assert_eq!(ask(&mesh, FRONTEND, "/", &[]).await.status, Some(503));
    assert!(mesh.ready().now_or_never().is_none());
    // One that is refused has delivered nothing.
    assert!(!handle.replace_yaml("a.yaml", "kind: [").await.unwrap().accepted);
    assert_eq!(ask(&mesh, FRONTEND, "/", &[]).await.status, Some(503));
    assert!(handle.replace_yaml("a.yaml", "").await.unwrap().accepted);
    mesh.ready().await;
    assert_eq!(ask(&mesh, FRONTEND, "/", &[]).await.status, Some(200));
}

#[tokio::test]
async fn a_source_that_ends_without_a_word_is_not_waited_for() {
    let (handle, source) = ChannelSource::new("control");
    let mesh = Mesh::builder().source(source).build().await.unwrap();
    drop(handle);
    mesh.ready().await;
    assert_eq!(ask(&mesh, None, "/", &[]).await.status, Some(200));
}
