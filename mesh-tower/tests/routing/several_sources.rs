//! Several sources of documents: what one of them gets wrong is its own affair.

use std::fs;

use mesh_tower::Mesh;
use mesh_tower::mesh_config::Code;

use super::bad_documents::{BAD, good};
use crate::support::ask::ask;
use crate::support::documents::{service, virtual_service};
use crate::support::until;
use crate::support::upstream::Upstream;

/// A rule that marks what it answers.
fn marks(host: &str, mark: &str) -> String {
    let rule =
        format!("route: [{{destination: {{host: {host}}}, headers: {{response: {{set: {{x-mark: {mark}}}}}}}}}]");
    virtual_service(host, &[&rule])
}

async fn mark(mesh: &Mesh, host: &str) -> String {
    let answer = ask(&mesh.client(), &format!("http://{host}/"), &[]).await;
    assert_eq!(answer.status, 200, "{host}");
    answer.header("x-mark").to_owned()
}

#[tokio::test]
async fn a_mesh_that_goes_on_with_what_is_good_keeps_what_each_bad_file_said_last() {
    let (up, folder) = (Upstream::start("up").await, tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(".next"), text).unwrap();
        fs::rename(folder.path().join(".next"), folder.path().join(name)).unwrap();
    };
    write("services.yaml", &(service("app", 80, &[("v1", up.address)]) + &service("other", 80, &[("v1", up.address)])));
    write("app.yaml", &marks("app", "a0"));
    write("other.yaml", &marks("other", "b0"));
    let caller = Mesh::builder().workload("default/caller");
    let mesh = caller.config_dir(folder.path()).keep_good_on_error().build().await.unwrap();
    for (n, bad) in BAD.iter().enumerate() {
        let (version, newer) = (mesh.version(), format!("b{}", n + 1));
        fs::remove_file(folder.path().join("app.yaml")).unwrap();
        if bad.content.is_empty() {
            std::os::unix::fs::symlink("nowhere", folder.path().join("app.yaml")).unwrap();
        } else {
            fs::write(folder.path().join("app.yaml"), bad.content).unwrap();
        }
        write("other.yaml", &marks("other", &newer));
        until(bad.what, || mesh.version() > version && mesh.report().has_errors()).await;
        until("the other file acts", || mesh.report().iter().all(|f| !f.origin.file.ends_with("other.yaml"))).await;
        assert_eq!(mark(&mesh, "app").await, format!("a{n}"), "{}", bad.what);
        assert_eq!(mark(&mesh, "other").await, newer, "{}", bad.what);
        fs::remove_file(folder.path().join("app.yaml")).unwrap();
        write("app.yaml", &marks("app", &format!("a{}", n + 1)));
        until("it is mended", || !mesh.report().has_errors()).await;
        assert_eq!(mark(&mesh, "app").await, format!("a{}", n + 1));
    }
    for file in ["services.yaml", "app.yaml", "other.yaml"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    until("an empty directory", || mesh.report().errors().any(|finding| finding.code == Code::NO_FILES)).await;
    assert_eq!(mark(&mesh, "other").await, format!("b{}", BAD.len()));
}

#[tokio::test]
async fn what_is_wrong_with_one_source_stays_reported_while_others_deliver() {
    let up = Upstream::start("up").await;
    let mesh = Mesh::builder().workload("default/caller").config_yaml("s", service("app", 80, &[("v1", up.address)]));
    let mesh = mesh.build().await.unwrap();
    assert!(mesh.apply_yaml("rules", &marks("app", "one")).accepted);
    assert!(!mesh.apply_yaml("rules", "{").accepted);
    let applied = mesh.apply_yaml("other", &service("other", 80, &[("v1", up.address)]));
    assert!(applied.accepted, "{}", applied.report);
    for _ in 0..2 {
        let of_rules = |report: &mesh_tower::mesh_config::Report| {
            report.errors().filter(|finding| &*finding.origin.file == "rules").count()
        };
        assert_eq!(of_rules(&applied.report), 1, "{}", applied.report);
        assert_eq!(of_rules(&mesh.report()), 1);
        assert_eq!(mark(&mesh, "app").await, "one");
    }
    assert!(!mesh.apply_yaml("rules", "{").report.is_empty());
    let mended = mesh.apply_yaml("rules", &marks("app", "two"));
    assert!(mended.accepted && !mended.report.has_errors(), "{}", mended.report);
    assert_eq!(mark(&mesh, "app").await, "two");
}

#[tokio::test]
async fn sources_that_share_a_name_at_start_both_count() {
    let up = Upstream::start("up").await;
    let builder = Mesh::builder().workload("default/caller");
    let builder = builder.config_yaml("mesh", service("app", 80, &[("v1", up.address)]));
    let mesh = builder.config_yaml("mesh", marks("app", "both")).build().await.unwrap();
    assert_eq!(mark(&mesh, "app").await, "both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sources_that_deliver_at_once_none_is_lost() {
    let up = Upstream::start("up").await;
    let mesh = Mesh::builder().workload("default/caller").config_yaml("app", good(up.address, "one"));
    let mesh = mesh.build().await.unwrap();
    for round in 0..20 {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (mesh, address) = (mesh.clone(), up.address);
                let host = format!("s{round}-{n}");
                std::thread::spawn(move || {
                    let text = service(&host, 80, &[("v1", address)]) + &marks(&host, &host);
                    assert!(mesh.apply_yaml(&host, &text).accepted);
                    host
                })
            })
            .collect();
        for thread in threads {
            let host = thread.join().unwrap();
            assert_eq!(mark(&mesh, &host).await, host);
        }
    }
    assert_eq!(mesh.version(), 81);
}
