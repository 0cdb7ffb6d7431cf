//! Documents that go bad while a mesh runs: the last good set stays in use, whole, and the report tells what is wrong.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use mesh_tower::Mesh;
use mesh_tower::mesh_config::Code;

use super::bad_documents::{BAD, NAME, good};
use crate::support::ask::ask;
use crate::support::documents::{service, virtual_service};
use crate::support::until;
use crate::support::upstream::Upstream;

/// A mesh that watches a folder with one good file.
struct Watched {
    up: Upstream,
    folder: tempfile::TempDir,
    mesh: Mesh,
}

impl Watched {
    async fn start() -> Self {
        let (up, folder) = (Upstream::start("up").await, tempfile::tempdir().unwrap());
        let config = folder.path().join("mesh");
        fs::create_dir(&config).unwrap();
        fs::write(config.join("good.yaml"), good(up.address, "one")).unwrap();
        let mesh = Mesh::builder().workload("default/caller").config_dir(config).build().await.unwrap();
        Self { up, folder, mesh }
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("mesh")
    }

    fn write(&self, text: &str) {
        fs::write(self.config().join("good.yaml"), text).unwrap();
    }

    /// Waits until the report is about this.
    async fn reports(&self, what: &str, code: Code) {
        until(what, || self.mesh.report().errors().any(|finding| finding.code == code)).await;
    }

    /// Waits until the set is taken.
    async fn is_content(&self, version: u64) {
        until("a good set is taken", || self.mesh.version() >= version && !self.mesh.report().has_errors()).await;
    }

    /// Which rules answer.
    async fn assert_mark(&self, mark: &str, when: &str) {
        for _ in 0..3 {
            let answer = ask(&self.mesh.client(), "http://app/", &[]).await;
            assert_eq!((answer.status, answer.by(), answer.header("x-mark")), (200, "up".into(), mark), "{when}");
        }
    }
}

#[tokio::test]
async fn each_bad_file_changes_nothing_but_the_report() {
    let watched = Watched::start().await;
    for (n, bad) in BAD.iter().enumerate() {
        let version = watched.mesh.version();
        let marks = [format!("m{n}"), format!("m{}", n + 1)];
        if n == 0 {
            watched.write(&good(watched.up.address, &marks[0]));
            watched.is_content(version + 1).await;
        }
        let version = watched.mesh.version();
        // Together with a change that would be good alone.
        bad.write(&watched.config());
        watched.write(&good(watched.up.address, &marks[1]));
        until(bad.what, || bad.is_in(&watched.mesh.report())).await;
        watched.assert_mark(&marks[0], bad.what).await;
        assert_eq!(watched.mesh.version(), version, "{}", bad.what);
        fs::remove_file(watched.config().join(NAME)).unwrap();
        watched.is_content(version + 1).await;
        watched.assert_mark(&marks[1], bad.what).await;
    }
}

#[tokio::test]
async fn a_file_that_is_half_written_is_waited_for() {
    let watched = Watched::start().await;
    // Seen, so the folder is watched by now.
    watched.write(&good(watched.up.address, "zero"));
    watched.is_content(2).await;
    let text = good(watched.up.address, "two");
    let (first, rest) = text.split_at(text.len() - 40);
    let mut file = File::create(watched.config().join("good.yaml")).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!watched.mesh.report().has_errors(), "{}", watched.mesh.report());
    }
    watched.assert_mark("zero", "half of the file is there").await;
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    watched.is_content(3).await;
    assert_eq!(watched.mesh.version(), 3, "only the whole of it was taken");
    watched.assert_mark("two", "all of it is there").await;
}

#[tokio::test]
async fn a_file_that_stays_half_written_is_reported() {
    let watched = Watched::start().await;
    let text = good(watched.up.address, "two");
    let mut file = File::create(watched.config().join("good.yaml")).unwrap();
    file.write_all(&text.as_bytes()[..text.len() - 40]).unwrap();
    until("it is reported", || watched.mesh.report().has_errors()).await;
    let report = watched.mesh.report();
    assert!(report.errors().all(|finding| finding.origin.file.ends_with("good.yaml") && finding.origin.line > 0));
    watched.assert_mark("one", "half of the file is there").await;
}

