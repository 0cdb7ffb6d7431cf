//! What counts for hosts and callers, and what is wrong at this moment.

use std::process::Stdio;

use mesh_tower::identity::MemoryIdentity;
use tokio::process::Command;

use super::authority::Authority;
use super::*;

#[tokio::test]
async fn the_policy_of_a_host_is_told_with_the_line_that_says_so() {
    let world = World::plain().await;
    let told = world.json("/mesh/effective/reviews").await;
    assert_eq!(told["host"], "reviews.shop.svc.cluster.local");
    assert_eq!(world.json("/mesh/effective/reviews.shop.svc.cluster.local").await, told);
    let clusters = told["clusters"].as_array().unwrap();
    let v1 = clusters.iter().find(|cluster| cluster["subset"] == "v1").unwrap();
    let line = |name: &str| {
        let line = v1["policy"].as_array().unwrap().iter().find(|line| line["name"] == name);
        line.unwrap_or_else(|| panic!("no {name} in {v1:#}")).clone()
    };
    let limits = line("limits");
    assert!(limits["value"].as_str().unwrap().contains('7'), "{limits}");
    assert_eq!(limits["place"]["object"], "DestinationRule shop/reviews");
    let rules = rules(world.good, world.bad);
    let written = rules.lines().position(|line| line.contains("maxConnections")).unwrap() + 1;
    assert_eq!(limits["place"]["at"], format!("rules.yaml:{written}"));
    assert_eq!(v1["endpoints"][0]["address"], world.good.to_string());
    let rule = told["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == "usual").unwrap();
    let written = rules.lines().position(|line| line.contains("name: usual")).unwrap() + 1;
    assert_eq!(rule["at"], format!("rules.yaml:{written}"));
    assert_eq!(world.get("/mesh/effective/nobody").await.status, 404);
}

const POLICIES: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/front]}}]
    to: [{operation: {methods: [GET]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: shop, annotations: {istio.io/dry-run: 'true'}}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}
";

#[tokio::test]
async fn who_may_do_what_is_told_with_the_rule_and_what_a_trial_would_say() {
    let world = World::start(|builder| builder.config_yaml("policies.yaml", POLICIES).admin("127.0.0.1:0")).await;
    let front = "/mesh/authz?as=cluster.local/ns/shop/sa/front";
    let allowed = world.json(&format!("{front}&method=GET&path=/a")).await;
    assert_eq!((&allowed["decision"], &allowed["mode"]), (&"allow".into(), &"PERMISSIVE".into()), "{allowed:#}");
    let wanted = serde_json::json!({"policy": "shop/readers", "rule": 0, "at": "policies.yaml:8"});
    assert_eq!(allowed["by"], wanted);
    assert_eq!(allowed["dry_run"]["deny"]["would_allow"], true, "{allowed:#}");
    let policies = allowed["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    assert!(
        policies.iter().any(|policy| policy["policy"] == "shop/closed" && policy["dry_run"] == true),
        "{allowed:#}"
    );
    let matching = |told: &Value, name: &str| {
        let policies = told["policies"].as_array().unwrap();
        policies.iter().find(|policy| policy["policy"] == name).unwrap()["matching_rule"].clone()
    };
    assert_eq!((matching(&allowed, "shop/readers"), matching(&allowed, "shop/closed")), (0.into(), Value::Null));
    let on_trial = world.json(&format!("{front}&path=/admin/x")).await;
    assert_eq!((matching(&on_trial, "shop/readers"), matching(&on_trial, "shop/closed")), (0.into(), 0.into()));
    assert_eq!((&on_trial["decision"], &on_trial["dry_run"]["deny"]["would_allow"]), (&"allow".into(), &false.into()));
    for denied in ["/mesh/authz?path=/a".to_owned(), format!("{front}&method=POST")] {
        assert_eq!(world.json(&denied).await["decision"], "deny", "{denied}");
    }
    assert_eq!(world.json(&format!("{front}&path=/%2500")).await["decision"], "reject");
    for bad in ["?method=a%20b", "?h=x", "?port=x", "?address=x"] {
        assert_eq!(world.get(&format!("/mesh/authz{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn strict_keeps_out_who_proves_nothing_before_a_policy_is_asked() {
    let strict = "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
";
    let world = World::start(|builder| builder.config_yaml("strict.yaml", strict).admin("127.0.0.1:0")).await;
    assert_eq!(world.json("/mesh/authz").await["decision"], "reject");
    assert_eq!(world.json("/mesh/authz?as=cluster.local/ns/a/sa/b").await["decision"], "allow");
}

#[tokio::test]
async fn the_hash_is_of_what_is_said_and_not_of_where_it_stands() {
    let (here, there) = (World::plain().await, World::plain().await);
    let config = |world: &World| {
        let rules = rules(here.good, here.bad);
        assert!(world.mesh.apply_yaml("rules.yaml", &rules).accepted);
    };
    config(&here);
    let before = here.json("/mesh/config").await["hash"].clone();
    assert_ne!(there.json("/mesh/config").await["hash"], before);
    config(&there);
    assert_eq!(there.json("/mesh/config").await["hash"], before);
    assert_eq!(before.as_str().unwrap().len(), 32);
    assert!(here.mesh.apply_yaml("rules.yaml", &rules(here.bad, here.good)).accepted);
    assert_ne!(here.json("/mesh/config").await["hash"], before);
}

#[tokio::test]
async fn a_source_tells_when_its_files_were_changed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    std::fs::write(&file, rules(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into())).unwrap();
    let mesh =
        Mesh::builder().workload("shop/web").config_dir(directory.path()).admin("127.0.0.1:0").build().await.unwrap();
    let (good, bad) = (mesh.admin_address().unwrap(), mesh.admin_address().unwrap());
    let world = World { mesh, good, bad, _serving: JoinSet::new() };
    let told = world.json("/mesh/config").await;
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(told["sources"][0]["modified"], seconds, "{told:#}");
    assert_eq!(World::plain().await.json("/mesh/config").await["sources"][0]["modified"], Value::Null);
}

#[tokio::test]
async fn a_certificate_tells_since_when_it_is_in_use() {
    let authority = Authority::new();
    let identity = MemoryIdentity::new(authority.material("spiffe://cluster.local/ns/shop/sa/web"));
    let world = World::start(|builder| builder.identity(identity).admin("127.0.0.1:0")).await;
    let told = world.json("/mesh/certs").await;
    assert!((0..60).contains(&told["reloaded_seconds_ago"].as_i64().unwrap()), "{told:#}");
    assert_eq!(World::plain().await.json("/mesh/certs").await["reloaded"], Value::Null);
}

#[tokio::test]
async fn what_is_wrong_now_is_told_beside_what_documents_say() {
    let more = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: empty, namespace: shop}
spec:
  hosts: [empty.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: nobody}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tight, namespace: shop}
spec: {host: tight.shop.svc.cluster.local, trafficPolicy: {outlierDetection: {maxEjectionPercent: 10}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: tight, namespace: shop}
spec:
  hosts: [tight.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1}, {address: 127.0.0.2}]
";
    let world = World::start(|builder| builder.config_yaml("more.yaml", more).admin("127.0.0.1:0")).await;
    let has = |lint: &Value, fact: &str, about: &str| {
        let facts = lint["live"].as_array().unwrap();
        facts.iter().any(|known| known["fact"] == fact && known["about"].as_str().unwrap().contains(about))
    };
    let before = world.json("/mesh/lint").await;
    assert!(has(&before, "no-endpoints", "|empty."), "{before:#}");
    assert!(has(&before, "impossible-ejection", "|tight."), "{before:#}");
    assert!(!has(&before, "impossible-ejection", "|reviews.") && !has(&before, "plaintext-edge", ""), "{before:#}");
    assert_eq!(world.call("v1").await, 200);
    let after = world.json("/mesh/lint").await;
    assert!(has(&after, "plaintext-edge", "|v1|reviews."), "{after:#}");
}

#[tokio::test]
async fn a_process_says_who_it_is_and_what_made_it() {
    let world = World::plain().await;
    let told = world.json("/mesh/version").await;
    assert_eq!(told["process"], "shop/web");
    assert!(told["rustc"].as_str().unwrap().starts_with("rustc 1."), "{told:#}");
}

/// Runs this test again in a process of its own, whose environment names an address.
#[tokio::test]
async fn the_environment_may_name_the_address() {
    const CHILD: &str = "MESH_TEST_OF_ADMIN_ADDRESS";
    if let Ok(opens) = std::env::var(CHILD) {
        let world = World::start(|builder| builder).await;
        assert_eq!(world.mesh.admin_address().is_some().to_string(), opens);
        if world.mesh.admin_address().is_some() {
            assert_eq!(world.get("/live").await.status, 200);
        }
        return;
    }
    for (address, opens) in [("127.0.0.1:0", "true"), ("off", "false"), ("", "false")] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "policies::the_environment_may_name_the_address"]);
        command.env("MESH_ADMIN_ADDR", address).env(CHILD, opens).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(Duration::from_secs(20), command.output()).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{address}: {text}");
    }
}
