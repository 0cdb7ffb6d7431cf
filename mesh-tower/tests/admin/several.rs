//! `meshctl` asking about requests, and several running meshes at once.

use std::process::Stdio;

use tokio::process::Command;

use super::*;

const TOKEN: &str = "let-me";

async fn meshctl(worlds: &[&World], arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    for world in worlds {
        command.args(["--admin", &format!("http://{}", world.mesh.admin_address().unwrap())]);
    }
    command.args(arguments).env("MESH_ADMIN_TOKEN", TOKEN).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(20), command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The name of a process in a table.
fn name(world: &World) -> String {
    format!("shop/web@{}", world.mesh.admin_address().unwrap())
}

/// The words of the line that has all of these.
fn line<'t>(text: &'t str, wanted: &[&str]) -> Vec<&'t str> {
    let line = text.lines().find(|line| wanted.iter().all(|word| line.contains(word)));
    line.unwrap_or_else(|| panic!("no line with {wanted:?} in\n{text}")).split_whitespace().collect()
}

#[tokio::test]
async fn top_shows_rules_by_what_they_take() {
    let world = World::plain().await;
    for version in ["v1", "v1", "v2"] {
        world.call(version).await;
    }
    let (status, out, err) = meshctl(&[&world], &["top", "reviews"]).await;
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("HOST"), "{out}");
    let usual = line(&out, &["usual"]);
    assert_eq!((usual[1], usual[3], usual[7]), ("usual", "100.0", "1.00"), "{out}");
    assert_eq!(line(&out, &["broken"])[3], "0.00", "{out}");
    let place = |name: &str| out.find(name).unwrap();
    assert!(place("usual") < place("broken"), "{out}");
    let (_, out, _) = meshctl(&[&world], &["top", "nobody"]).await;
    assert_eq!(out.lines().count(), 1, "{out}");
    let (_, out, _) = meshctl(&[&world], &["top", "-o", "json", "--window", "5m"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert!(told[0]["routes"].is_array(), "{out}");
}

#[tokio::test]
async fn the_graph_shows_shares_and_what_is_not_secured() {
    let world = World::plain().await;
    for version in ["v1", "v1", "v1", "v2"] {
        world.call(version).await;
    }
    let (status, out, err) = meshctl(&[&world], &["graph"]).await;
    assert_eq!(status, 0, "{err}");
    let good = line(&out, &["|v1|"]);
    assert_eq!((good[0], good[2]), ("shop/web", &*world.good.to_string()), "{out}");
    assert_eq!((good[4], good[6], good[7], good[8]), ("75.0%", "0.0%", "plaintext", "ok"), "{out}");
    assert_eq!(line(&out, &["|v2|"])[8], "ejected", "{out}");
}

#[tokio::test]
async fn a_host_is_described_with_the_lines_that_say_so() {
    let world = World::plain().await;
    let (status, out, err) = meshctl(&[&world], &["describe", "reviews"]).await;
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("host reviews.shop.svc.cluster.local"), "{out}");
    line(&out, &["VirtualService shop/reviews http[1]", "usual", "rules.yaml:"]);
    line(&out, &["limits", "DestinationRule shop/reviews", "rules.yaml:"]);
    line(&out, &["endpoint", &world.good.to_string(), "ok"]);
    let (status, _, err) = meshctl(&[&world], &["describe", "nobody"]).await;
    assert_eq!(status, 2);
    assert!(err.contains("no service has this host"), "{err}");
}

#[tokio::test]
async fn the_level_of_the_log_is_set_by_who_has_the_token() {
    let set = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let to = std::sync::Arc::clone(&set);
    let admin = |token: &str| {
        let to = std::sync::Arc::clone(&to);
        Admin::at("127.0.0.1:0").token(token).log_level(move |level: &str| {
            level.clone_into(&mut to.lock().unwrap());
            Ok(())
        })
    };
    let world = World::start(|builder| builder.admin(admin(TOKEN))).await;
    let (status, out, err) = meshctl(&[&world], &["log", "mesh=debug"]).await;
    assert_eq!((status, &**set.lock().unwrap()), (0, "mesh=debug"), "{err}");
    assert!(out.contains("mesh=debug"), "{out}");
    let (_, out, _) = meshctl(&[&world], &["get", "log"]).await;
    assert_eq!(line(&out, &["mesh=debug"]), ["true", "mesh=debug"], "{out}");
    let other = World::start(|builder| builder.admin(admin("another"))).await;
    let (status, _, err) = meshctl(&[&other], &["log", "mesh=trace"]).await;
    assert_eq!((status, &**set.lock().unwrap()), (2, "mesh=debug"));
    assert!(err.contains("401") && !err.contains(TOKEN), "{err}");
}

