//! Documents in, bytes on a socket out: what the files of others make real requests do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests say what they expect"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use mesh_tower::{Body, Mesh, Profile, RouteInfo};
use tokio::net::TcpListener;

/// An upstream that says its name and counts what reaches it.
#[derive(Clone)]
struct Upstream {
    address: SocketAddr,
    seen: Arc<AtomicU32>,
    /// Answers of this many requests to come are 503.
    failing: Arc<AtomicU32>,
    /// The callers' addresses: one a connection.
    callers: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Upstream {
    async fn start(name: &str) -> Self {
        let (seen, failing) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let callers: Arc<Mutex<BTreeSet<SocketAddr>>> = Arc::default();
        let (counted, fails, connected) = (Arc::clone(&seen), Arc::clone(&failing), Arc::clone(&callers));
        let name = name.to_owned();
        let app = Router::new().fallback(move |ConnectInfo(caller): ConnectInfo<SocketAddr>, request: Request| {
            connected.lock().unwrap().insert(caller);
            counted.fetch_add(1, Ordering::SeqCst);
            let left = fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let answer = format!("{name} {} {host}", request.uri());
            let slow = request.uri().path() == "/slow";
            async move {
                if slow {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                (if left { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }, answer)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await },
        );
        Self { address, seen, failing, callers }
    }

    fn seen(&self) -> u32 {
        self.seen.load(Ordering::SeqCst)
    }
}

/// A ServiceEntry for running upstreams, each with its version.
fn service(host: &str, port: u16, endpoints: &[(&str, &Upstream)]) -> String {
    let lines: String = endpoints
        .iter()
        .map(|(version, upstream)| {
            let port = upstream.address.port();
            format!("  - {{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{version: {version}}}}}\n")
        })
        .collect();
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host}, namespace: default}}
spec:
  hosts: [{host}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  endpoints:
{lines}"
    )
}

fn subsets(host: &str, versions: &[&str]) -> String {
    let lines: Vec<String> = versions.iter().map(|v| format!("{{name: {v}, labels: {{version: {v}}}}}")).collect();
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}-subsets, namespace: default}}
spec: {{host: {host}, subsets: [{}]}}
",
        lines.join(", ")
    )
}

/// A file among the cases that lie outside the repository; `None` where they do not.
fn case(path: &str) -> Option<String> {
    let given = std::env::var_os("MESH_CASES").map(PathBuf::from);
    let root = given.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    match std::fs::read_to_string(root.join(path)) {
        Ok(text) => Some(text),
        Err(error) if given.is_some() => panic!("{path}: {error}"),
        Err(_) => {
            println!("skipped: no cases at {}", root.display());
            None
        }
    }
}

async fn mesh(files: &[String]) -> Mesh {
    mesh_as("default/productpage", "app", "productpage", files).await
}

async fn mesh_as(workload: &str, key: &str, value: &str, files: &[String]) -> Mesh {
    let mut builder = Mesh::builder().workload(workload).label(key, value).profile(Profile::Istio).seed(7);
    for (n, file) in files.iter().enumerate() {
        builder = builder.config_yaml(format!("{n}.yaml"), file);
    }
    builder.build().await.unwrap()
}

struct Answer {
    status: u16,
    body: String,
    flags: String,
}

impl Answer {
    /// The first word of the body: who answered.
    fn by(&self) -> &str {
        self.body.split(' ').next().unwrap_or_default()
    }
}

async fn ask(mesh: &Mesh, url: &str, lines: &[(&str, &str)]) -> Answer {
    let mut request = http::Request::get(url);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let response = mesh.client().send(request.body(Body::empty()).unwrap()).await;
    let status = response.status().as_u16();
    let flags = response.extensions().get::<RouteInfo>().unwrap().flags().to_string();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, body: String::from_utf8(body.to_vec()).unwrap(), flags }
}

async fn shares(mesh: &Mesh, url: &str, lines: &[(&str, &str)], requests: u32) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    let all = futures_util::stream::iter(0..requests).map(|_| ask(mesh, url, lines)).buffer_unordered(16);
    let mut all = std::pin::pin!(all);
    while let Some(answer) = all.next().await {
        *shares.entry(answer.by().to_owned()).or_default() += 1;
    }
    shares
}

