//! Which policy has decided about a request: told to logs and spans, and to no caller.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use mesh_tower::inbound::{CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
use mesh_tower::{Body, Mesh};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// What was said to events and recorded in spans: the message or the span's name, and the policy.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<(String, String)>>>);

#[derive(Default)]
struct Fields {
    message: String,
    policy: Option<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "policy" => self.policy = Some(format!("{value:?}").trim_matches('"').to_owned()),
            _ => {}
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if event.metadata().target() == "mesh_tower::inbound"
            && let Some(policy) = fields.policy
        {
            self.0.lock().unwrap().push((fields.message, policy));
        }
    }

    fn on_record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.0.lock().unwrap().extend(fields.policy.map(|policy| ("span".to_owned(), policy)));
    }
}

/// Lets nobody in.
#[derive(Debug)]
struct Refuses;

impl ExternalAuthorizer for Refuses {
    fn check(&self, _: CheckRequest) -> Checking {
        Box::pin(async { CheckAnswer::Failed })
    }
}

const POLICIES: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hidden-allow, namespace: default}
spec: {rules: [{to: [{operation: {paths: [/in, /audited]}}]}, {to: [{operation: {paths: [/asked, /denied]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hidden-deny, namespace: default}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/denied]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hidden-custom, namespace: default}
spec: {action: CUSTOM, provider: {name: ask}, rules: [{to: [{operation: {paths: [/asked]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hidden-audit, namespace: default}
spec: {action: AUDIT, rules: [{to: [{operation: {paths: [/audited]}}]}]}
";

/// Answers with all that the application sees of a request.
async fn app(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from(format!("{:?} {:?}", request.headers(), request.extensions()))))
}

async fn reply(address: std::net::SocketAddr, target: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: app\r\n{more}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_rule_that_decides_is_told_to_events_and_spans_and_in_no_reply() {
    let said = Said::default();
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(said.clone()));
    let builder = Mesh::builder().workload("default/app").label("app", "app").config_yaml("p", POLICIES);
    let mesh = builder.external_authorizer("ask", Refuses).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let spans = tower::layer::layer_fn(|inner| Spanned { inner });
    let layer = mesh.inbound().at(address);
    let guarded = tower::ServiceBuilder::new().layer(spans).layer(layer).service(tower::service_fn(app));
    // The server's own layer says nothing of it: it belongs to a mesh without policies.
    let bare = Mesh::builder().workload("default/app").build().await.unwrap();
    tokio::spawn(async move { bare.serve(listener, guarded).await });

    let rule = |policy: &str, rule: usize| format!("ns[default]-policy[{policy}]-rule[{rule}]");
    for (target, status, decided) in [
        ("/in", "200", rule("hidden-allow", 0)),
        ("/denied", "403", rule("hidden-deny", 0)),
        ("/other", "403", "none".to_owned()),
        ("/asked", "403", rule("hidden-custom", 0)),
        ("/audited", "200", rule("hidden-allow", 0)),
    ] {
        for more in ["", "content-type: application/grpc\r\n"] {
            // Another test's thread may meet a place first, and without a listener turn it off for all.
            tracing::callsite::rebuild_interest_cache();
            said.0.lock().unwrap().clear();
            let answer = reply(address, target, more).await;
            let of_grpc = status == "403" && !more.is_empty();
            assert!(answer.starts_with(&format!("HTTP/1.1 {}", if of_grpc { "200" } else { status })), "{answer}");
            assert_eq!(answer.to_ascii_lowercase().contains("grpc-status: 7"), of_grpc, "{answer}");
            for secret in ["hidden", "rule[", "policy["] {
                assert!(!answer.contains(secret), "{target}: {answer}");
            }
            // The event comes when the answer is done with, which its caller may see before.
            for _ in 0..400 {
                if said.0.lock().unwrap().iter().any(|(place, _)| place == "request") {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let said = said.0.lock().unwrap().clone();
            for place in ["span", "request"] {
                let mut told: Vec<_> =
                    said.iter().filter(|(where_to, _)| where_to == place).map(|(_, by)| by).collect();
                // The layer of the server around it notes what it finds, too.
                told.dedup();
                assert_eq!(told, [&decided], "{target}: {said:?}");
            }
        }
    }
}

/// Each request within a span of its own, as servers have it.
#[derive(Clone, Debug)]
struct Spanned<S> {
    inner: S,
}

impl<S: tower::Service<Request<Body>>> tower::Service<Request<Body>> for Spanned<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = tracing::instrument::Instrumented<S::Future>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let span = tracing::info_span!("served", policy = tracing::field::Empty);
        let future = span.in_scope(|| self.inner.call(request));
        tracing::Instrument::instrument(future, span)
    }
}
