//! `meshctl` asking a running mesh.

use std::process::Stdio;

use tokio::process::Command;

use super::*;

async fn meshctl(world: &World, arguments: &[&str]) -> (i32, String, String) {
    at(world.mesh.admin_address().unwrap(), arguments).await
}

async fn at(address: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{address}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    command.args(["--admin", &admin]).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(20), command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_status_is_1_once_an_endpoint_is_ejected() {
    let world = World::plain().await;
    let (status, out, err) = meshctl(&world, &["status"]).await;
    assert_eq!(status, 0, "{out}{err}");
    assert!(out.contains("generation 1, 3 documents"), "{out}");
    world.call("v2").await;
    let (status, out, _) = meshctl(&world, &["status"]).await;
    assert_eq!(status, 1, "{out}");
    assert!(out.contains(&world.bad.to_string()) && out.contains("s more"), "{out}");
}

#[tokio::test]
async fn what_a_mesh_has_is_listed() {
    let world = World::plain().await;
    for (what, wanted) in [
        ("routes", "VirtualService shop/reviews http[0]"),
        ("clusters", "0/7"),
        ("endpoints", "plaintext"),
        ("config", "rules.yaml:"),
    ] {
        let (status, out, err) = meshctl(&world, &["get", what]).await;
        assert_eq!(status, 0, "{what}: {err}");
        assert!(out.contains(wanted), "{what}: {out}");
    }
    let (_, out, _) = meshctl(&world, &["get", "endpoints", "-o", "json", "--host", "|v1|"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 1, "{out}");
}

#[tokio::test]
async fn a_flag_is_explained_by_what_the_mesh_has() {
    let world = World::plain().await;
    world.call("v2").await;
    assert_eq!(world.call("v2").await, 503);
    let (status, out, err) = meshctl(&world, &["why", "UH"]).await;
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("UH: ") && out.contains(&world.bad.to_string()), "{out}");
    let (_, out, _) = meshctl(&world, &["why", "uo"]).await;
    assert!(out.contains("nothing in the mesh"), "{out}");
    let (status, _, err) = meshctl(&world, &["why", "XX"]).await;
    assert_eq!(status, 2);
    assert!(err.contains("there is no flag XX"), "{err}");
}

#[tokio::test]
async fn a_tap_shows_requests_as_they_end() {
    let world = World::plain().await;
    let calls = async {
        // Until the tap has what it waits for.
        loop {
            world.call("v1").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let tap = meshctl(&world, &["tap", "--status", "200", "--count", "1"]);
    let (status, out, err) = tokio::select! { told = tap => told, () = calls => unreachable!() };
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("GET") && out.contains("/1 200") && !out.contains("hush"), "{out}");
}

#[tokio::test]
async fn a_mesh_that_is_not_there_is_2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let (status, _, err) = at(gone, &["status"]).await;
    assert_eq!(status, 2);
    assert!(err.contains("no admin server at"), "{err}");
}
