//! `credentialName` of a DestinationRule: Secrets among the documents, or a directory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use mesh_tower::Mesh;
use mesh_tower::identity::{FileIdentity, MemoryIdentity};

use crate::authority::{Authority, Issued};
use crate::world::{SERVICE, ask, builder, caller, destination_rule, peer_authentication, server, service};

const NOBODY: Option<MemoryIdentity> = None;
const FILE: &str = "spiffe://cluster.local/ns/default/sa/file";
const MUTUAL: &str =
    "{mode: MUTUAL, credentialName: web, subjectAltNames: ['spiffe://cluster.local/ns/default/sa/server']}";

/// A server of the mesh that takes whom `ca` vouches for.
async fn strict(ca: &Authority) -> (Mesh, SocketAddr) {
    server(builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"))).await
}

/// A Secret, with the lines of its texts indented as a block needs.
fn secret(name: &str, namespace: &str, values: &[(&str, &str)]) -> String {
    let block = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let values: String = values.iter().map(|(key, text)| format!("  {key}: |\n{}", block(text))).collect();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData:\n{values}"
    )
}

/// The three parts of a credential, under the names of either form.
fn parts(ca: &Authority, id: &str, names: [&'static str; 3]) -> Vec<(&'static str, String)> {
    let Issued { chain, key } = ca.issue(&[id], |_| {});
    names.into_iter().zip([chain, key, ca.pem()]).collect()
}

fn of<'t>(parts: &'t [(&'t str, String)]) -> Vec<(&'t str, &'t str)> {
    parts.iter().map(|(key, text)| (*key, text.as_str())).collect()
}

async fn client(documents: String) -> Mesh {
    builder(NOBODY).config_yaml("s", documents).build().await.unwrap()
}

#[tokio::test]
async fn a_secret_of_the_own_namespace_is_shown_in_either_form() {
    let ca = Authority::new();
    let (_server, address) = strict(&ca).await;
    let rule = service(address, "HTTP", "") + &destination_rule(MUTUAL);
    for names in [["tls.crt", "tls.key", "ca.crt"], ["cert", "key", "cacert"]] {
        let parts = parts(&ca, FILE, names);
        let client = client(rule.clone() + &secret("web", "default", &of(&parts))).await;
        assert_eq!(caller(&client).await, "cluster.local/ns/default/sa/file");
    }
    let parts = parts(&ca, FILE, ["tls.crt", "tls.key", "ca.crt"]);
    let beside =
        secret("web", "default", &of(&parts[..2])) + &secret("web-cacert", "default", &[("cacert", &parts[2].1)]);
    assert_eq!(caller(&client(rule.clone() + &beside).await).await, "cluster.local/ns/default/sa/file");
    for refused in [
        String::new(),
        secret("web", "elsewhere", &of(&parts)),
        secret("web", "default", &of(&parts[..2])),
        secret("web", "default", &of(&parts[2..])),
    ] {
        let client = client(rule.clone() + &refused).await;
        assert_eq!(ask(&client, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn simple_tls_believes_the_secret_only() {
    let ca = Authority::new();
    let address = crate::clients::web(&ca, &["server.default.svc.cluster.local"]).await;
    let rule = service(address, "HTTP", "") + &destination_rule("{mode: SIMPLE, credentialName: web}");
    let with = async |values: &[(&str, &str)]| {
        ask(&client(rule.clone() + &secret("web", "default", values)).await, SERVICE).await.0
    };
    assert_eq!(with(&[("cacert", &ca.pem())]).await, StatusCode::OK);
    assert_eq!(with(&[("cacert", &Authority::new().pem())]).await, StatusCode::SERVICE_UNAVAILABLE);
    // The system's authorities take no place that a credential was to fill.
    assert_eq!(with(&[("other", "x")]).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_a_secret_holds_is_replaced_while_requests_go_on() {
    let ca = Authority::new();
    let (_server, address) = strict(&ca).await;
    let rule = service(address, "HTTP", "") + &destination_rule(MUTUAL);
    let rule =
        rule.replace("trafficPolicy: {", "trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}, ");
    let names = ["tls.crt", "tls.key", "ca.crt"];
    let first = parts(&ca, FILE, names);
    let mesh = client(rule.clone() + &secret("web", "default", &of(&first))).await;
    assert_eq!(caller(&mesh).await, "cluster.local/ns/default/sa/file");
    let second = parts(&ca, "spiffe://cluster.local/ns/default/sa/next", names);
    assert!(mesh.apply_yaml("s", &(rule.clone() + &secret("web", "default", &of(&second)))).accepted);
    let mut seen = String::new();
    for _ in 0..100 {
        seen = caller(&mesh).await;
        if seen.ends_with("next") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen, "cluster.local/ns/default/sa/next");
    // One that is broken, or gone, leaves the last good one in use.
    let broken = secret("web", "default", &[("tls.crt", "nonsense"), ("tls.key", "x"), ("ca.crt", &ca.pem())]);
    for worse in [broken, String::new()] {
        assert!(mesh.apply_yaml("s", &(rule.clone() + &worse)).accepted);
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(caller(&mesh).await, "cluster.local/ns/default/sa/next");
    }
}

#[tokio::test]
async fn a_directory_stands_for_secrets_that_are_not_there() {
    let ca = Authority::new();
    let (_server, address) = strict(&ca).await;
    let rule = service(address, "HTTP", "") + &destination_rule(MUTUAL);
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("web")).unwrap();
    let mesh = builder(NOBODY).credentials(directory.path()).config_yaml("s", rule).build().await.unwrap();
    assert_eq!(ask(&mesh, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
    for (name, text) in parts(&ca, FILE, ["tls.crt", "tls.key", "ca.crt"]) {
        std::fs::write(directory.path().join("web").join(name), text).unwrap();
    }
    assert_eq!(caller(&mesh).await, "cluster.local/ns/default/sa/file");
}

/// What is written to it.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_key_is_printed_logged_or_reported() {
    let (ca, lines) = (Authority::new(), Lines::default());
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _logging = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    // With a second listener, what other threads do not listen to is not switched off for this one.
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::sink);
    let _second = tracing::Dispatch::new(everything.finish());
    let directory = tempfile::tempdir().unwrap();
    ca.write(directory.path(), "server");
    let files = FileIdentity::directory(directory.path());
    let serving = builder(Some(files)).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"));
    let (server, address) = server(serving).await;
    let own = std::fs::read_to_string(directory.path().join("key.pem")).unwrap();

    let given = parts(&ca, FILE, ["tls.crt", "tls.key", "ca.crt"]);
    let foreign = parts(&ca, FILE, ["tls.crt", "tls.key", "ca.crt"]);
    let rule = service(address, "HTTP", "") + &destination_rule(MUTUAL);
    let mesh = client(rule.clone() + &secret("web", "default", &of(&given))).await;
    let (status, reply) = ask(&mesh, SERVICE).await;
    assert_eq!(status, StatusCode::OK);
    // What is broken is told about, and not shown: another's key on either side, and a key that is none.
    std::fs::write(directory.path().join("key.pem"), &foreign[1].1).unwrap();
    let mixed = [("tls.crt", given[0].1.as_str()), ("tls.key", foreign[1].1.as_str()), ("ca.crt", &given[2].1)];
    let halved = given[1].1.replace("-----END", "-----ENDED");
    let broken = [("tls.crt", given[0].1.as_str()), ("tls.key", halved.as_str()), ("ca.crt", &given[2].1)];
    for worse in [mixed, broken] {
        let fresh = client(rule.clone() + &secret("web", "default", &worse)).await;
        let (status, reply) = ask(&fresh, SERVICE).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{reply}");
        tracing::info!("{fresh:?} {reply}");
    }
    tokio::time::sleep(Duration::from_millis(400)).await;

    let question = mesh_tower::mesh_core::explain::Question::get(SERVICE).unwrap();
    let mut printed = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(printed.contains("certificate in use") && printed.contains("does not belong"), "{printed}");
    printed +=
        &format!("{server:?} {mesh:?} {:?} {:?} {} {reply}", mesh.snapshot(), mesh.report(), mesh.explain(&question));
    for key in [&own, &given[1].1, &foreign[1].1] {
        let canary = key.lines().nth(1).unwrap();
        assert!(!printed.contains(canary) && !printed.contains(&canary[16..48]), "{printed}");
    }
}