/// Whether a count lies within four standard deviations of a binomial draw.
fn is_share(count: u32, of: u32, percent: f64) -> bool {
    let (n, p) = (f64::from(of), percent / 100.0);
    (f64::from(count) - n * p).abs() <= 4.0 * (n * p * (1.0 - p)).sqrt()
}

const JASON: &[(&str, &str)] = &[("end-user", "jason")];

struct Bookinfo {
    base: Vec<String>,
}

impl Bookinfo {
    const FOLDER: &'static str = "conformance/samples/samples/bookinfo/networking";

    async fn start() -> Option<Self> {
        let rules = case(&format!("{}/destination-rule-reviews.yaml", Self::FOLDER))?;
        let mut base = vec![rules];
        for (host, versions) in [
            ("productpage", &["v1"][..]),
            ("reviews", &["v1", "v2", "v3"]),
            ("ratings", &["v1", "v2"]),
            ("details", &["v1", "v2"]),
        ] {
            let mut running = Vec::new();
            for version in versions {
                running.push((*version, Upstream::start(&format!("{host}-{version}")).await));
            }
            let endpoints: Vec<_> = running.iter().map(|(version, upstream)| (*version, upstream)).collect();
            base.push(service(host, 9080, &endpoints));
            if host != "reviews" {
                base.push(subsets(host, versions));
            }
        }
        Some(Self { base })
    }

    async fn with(&self, file: &str) -> Mesh {
        let mut files = self.base.clone();
        files.push(case(&format!("{}/{file}", Self::FOLDER)).unwrap());
        mesh(&files).await
    }
}

const REVIEWS: &str = "http://reviews:9080/reviews/1";
const RATINGS: &str = "http://ratings:9080/ratings/1";

#[tokio::test]
async fn istios_bookinfo_routes_as_its_files_say() {
    let Some(bookinfo) = Bookinfo::start().await else { return };
    let all_v1 = bookinfo.with("virtual-service-all-v1.yaml").await;
    for host in ["productpage", "reviews", "ratings", "details"] {
        let answer = ask(&all_v1, &format!("http://{host}:9080/"), &[]).await;
        assert_eq!(answer.by(), format!("{host}-v1"));
    }
    let test_v2 = bookinfo.with("virtual-service-reviews-test-v2.yaml").await;
    for _ in 0..20 {
        assert_eq!(ask(&test_v2, REVIEWS, JASON).await.by(), "reviews-v2");
        assert_eq!(ask(&test_v2, REVIEWS, &[("end-user", "anna")]).await.by(), "reviews-v1");
        assert_eq!(ask(&test_v2, REVIEWS, &[]).await.by(), "reviews-v1");
    }
    assert_eq!(ask(&bookinfo.with("virtual-service-reviews-v3.yaml").await, REVIEWS, &[]).await.by(), "reviews-v3");
    let details = bookinfo.with("virtual-service-details-v2.yaml").await;
    assert_eq!(ask(&details, "http://details:9080/", &[]).await.by(), "details-v2");
}

#[tokio::test]
async fn istios_bookinfo_splits_by_weight() {
    let Some(bookinfo) = Bookinfo::start().await else { return };
    for (file, first, second, percent) in [
        ("virtual-service-reviews-90-10.yaml", "reviews-v1", "reviews-v2", 90.0),
        ("virtual-service-reviews-50-v3.yaml", "reviews-v1", "reviews-v3", 50.0),
    ] {
        let mesh = bookinfo.with(file).await;
        let shares = shares(&mesh, REVIEWS, &[], 2_000).await;
        assert_eq!(shares.len(), 2, "{file}: {shares:?}");
        assert!(shares.contains_key(second) && is_share(shares[first], 2_000, percent), "{file}: {shares:?}");
    }
}

