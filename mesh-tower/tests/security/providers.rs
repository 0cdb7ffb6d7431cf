//! A provider of the MeshConfig is a real service that is asked.

use std::sync::{Arc, Mutex};

use mesh_tower::{Mesh, MeshBuilder, Profile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::case::{Outcome, attack};
use crate::secure::Caller;
use crate::{edge, wire};

/// A service that answers by the path, and what it was asked.
async fn service() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                let head = String::from_utf8(head).unwrap();
                let answer = answer(head.split(' ').nth(1).unwrap());
                seen.lock().unwrap().push(head);
                if answer.is_empty() {
                    // Never.
                    let _none = stream.read_u8().await;
                }
                let _gone = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, asked)
}

fn answer(target: &str) -> &'static str {
    match target {
        "/pre/deny" => {
            "HTTP/1.1 401 No\r\nwww-authenticate: Basic\r\nset-cookie: a=b\r\nx-denied: why\r\nx-other: 1\r\ncontent-length: 4\r\n\r\nnope"
        }
        "/pre/broken" => "HTTP/1.1 500 No\r\ncontent-length: 3\r\n\r\nbad",
        "/pre/made" => "HTTP/1.1 201 No\r\ncontent-length: 0\r\n\r\n",
        "/pre/never" => "",
        _ => "HTTP/1.1 200 OK\r\nx-user: ann\r\nx-down: d\r\nx-else: e\r\ncontent-length: 2\r\n\r\nok",
    }
}

/// A mesh whose application is guarded by the service, with these further fields of the provider.
async fn mesh(port: u16, fields: &str) -> Mesh {
    guarded(port, fields).build().await.unwrap()
}

fn guarded(port: u16, fields: &str) -> MeshBuilder {
    let config = format!(
        "{{extensionProviders: [{{name: ask, envoyExtAuthzHttp: {{service: authz.example, port: 80, timeout: 0.3s, pathPrefix: /pre, \
         includeRequestHeadersInCheck: [x-in*], headersToUpstreamOnAllow: [x-user], headersToDownstreamOnAllow: [x-down], \
         headersToDownstreamOnDeny: [x-den*]{fields}}}}}]}}"
    );
    let yaml = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: authz, namespace: default}}\nspec: \
         {{hosts: [authz.example], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], \
         endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]}}\n---\n\
         apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: default}}\nspec: \
         {{action: CUSTOM, provider: {{name: ask}}, rules: [{{to: [{{operation: {{notPaths: [/open]}}}}]}}]}}\n"
    );
    let builder = Mesh::builder().profile(Profile::Safe).workload("default/app").label("app", "app");
    builder.mesh_config_yaml(config).config_yaml("case.yaml", yaml)
}

async fn ask(mesh: &Mesh, target: &str, headers: &[(&str, &str)]) -> Outcome {
    let lines = [("host", "shop")].iter().chain(headers);
    let headers: Vec<_> = lines.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    attack(mesh, None, &wire::http1("GET", target, &headers, ""), false).await
}

#[tokio::test]
async fn the_service_sees_the_request_and_what_it_answers_counts() {
    let (port, asked) = service().await;
    let mesh = mesh(port, "").await;
    let outcome =
        ask(&mesh, "/a/../b?q=1", &[("x-in-a", "1"), ("x-user", "bob"), ("authorization", "old"), ("x-not", "1")])
            .await;
    assert_eq!(outcome.status, Some(200));
    assert!(outcome.reached[0].1.contains(&("x-user".to_owned(), "ann".to_owned())), "{outcome:?}");
    let head = asked.lock().unwrap().pop().unwrap().to_ascii_lowercase();
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "get /pre/b?q=1 http/1.1");
    lines.sort_unstable();
    let expected = [
        "authorization: old",
        "content-length: 0",
        "host: shop",
        "x-envoy-expected-rq-timeout-ms: 300",
        "x-envoy-internal: true",
        "x-in-a: 1",
    ];
    assert_eq!(lines, expected);
    // Whom no rule asks about goes by.
    assert_eq!(ask(&mesh, "/open", &[]).await.status, Some(200));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_denial_is_passed_on_with_what_is_listed() {
    let (port, _) = service().await;
    let mesh = mesh(port, "").await;
    let denied = ask(&mesh, "/deny", &[]).await;
    assert_eq!((denied.status, denied.reached.len()), (Some(401), 0));
    assert_eq!(ask(&mesh, "/made", &[]).await.status, Some(201));
}

#[tokio::test]
async fn without_an_answer_the_provider_says_what_happens() {
    let (port, _) = service().await;
    for (fields, status) in [("", 403), (", statusOnError: '503'", 503), (", failOpen: true", 200)] {
        let mesh = mesh(port, fields).await;
        for target in ["/broken", "/never"] {
            assert_eq!(ask(&mesh, target, &[]).await.status, Some(status), "{fields} {target}");
        }
    }
    // Nobody is there.
    assert_eq!(ask(&mesh(1, "").await, "/", &[]).await.status, Some(403));
}

#[tokio::test]
async fn a_gateway_asks_as_well() {
    let (port, asked) = service().await;
    let send = |target: &str| {
        let headers = [("host", "shop"), ("x-user", "bob")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let bytes = wire::http1("GET", target, &headers, "");
        let builder = guarded(port, "");
        async move { edge::attack(builder, &Caller::Plaintext, &bytes, false).await }
    };
    let outcome = send("/a").await;
    assert_eq!(outcome.status, Some(200));
    assert!(outcome.reached[0].1.contains(&("x-user".to_owned(), "ann".to_owned())), "{outcome:?}");
    // It is asked about the path that is passed on.
    let denied = send("/x/../deny").await;
    assert_eq!((denied.status, denied.reached.len()), (Some(401), 0));
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert_eq!(send("/open").await.status, Some(200));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn whom_the_service_cannot_be_asked_about_is_kept_out_even_where_failures_are_let_in() {
    let (port, asked) = service().await;
    for profile in [Profile::Safe, Profile::Istio] {
        let mesh = guarded(port, ", failOpen: true").profile(profile).build().await.unwrap();
        let mut denied = 0;
        // Of some hosts no target can be made: a caller who writes one would be let in unasked otherwise.
        for host in ["sh{op", "shop|x", "sh\\op", "shop:x", "[::1", "sh\"op", "shop/x", "sh\u{e4}op"] {
            let bytes = wire::http1("GET", "/a", &[("host".to_owned(), host.to_owned())], "");
            let outcome = attack(&mesh, None, &bytes, false).await;
            let was_asked = !std::mem::take(&mut *asked.lock().unwrap()).is_empty();
            assert!(was_asked || outcome.reached.is_empty(), "{profile:?} {host}: let in unasked: {outcome:?}");
            assert!(was_asked || matches!(outcome.status, Some(400 | 403)), "{profile:?} {host}: {outcome:?}");
            denied += usize::from(!was_asked && outcome.status == Some(403));
        }
        assert!(denied > 0, "{profile:?}: none came as far as the provider");
        // It is the request, not the provider: an honest one is let in where the provider fails.
        assert_eq!(ask(&mesh, "/broken", &[]).await.status, Some(200));
        asked.lock().unwrap().clear();
    }
}
