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
async fn the_page_has_figures_for_what_was_asked_for() {
    let world = World::plain().await;
    for _ in 0..3 {
        assert_eq!(world.call("v1").await, 200);
    }
    assert_eq!((world.call("v2").await, world.call("v2").await), (503, 503));
    let ask = "GET /mesh/?window=5m&label=share HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\n\r\n";
    let body = world.ask(ask).await.body;
    let row = |section: &str, of: &str| {
        let section = body.split("<section ").find(|part| part.starts_with(&format!("id=\"{section}\""))).unwrap();
        section
            .split("<tr>")
            .find(|row| row.contains(of) && row.contains(":9080<"))
            .unwrap_or_else(|| panic!("{of} in {section}"))
            .to_owned()
    };
    let usual = row("routes", ">usual<");
    assert!(usual.contains("data-label=\"ok\" class=\"number\">100 %<"), "{usual}");
    assert!(usual.contains("data-label=\"tries\" class=\"number\">1.00<"), "{usual}");
    let broken = row("routes", ">broken<");
    assert!(broken.contains("<span class=\"bad\">0 %</span>") && broken.contains(">UH</b>"), "{broken}");
    let good = row("endpoints", &world.good.to_string());
    assert!(good.contains(" ms</td>") && good.contains("data-label=\"connections\" class=\"number\">1<"), "{good}");
    assert!(body.contains("<span class=\"label\">60.0 %</span>"), "{body}");
    assert!(body.contains("mTLS <b>PERMISSIVE</b>") && body.contains("rules.yaml:"), "{body}");
    assert!(body.contains("Nobody has called"), "{body}");
}

#[tokio::test]
async fn an_open_page_is_brought_only_what_changes() {
    let world = World::plain().await;
    let ask = "GET /mesh/?live=1 HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\n\r\n";
    let parts = world.ask(ask).await;
    assert!(parts.head.contains("content-security-policy: default-src 'none'"), "{}", parts.head);
    let whole = page(&world).await.body;
    let ids = |body: &str| {
        let tags = body.split('<').filter(|tag| tag.split('>').next().is_some_and(|tag| tag.ends_with(" data-live")));
        tags.map(|tag| tag.split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(ids(&parts.body).len() > 5, "{}", parts.body);
    assert_eq!(ids(&parts.body), ids(&whole));
    assert!(!parts.body.contains("<script") && !parts.body.contains("<style"), "{}", parts.body);
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