#[tokio::test]
async fn istios_faults_hit_the_right_users() {
    let Some(bookinfo) = Bookinfo::start().await else { return };
    let abort = bookinfo.with("virtual-service-ratings-test-abort.yaml").await;
    let answer = ask(&abort, RATINGS, JASON).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.flags.as_str()), (500, "fault filter abort", "FI"));
    assert_eq!(ask(&abort, RATINGS, &[]).await.by(), "ratings-v1");
    let delay = bookinfo.with("virtual-service-ratings-test-delay.yaml").await;
    let (jason, anna) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(6), ask(&delay, RATINGS, JASON)),
        tokio::time::timeout(Duration::from_secs(6), ask(&delay, RATINGS, &[]))
    );
    assert!(jason.is_err(), "jason waits 7 s");
    assert_eq!(anna.unwrap().by(), "ratings-v1");
}

fn user_file(name: &str) -> Option<String> {
    case(&format!("conformance/user-examples/{name}"))
}

async fn curl(address: SocketAddr, arguments: &[&str]) -> (String, String) {
    let output = tokio::process::Command::new("curl")
        .args(["-s", "--max-time", "10", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("http://{address}/"))
        .output()
        .await
        .expect("curl is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test]
async fn the_how_tos_gateway_serves_its_virtual_service_to_curl() {
    let (Some(gateway), Some(rules)) = (user_file("gateway-gateway.yaml"), user_file("virtualservice-my-app.yaml"))
    else {
        return;
    };
    let (v1, v2) = (Upstream::start("v1").await, Upstream::start("v2").await);
    let files =
        [gateway, rules, service("my-app-v1", 8080, &[("v1", &v1)]), service("my-app-v2", 8080, &[("v2", &v2)])];
    let mesh = mesh_as("istio-ingress/gateway", "istio", "ingress", &files).await;
    let open = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let address = open.address_of(80).unwrap();
    assert_eq!(open.addresses().len(), 1, "the HTTPS server is not served");
    assert!(open.not_served().iter().any(|why| why.contains("TLS on port 443")), "{:?}", open.not_served());
    let (status, body) = curl(address, &["-H", "Host: my-app.example.com", "-H", "version: v2"]).await;
    assert_eq!((status.as_str(), body.split(' ').next()), ("200", Some("v2")));
    for _ in 0..40 {
        assert_eq!(curl(address, &["-H", "Host: my-app.example.com"]).await.0, "200");
    }
    assert!(v1.seen() > v2.seen(), "{} {}", v1.seen(), v2.seen());
    assert_eq!(curl(address, &["-H", "Host: elsewhere.org"]).await, ("404".into(), String::new()));
    assert_eq!(curl(address, &["-0", "-H", "Host: my-app.example.com"]).await.0, "426");
    let upgrade = ["-H", "Host: my-app.example.com", "-H", "Connection: Upgrade", "-H", "Upgrade: irc"];
    assert_eq!(curl(address, &upgrade).await.0, "403");
}

async fn my_app(files: &[&str]) -> Option<(Mesh, Upstream, Upstream)> {
    let (v1, v2) = (Upstream::start("v1").await, Upstream::start("v2").await);
    let mut all = vec![service("my-app", 8080, &[("v1", &v1), ("v2", &v2)])];
    for file in files {
        all.push(user_file(file)?);
    }
    Some((mesh(&all).await, v1, v2))
}

const MY_APP: &str = "http://my-app:8080/";

#[tokio::test]
async fn the_how_tos_canary_splits_and_heeds_its_header() {
    let Some((mesh, ..)) = my_app(&["destinationrule-my-app.yaml", "virtualservice-my-app-canary.yaml"]).await else {
        return;
    };
    let forced = shares(&mesh, MY_APP, &[("x-canary", "true")], 50).await;
    assert_eq!(forced, BTreeMap::from([("v2".to_owned(), 50)]));
    let shares = shares(&mesh, MY_APP, &[], 2_000).await;
    assert!(is_share(shares["v1"], 2_000, 95.0), "{shares:?}");
}

#[tokio::test]
async fn the_how_tos_mirror_copies_every_request() {
    let Some((mesh, v1, v2)) = my_app(&["destinationrule-my-app.yaml", "virtualservice-my-app-mirror.yaml"]).await
    else {
        return;
    };
    for _ in 0..50 {
        assert_eq!(ask(&mesh, MY_APP, &[]).await.by(), "v1");
    }
    tokio::time::timeout(Duration::from_secs(5), async {
        while v2.seen() < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("every request is copied");
    assert_eq!((v1.seen(), v2.seen()), (50, 50));
}

#[tokio::test]
async fn the_how_tos_retries_hide_passing_failures() {
    let Some((mesh, v1, v2)) = my_app(&["virtualservice-my-app-resilience.yaml"]).await else { return };
    v1.failing.store(1, Ordering::SeqCst);
    v2.failing.store(2, Ordering::SeqCst);
    for _ in 0..4 {
        assert_eq!(ask(&mesh, MY_APP, &[]).await.status, 200);
    }
    v1.failing.store(100, Ordering::SeqCst);
    v2.failing.store(100, Ordering::SeqCst);
    let before = v1.seen() + v2.seen();
    let answer = ask(&mesh, MY_APP, &[]).await;
    assert_eq!((answer.status, answer.flags.as_str()), (503, "URX"));
    assert_eq!(v1.seen() + v2.seen() - before, 4, "one try and three more");
}

#[tokio::test]
async fn the_how_tos_circuit_breaker_closes_connections_after_two_requests() {
    let Some((mesh, v1, v2)) = my_app(&["destinationrule-my-app-cb.yaml"]).await else { return };
    for _ in 0..40 {
        assert_eq!(ask(&mesh, MY_APP, &[]).await.status, 200);
    }
    let connections = v1.callers.lock().unwrap().len() + v2.callers.lock().unwrap().len();
    assert!((20..=22).contains(&connections), "{connections} connections for 40 requests");
    assert!(mesh.report().to_string().contains("consecutive errors is deprecated"), "{}", mesh.report());
}

/// What a person sees who asks a gateway with curl.
#[tokio::test]
async fn curl_shows_what_each_flag_stands_for() {
    let up = Upstream::start("up").await;
    let rules = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {istio: ingress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: app-limits, namespace: default}
spec: {host: app, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: default}
spec:
  hosts: [app.example.com]
  gateways: [gateway]
  http:
  - {match: [{headers: {want: {exact: none}}}], route: [{destination: {host: app, subset: v9}}]}
  - {match: [{headers: {want: {exact: slow}}}], rewrite: {uri: /slow}, timeout: 300ms, route: [{destination: {host: app}}]}
  - {match: [{headers: {want: {exact: one}}}], rewrite: {uri: /slow}, route: [{destination: {host: app}}]}
  - {match: [{headers: {want: {exact: ok}}}], route: [{destination: {host: app}}]}
";
    let files = [service("app", 80, &[("v1", &up)]), subsets("app", &["v9"]), rules.to_owned()];
    let mesh = mesh_as("default/gateway", "istio", "ingress", &files).await;
    let gateway = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let address = gateway.address_of(80).unwrap();
    let want = |what: &'static str| async move {
        curl(address, &["-H", "Host: app.example.com", "-H", &format!("want: {what}")]).await
    };
    let answer = |status: &str, body: &str| (status.to_owned(), body.to_owned());
    assert_eq!(want("ok").await.0, "200");
    assert_eq!(want("nothing of the kind").await, answer("404", ""));
    assert_eq!(want("none").await, answer("503", "no healthy upstream"));
    assert_eq!(want("slow").await, answer("504", "upstream request timeout"));
    let (first, second) = tokio::join!(want("one"), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        want("one").await
    });
    assert_eq!(first.0, "200");
    let overflow = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
    assert_eq!(second, answer("503", overflow));
}

#[tokio::test]
async fn all_files_of_the_how_to_together_follow_the_one_winner_rules() {
    let names = [
        "authorizationpolicy-allow-get-only.yaml",
        "destinationrule-my-app.yaml",
        "destinationrule-my-app-cb.yaml",
        "gateway-gateway.yaml",
        "peerauthentication-default.yaml",
        "virtualservice-my-app.yaml",
        "virtualservice-my-app-canary.yaml",
        "virtualservice-my-app-mirror.yaml",
        "virtualservice-my-app-resilience.yaml",
    ];
    let Some((mesh, ..)) = my_app(&names).await else { return };
    let report = mesh.report().to_string();
    for loser in ["my-app-mirror", "my-app-resilience"] {
        let lost = format!("VirtualService default/{loser} spec.hosts: the rules have no effect on my-app");
        assert!(report.contains(&lost), "{loser}: {report}");
    }
    assert!(
        report.contains("DestinationRule default/my-app-cb spec.trafficPolicy: the trafficPolicy has no effect"),
        "{report}"
    );
    assert!(
        report.contains("PeerAuthentication default/default is read and checked, but not enforced yet"),
        "{report}"
    );
    assert!(report.contains("consecutive errors is deprecated"), "{report}");
    assert!(report.contains("MESH0501"), "10 % of two endpoints ejects nobody: {report}");
    assert_eq!(ask(&mesh, MY_APP, &[("x-canary", "true")]).await.by(), "v2");
}

#[tokio::test]
async fn each_failure_answers_with_its_status_body_and_flag() {
    let up = Upstream::start("up").await;
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let files = [
        service("app", 80, &[("v1", &up)]),
        subsets("app", &["v1", "v9"]),
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: down, namespace: default}}
spec:
  hosts: [down.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {refused}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app, namespace: default}}
spec:
  hosts: [app]
  http:
  - {{match: [{{uri: {{prefix: /none}}}}], route: [{{destination: {{host: app, subset: v9}}}}]}}
  - {{match: [{{uri: {{prefix: /missing}}}}], route: [{{destination: {{host: app, subset: nope}}}}]}}
  - {{match: [{{uri: {{prefix: /direct}}}}], directResponse: {{status: 418, body: {{string: tea}}}}}}
  - {{match: [{{uri: {{prefix: /away}}}}], redirect: {{uri: /there}}}}
  - {{match: [{{uri: {{exact: /ok}}}}], route: [{{destination: {{host: app}}}}]}}
"
        ),
    ];
    let mesh = mesh(&files).await;
    let reset = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure";
    for (url, status, body, flags) in [
        ("http://app/nowhere", 404, "", "NR"),
        ("http://app/none", 503, "no healthy upstream", "UH"),
        ("http://app/missing", 503, "", "NC"),
        ("http://down.example/", 503, reset, "URX,UF"),
        ("http://app/direct", 418, "tea", "-"),
        ("http://app/away", 301, "", "-"),
        ("http://app/ok", 200, "up /ok app", "-"),
    ] {
        let answer = ask(&mesh, url, &[]).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.flags.as_str()), (status, body, flags), "{url}");
    }
}

