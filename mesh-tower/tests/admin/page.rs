//! The page for a browser.

use super::*;

async fn page(world: &World) -> Answer {
    let answer = world.ask("GET /mesh/ HTTP/1.1\r\nhost: localhost\r\naccept: text/html,*/*;q=0.8\r\n\r\n").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("content-type: text/html"), "{}", answer.head);
    answer
}

#[tokio::test]
async fn the_page_shows_routes_endpoints_and_where_calls_are_plaintext() {
    let world = World::plain().await;
    assert_eq!(world.call("v2").await, 503);
    let body = page(&world).await.body;
    for wanted in [
        "mesh: shop/web",
        "broken",
        "usual",
        &world.good.to_string(),
        "s more</span>",
        "class=\"open plaintext\"",
        "version = v2",
    ] {
        assert!(body.contains(wanted), "{wanted} is missing:\n{body}");
    }
    assert!(body.contains("0 / 7"), "no limit is shown");
}

#[tokio::test]
async fn nothing_runs_on_the_page_but_what_its_policy_has_the_hash_of() {
    let world = World::plain().await;
    let answer = page(&world).await;
    let policy = answer.head.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap().to_owned();
    for wanted in ["default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"] {
        assert!(policy.contains(wanted), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let body = &answer.body;
    assert_eq!((body.matches("<script").count(), body.matches("<style").count()), (1, 1));
    for outside in [" src=", " style=", " onclick", "javascript:", "<link", "@import", "url("] {
        assert!(!body.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn names_of_the_configuration_cannot_become_markup() {
    let rule = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: sly, namespace: shop}
spec:
  hosts: [sly.example]
  http: [{name: \"<img src=x onerror=alert(1)>\", route: [{destination: {host: reviews.shop.svc.cluster.local}}]}]
";
    let world = World::start(|builder| builder.config_yaml("sly.yaml", rule).admin("127.0.0.1:0")).await;
    let body = page(&world).await.body;
    assert!(body.contains("&lt;img src=x onerror=alert(1)&gt;"), "{body}");
    assert!(!body.contains("<img"), "{body}");
}