#[tokio::test]
async fn listeners_and_secrets_are_listed_as_istioctl_does() {
    let authority = super::authority::Authority::new();
    let material = authority.material("spiffe://cluster.local/ns/shop/sa/web");
    let identity = mesh_tower::identity::MemoryIdentity::new(material);
    let world = World::start(|builder| builder.identity(identity).admin("127.0.0.1:0")).await;
    let (_, out, err) = meshctl(&[&world], &["get", "listeners"]).await;
    assert_eq!(line(&out, &["9080"])[..2], ["mesh", "9080"], "{out}{err}");
    let (_, out, err) = meshctl(&[&world], &["get", "secrets"]).await;
    assert!(out.starts_with("RESOURCE NAME"), "{out}{err}");
    line(&out, &["Cert Chain", "ACTIVE", "true", "spiffe://cluster.local/ns/shop/sa/web"]);
    let (_, out, _) = meshctl(&[&world], &["get", "endpoints"]).await;
    line(&out, &[&world.good.to_string(), "HEALTHY", "OK"]);
}

#[tokio::test]
async fn several_processes_are_told_apart_by_name() {
    let (one, other) = (World::plain().await, World::plain().await);
    one.call("v1").await;
    other.call("v2").await;
    let both = [&one, &other];
    let (status, out, err) = meshctl(&both, &["status"]).await;
    assert_eq!(status, 1, "an endpoint is ejected: {out}{err}");
    assert!(out.starts_with("PROCESS"), "{out}");
    assert!(line(&out, &[&name(&other)]).contains(&"other"), "their endpoints differ: {out}");
    assert!(!line(&out, &[&name(&one)]).contains(&"other"), "{out}");
    for (arguments, wanted) in [
        (vec!["top"], "usual"),
        (vec!["graph"], "plaintext"),
        (vec!["get", "endpoints"], "HEALTHY"),
        (vec!["get", "listeners"], "9080"),
    ] {
        let (status, out, err) = meshctl(&both, &arguments).await;
        assert_eq!(status, 0, "{arguments:?}: {err}");
        line(&out, &[&name(&one), wanted]);
    }
    let (_, out, _) = meshctl(&both, &["why", "UH"]).await;
    line(&out, &[&name(&other), &other.bad.to_string()]);
    let (_, out, _) = meshctl(&both, &["status", "-o", "json"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told[&name(&one)]["well"], &told[&name(&other)]["well"]), (&true.into(), &false.into()), "{out}");
}

#[tokio::test]
async fn why_is_told_as_json_with_its_causes() {
    let world = World::plain().await;
    world.call("v2").await;
    let (_, out, err) = meshctl(&[&world], &["why", "UH", "-o", "json"]).await;
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((&told[0]["flag"], &told[0]["causes"][0][1]), (&"UH".into(), &world.bad.to_string().into()));
}

#[tokio::test]
async fn one_that_does_not_answer_hides_no_other() {
    let (world, gone) = (World::plain().await, World::plain().await);
    let address = gone.mesh.admin_address().unwrap();
    drop(gone);
    let live = format!("http://{}", world.mesh.admin_address().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    command.args(["--admin", &live, "--admin", &format!("http://{address}"), "get", "endpoints"]);
    let output = timeout(Duration::from_secs(20), command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&world.good.to_string()), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address.to_string()), "{output:?}");
}

#[tokio::test]
async fn taps_of_several_processes_come_together() {
    let (one, other) = (World::plain().await, World::plain().await);
    let calls = async {
        loop {
            one.call("v1").await;
            other.call("v1").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let both = [&one, &other];
    let tap = meshctl(&both, &["tap", "--count", "8"]);
    let (status, out, err) = tokio::select! { told = tap => told, () = calls => unreachable!() };
    assert_eq!(status, 0, "{err}");
    line(&out, &[&name(&one), "/1 200"]);
    line(&out, &[&name(&other), "/1 200"]);
}
