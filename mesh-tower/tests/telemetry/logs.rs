//! Access logs of both sides, as MeshConfig and Telemetry resources ask for them.

use std::path::Path;
use std::time::Duration;

use http::Request;
use mesh_tower::Body;
use mesh_tower::telemetry::AccessLog;

use super::world::World;

/// The lines of a file, once there are so many.
async fn lines(path: &Path, wanted: usize) -> Vec<String> {
    for _ in 0..1_000 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= wanted {
            return text.lines().map(ToOwned::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{}: {:?}", path.display(), std::fs::read_to_string(path));
}

#[tokio::test]
async fn both_sides_log_a_request_in_istios_format() {
    let directory = tempfile::tempdir().unwrap();
    let (at_web, at_reviews) = (directory.path().join("web"), directory.path().join("reviews"));
    let file = |path: &Path| format!("accessLogFile: {}", path.display());
    let (web, reviews) = (file(&at_web), file(&at_reviews));
    let world = World::of(|web_side| web_side.mesh_config_yaml(&web), |side| side.mesh_config_yaml(&reviews)).await;
    let request =
        Request::post("http://reviews:9080/echo?q=1").header("user-agent", "curl/8").header("x-request-id", "id-1");
    world.send(request, Body::from("hello")).await;
    let client = lines(&at_web, 1).await.remove(0);
    let words: Vec<_> = client.split(' ').collect();
    assert!(words[0].starts_with("[20") && words[0].ends_with("Z]"), "{client}");
    assert_eq!(words[1..8].join(" "), "\"POST /echo?q=1 HTTP/1.1\" 200 - via_upstream -");
    assert_eq!(words[8..11].join(" "), "\"-\" 5 5");
    let cluster = "outbound|9080||reviews.shop.svc.cluster.local";
    let rest = format!(
        "\"curl/8\" \"id-1\" \"reviews:9080\" \"{}\" {cluster} {} - - - default",
        world.at,
        words[words.len() - 5]
    );
    assert!(client.ends_with(&rest) && words[words.len() - 5].starts_with("127.0.0.1:"), "{client}");
    let server = lines(&at_reviews, 1).await.remove(0);
    assert!(server.contains("\"POST /echo?q=1 HTTP/1.1\" 200 - via_upstream - \"-\" 5 5 "), "{server}");
    assert!(server.contains(&format!(" {} 127.0.0.1:", world.at)), "{server}");
}

#[tokio::test]
async fn a_telemetry_resource_says_where_and_on_which_side_requests_are_logged() {
    let directory = tempfile::tempdir().unwrap();
    let (json, text) = (directory.path().join("json"), directory.path().join("text"));
    let config = format!(
        "
extensionProviders:
- name: json
  envoyFileAccessLog: {{path: {}, logFormat: {{labels: {{code: '%RESPONSE_CODE%', path: '%REQ(:PATH)%', flags: '%RESPONSE_FLAGS_LONG%'}}}}}}
- name: text
  envoyFileAccessLog: {{path: {}, logFormat: {{text: '%REQ(X-USER)% %RESPONSE_CODE%'}}}}
",
        json.display(),
        text.display()
    );
    let telemetry = |logging: &str| {
        format!(
            "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: logs, namespace: shop}}
spec: {{accessLogging: {logging}}}
"
        )
    };
    let both = telemetry(
        "[{providers: [{name: json}], match: {mode: CLIENT}}, {providers: [{name: text}], match: {mode: SERVER}}]",
    );
    let build = |builder: mesh_tower::MeshBuilder| builder.mesh_config_yaml(&config).config_yaml("logs.yaml", &both);
    let world = World::of(build, build).await;
    world.send(Request::get("http://reviews:9080/error").header("x-user", "jason"), Body::empty()).await;
    world.send(Request::get("http://reviews:9081/nobody"), Body::empty()).await;
    let said = lines(&json, 2).await;
    assert_eq!(said[0], r#"{"code":500,"flags":"-","path":"/error"}"#);
    assert_eq!(
        said[1],
        r#"{"code":503,"flags":"UpstreamRetryLimitExceeded,UpstreamConnectionFailure","path":"/nobody"}"#
    );
    assert_eq!(lines(&text, 1).await, ["jason 500"]);
    // Turned off while it runs.
    let off = telemetry("[{providers: [{name: json}], disabled: true}]");
    assert!(world.web.apply_yaml("logs.yaml", &off).accepted);
    world.get("/reviews/1").await;
    assert_eq!(lines(&text, 2).await.len(), 2, "the other side goes on");
    assert_eq!(lines(&json, 2).await.len(), 2);
}

#[tokio::test]
async fn a_format_that_cannot_be_read_is_pointed_out_and_the_default_one_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let config = format!("accessLogFile: {}\naccessLogFormat: 'x %NO_SUCH_COMMAND%'", path.display());
    let world = World::of(|web| web.mesh_config_yaml(&config), |reviews| reviews).await;
    let report = world.web.report();
    let told = report.iter().map(ToString::to_string).find(|told| told.contains("accessLogFormat"));
    assert!(told.is_some_and(|told| told.contains("%NO_SUCH_COMMAND%") && told.contains("character 3")));
    world.get("/reviews/1").await;
    assert!(lines(&path, 1).await[0].contains("\"GET /reviews/1 HTTP/1.1\" 200 - via_upstream"));
}

#[tokio::test]
async fn a_filter_says_which_requests_are_logged() {
    let directory = tempfile::tempdir().unwrap();
    let (some, all) = (directory.path().join("some"), directory.path().join("all"));
    let config = format!(
        "
extensionProviders:
- name: some
  envoyFileAccessLog: {{path: {}, logFormat: {{text: '%REQ(:PATH)% %RESPONSE_CODE%'}}}}
- name: all
  envoyFileAccessLog: {{path: {}, logFormat: {{text: '%REQ(:PATH)%'}}}}
",
        some.display(),
        all.display()
    );
    let telemetry = "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: shop}
spec:
  accessLogging:
  - providers: [{name: some}]
    match: {mode: CLIENT}
    filter: {expression: \"response.code >= 500 || request.headers['x-debug'] == 'yes'\"}
  - providers: [{name: all}]
    match: {mode: CLIENT}
";
    let world = World::of(|web| web.mesh_config_yaml(&config).config_yaml("logs.yaml", telemetry), |side| side).await;
    assert!(!world.web.report().iter().any(|told| told.to_string().contains("filter")));
    world.get("/reviews/1").await;
    world.send(Request::get("http://reviews:9080/reviews/2").header("x-debug", "yes"), Body::empty()).await;
    world.send(Request::get("http://reviews:9080/reviews/3").header("x-debug", "no"), Body::empty()).await;
    world.get("/error").await;
    assert_eq!(lines(&all, 4).await, ["/reviews/1", "/reviews/2", "/reviews/3", "/error"]);
    assert_eq!(lines(&some, 2).await, ["/reviews/2 200", "/error 500"]);
}

#[tokio::test]
async fn a_part_of_a_filter_that_errs_is_pointed_out_where_it_stands() {
    let telemetry = "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: shop}
spec:
  accessLogging:
  - providers: [{name: envoy}]
    filter:
      expression: response.code >= 500 && request.nosuch == 'a'
";
    let world = World::of(|web| web.config_yaml("logs.yaml", telemetry), |side| side).await;
    let report = world.web.report();
    let told = report.iter().map(ToString::to_string).find(|told| told.contains("request.nosuch")).unwrap();
    assert!(told.contains("logs.yaml:9:") && told.contains("column 25 of the expression"), "{told}");
    assert!(told.contains("requests are not logged"), "{told}");
}

#[tokio::test]
async fn the_application_asks_for_a_log_without_a_document() {
    let directory = tempfile::tempdir().unwrap();
    let (text, json, errors) =
        (directory.path().join("text"), directory.path().join("json"), directory.path().join("errors"));
    let errors_log = AccessLog::file(&errors).text("%REQ(:PATH)% %RESPONSE_CODE%").unwrap();
    let errors_log = errors_log.filter("response.code >= 500").unwrap();
    let of_web = |web: mesh_tower::MeshBuilder| {
        web.access_log(AccessLog::file(&text)).access_log(AccessLog::file(&json).json()).access_log(errors_log.clone())
    };
    let world = World::of(of_web, |reviews| reviews.access_log(errors_log.clone())).await;
    world.get("/reviews/1").await;
    world.get("/error").await;
    assert!(lines(&text, 2).await[0].contains("\"GET /reviews/1 HTTP/1.1\" 200 - via_upstream"));
    let json: serde_json::Value = serde_json::from_str(&lines(&json, 2).await[1]).unwrap();
    assert_eq!((&json["path"], &json["response_code"]), (&"/error".into(), &500.into()));
    assert_eq!(lines(&errors, 2).await, ["/error 500", "/error 500"], "of both sides");
    let refused = AccessLog::stdout().filter("response.nosuch == 1").unwrap_err();
    assert_eq!(refused.to_string(), "no such access log: column 1: there is no attribute response.nosuch");
    assert!(AccessLog::stderr().text("%NO_SUCH%").is_err());
}

/// What a mesh that ends has logged is there when its server has ended.
#[tokio::test]
async fn what_was_logged_before_the_drain_is_written_when_it_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = AccessLog::file(&path).text("%REQ(:PATH)%").unwrap();
    let world = World::of(|web| web.access_log(log), |reviews| reviews).await;
    for _ in 0..50 {
        world.get("/reviews/1").await;
    }
    world.web.shutdown(Duration::from_secs(5)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 50);
}