#[tokio::test]
async fn a_directory_that_is_emptied_or_gone_changes_nothing_until_it_is_back() {
    let watched = Watched::start().await;
    fs::remove_file(watched.config().join("good.yaml")).unwrap();
    watched.reports("an empty directory", Code::NO_FILES).await;
    watched.assert_mark("one", "the directory is empty").await;
    fs::remove_dir(watched.config()).unwrap();
    watched.reports("no directory", Code::UNREADABLE).await;
    watched.assert_mark("one", "the directory is gone").await;
    assert_eq!(watched.mesh.version(), 1);
    fs::create_dir(watched.config()).unwrap();
    watched.write(&good(watched.up.address, "two"));
    watched.is_content(2).await;
    watched.assert_mark("two", "the directory is back").await;
}

#[tokio::test]
async fn wherever_a_document_is_cut_it_is_refused_with_a_place_or_taken_whole() {
    let up = Upstream::start("up").await;
    let rules = virtual_service(
        "app",
        &[
            "match: [{uri: {prefix: /a}}], route: [{destination: {host: app}}]",
            "timeout: 5s, route: [{destination: {host: app}}]",
        ],
    );
    let text = service("app", 80, &[("v1", up.address)]);
    let mesh = Mesh::builder().workload("default/caller").config_yaml("app.yaml", text).build().await.unwrap();
    let mut refused = 0;
    for cut in 0..=rules.len() {
        let before = mesh.version();
        let applied = mesh.apply_yaml("rules.yaml", &rules[..cut]);
        assert_eq!(applied.accepted, mesh.version() == before + 1, "cut at {cut}");
        assert_eq!(applied.accepted, !applied.report.has_errors(), "cut at {cut}: {}", applied.report);
        if !applied.accepted {
            refused += 1;
            assert_eq!(mesh.version(), before);
            let places: Vec<_> = applied.report.errors().map(|f| (&*f.origin.file, f.origin.line)).collect();
            assert!(places.iter().all(|place| place.0 == "rules.yaml" && place.1 > 0), "cut at {cut}: {places:?}");
        }
        let answer = ask(&mesh.client(), "http://app/a", &[]).await;
        assert_eq!(answer.status, 200, "cut at {cut}: {}", applied.report);
    }
    assert!(refused > rules.len() / 2, "{refused} of {}", rules.len());
}

#[tokio::test]
async fn a_policy_that_could_never_find_this_workload_is_refused_and_the_rest_goes_on() {
    let watched = Watched::start().await;
    let policy = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: default}\n\
                  spec: {selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}}\n";
    write_new(&watched.config(), "policy.yaml", policy);
    watched.reports("a workload without labels", Code::WORKLOAD_WITHOUT_LABELS).await;
    watched.assert_mark("one", "the policy is refused").await;
    assert_eq!(watched.mesh.version(), 1);
}

#[tokio::test]
async fn endpoints_that_go_and_come_back_are_a_warning_not_an_error() {
    let watched = Watched::start().await;
    let rules = virtual_service("app", &["route: [{destination: {host: app}}]"]);
    watched.write(&(service("app", 80, &[]) + &rules));
    watched.is_content(2).await;
    assert!(watched.mesh.report().iter().any(|finding| finding.code == Code::NO_ENDPOINTS));
    let answer = ask(&watched.mesh.client(), "http://app/", &[]).await;
    assert_eq!((answer.status, &*answer.body, answer.flags()), (503, "no healthy upstream", "UH".into()));
    watched.write(&good(watched.up.address, "two"));
    watched.is_content(3).await;
    watched.assert_mark("two", "there is an endpoint again").await;
}

/// Puts a file in its place whole.
fn write_new(folder: &Path, name: &str, text: &str) {
    let next = folder.join(".next");
    fs::write(&next, text).unwrap();
    fs::rename(next, folder.join(name)).unwrap();
}