/// Two versions of the configuration that send to different upstreams and mark their answers.
fn version(name: &str, upstream: &Upstream) -> String {
    service("app", 80, &[("v1", upstream)])
        + &format!(
            "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app, namespace: default}}
spec:
  hosts: [app]
  http: [{{route: [{{destination: {{host: app}}}}], headers: {{response: {{set: {{x-version: {name}}}}}}}}}]
"
        )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_see_whole_versions_while_files_are_rewritten() {
    const REQUESTS: usize = 20_000;
    let (a, b) = (Upstream::start("a").await, Upstream::start("b").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mesh.yaml");
    let write = |text: &str| {
        let next = folder.path().join(".next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &file).unwrap();
    };
    write(&version("a", &a));
    let mesh = Mesh::builder().config_dir(folder.path()).workload("default/caller").build().await.unwrap();
    let (texts, done) = ([version("a", &a), version("b", &b)], AtomicBool::new(false));
    let rewrite = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        for turn in 0_usize.. {
            tick.tick().await;
            if done.load(Ordering::SeqCst) {
                break;
            }
            // Every fifth file is broken in the middle of a line.
            if turn % 5 == 4 { write(&texts[turn % 2][..300]) } else { write(&texts[turn % 2]) }
        }
    };
    let requests = async {
        let one = |_| async {
            let request = http::Request::get("http://app/").body(Body::empty()).unwrap();
            let response = mesh.client().send(request).await;
            assert_eq!(response.status(), 200);
            let version = response.headers()["x-version"].to_str().unwrap().to_owned();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.starts_with(version.as_bytes()), "version {version} was answered by {body:?}");
        };
        futures_util::stream::iter(0..REQUESTS).map(one).buffer_unordered(32).for_each(|()| async {}).await;
        // Long enough to see versions come and go however quick the machine is.
        tokio::time::sleep(Duration::from_millis(500)).await;
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(rewrite, requests);
    assert!(mesh.version() > 3, "only {} versions were put into use", mesh.version());
    assert_eq!(a.seen() + b.seen(), u32::try_from(REQUESTS).unwrap());
}

#[tokio::test]
async fn a_broken_set_changes_nothing_but_the_report() {
    let up = Upstream::start("up").await;
    let mesh = mesh(&[service("app", 80, &[("v1", &up)])]).await;
    let before = mesh.version();
    let refused = mesh.apply_yaml("more.yaml", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {hosts: [app], htpp: []}\n");
    assert!(!refused.accepted && refused.report.has_errors());
    assert!(refused.report.to_string().contains("did you mean"), "{}", refused.report);
    assert_eq!(mesh.version(), before);
    assert_eq!(ask(&mesh, "http://app/", &[]).await.status, 200);
}

#[tokio::test]
async fn a_configuration_with_errors_does_not_start_unless_told_to_go_on_with_what_is_good() {
    let broken = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {hosts: [app], http: [{route: [{destination: {host: \"${HOST}\"}, weight: many}]}]}\n";
    let up = Upstream::start("up").await;
    let builder = || {
        Mesh::builder()
            .workload("default/caller")
            .config_yaml("good.yaml", service("app", 80, &[("v1", &up)]))
            .config_yaml("broken.yaml", broken)
    };
    let error = builder().build().await.unwrap_err().to_string();
    assert!(error.contains("broken.yaml:4:"), "{error}");
    let mesh = builder().keep_good_on_error().build().await.unwrap();
    assert_eq!(ask(&mesh, "http://app/", &[]).await.status, 200);
    let nowhere = Mesh::builder().config_dir("/nowhere/at/all").build().await.unwrap_err();
    assert!(nowhere.to_string().contains("/nowhere/at/all"), "{nowhere}");
}

/// A service that embeds the mesh and calls itself through it.
#[tokio::test]
async fn a_service_calls_itself_through_the_mesh() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = Upstream { address, seen: Arc::default(), failing: Arc::default(), callers: Arc::default() };
    let mesh = mesh(&[service("app", 80, &[("v1", &own)])]).await;
    let client = mesh.client();
    let app = Router::new().route("/inner", axum::routing::get(|| async { "inner" })).route(
        "/outer",
        axum::routing::get(move || async move {
            let request = http::Request::get("http://app/inner").body(Body::empty()).unwrap();
            axum::body::Body::new(client.send(request).await.into_body())
        }),
    );
    let server = mesh.clone();
    tokio::spawn(async move { server.serve(listener, app).await });
    assert_eq!(ask(&mesh, "http://app/outer", &[]).await.body, "inner");
    mesh.shutdown(Duration::from_secs(1)).await;
}

const _: fn() = || {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn transport<T: tonic::client::GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static>() {}
    fn service<T: tower::Service<http::Request<axum::body::Body>>>() {}
    shared::<Mesh>();
    shared::<mesh_tower::inbound::InboundLayer>();
    transport::<mesh_tower::MeshClient>();
    service::<mesh_tower::MeshClient>();
    #[allow(dead_code, reason = "only has to compile")]
    async fn serves(mesh: Mesh, a: TcpListener, b: TcpListener, router: Router, routes: tonic::service::Routes) {
        let _ = mesh.serve(a, router).await;
        let _ = mesh.serve(b, routes).await;
    }
};
