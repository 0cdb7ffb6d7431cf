//! A mesh that starts with bad documents: it does not, and says why and where, unless told to go on with what is good.

use std::fs;

use mesh_tower::mesh_config::{Code, Severity};
use mesh_tower::{BuildError, Mesh, MeshBuilder};

use super::bad_documents::{BAD, good};
use crate::support::ask::ask;
use crate::support::documents::{service, virtual_service};
use crate::support::upstream::Upstream;

fn caller() -> MeshBuilder {
    Mesh::builder().workload("default/caller").label("app", "caller")
}

async fn refused(builder: MeshBuilder) -> BuildError {
    builder.build().await.expect_err("it does not start")
}

#[tokio::test]
async fn each_bad_file_keeps_a_mesh_from_starting_and_is_named_with_its_line() {
    let up = Upstream::start("up").await;
    for bad in BAD {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("good.yaml"), good(up.address, "one")).unwrap();
        bad.write(folder.path());
        let error = refused(caller().config_dir(folder.path())).await;
        assert!(bad.is_in(error.report()), "{}: {}", bad.what, error.report());
        assert!(error.to_string().contains(&bad.place()), "{}: {error}", bad.what);
    }
    assert_eq!(up.count(), 0);
}

#[tokio::test]
async fn a_placeholder_is_named_where_it_keeps_a_mesh_from_starting() {
    let text = service("app", 80, &[]).replace("number: 80", "number: ${PORT}");
    let error = refused(caller().config_yaml("app.yaml", text)).await.to_string();
    assert!(error.contains("${PORT}") && error.contains(&Code::PLACEHOLDER.to_string()), "{error}");
}

#[tokio::test]
async fn a_mesh_that_is_told_to_goes_on_with_what_is_good_and_reports_the_rest() {
    let up = Upstream::start("up").await;
    for bad in BAD {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("good.yaml"), good(up.address, "one")).unwrap();
        bad.write(folder.path());
        let mesh = caller().config_dir(folder.path()).keep_good_on_error().build().await.unwrap();
        assert!(bad.is_in(&mesh.report()), "{}: {}", bad.what, mesh.report());
        let answer = ask(&mesh.client(), "http://app/", &[]).await;
        assert_eq!((answer.status, answer.header("x-mark")), (200, "one"), "{}", bad.what);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_or_holds_nothing_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = refused(caller().config_dir(&missing)).await;
    let place = format!("{}: error[{}]", missing.display(), Code::UNREADABLE);
    assert!(error.to_string().contains(&place), "{error}");
    // Neither what begins with a dot nor what is no YAML counts.
    fs::write(folder.path().join(".hidden.yaml"), "a: 1").unwrap();
    fs::write(folder.path().join("note.txt"), "a: 1").unwrap();
    let error = refused(caller().config_dir(folder.path())).await;
    let place = format!("{}: error[{}]", folder.path().display(), Code::NO_FILES);
    assert!(error.to_string().contains(&place), "{error}");
    let mesh = caller().config_dir(folder.path()).config_dir(&missing).keep_good_on_error().build().await.unwrap();
    let found: Vec<Code> = mesh.report().errors().map(|finding| finding.code).collect();
    assert_eq!(found, [Code::NO_FILES, Code::UNREADABLE]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_we_may_not_enter_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_ok() {
        // Whoever is root enters everywhere, and finds it empty.
        let error = refused(caller().config_dir(&closed)).await;
        assert!(error.report().iter().any(|finding| finding.code == Code::NO_FILES), "{error}");
        return;
    }
    let error = refused(caller().config_dir(&closed)).await;
    assert!(error.to_string().contains(&format!("{}: error[{}]", closed.display(), Code::UNREADABLE)), "{error}");
}

#[tokio::test]
async fn kinds_that_we_do_not_know_are_passed_over_with_a_note() {
    let up = Upstream::start("up").await;
    let folder = tempfile::tempdir().unwrap();
    let foreign = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: app}\nspec: {replicas: 1}\n---\n\
                   apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f}\nspec: {}\n---\n\
                   apiVersion: example.com/v1\nkind: Whatever\nmetadata: {name: w}\n";
    fs::write(folder.path().join("foreign.yaml"), foreign).unwrap();
    fs::write(folder.path().join("good.yaml"), good(up.address, "one")).unwrap();
    let mesh = caller().config_dir(folder.path()).build().await.unwrap();
    let report = mesh.report();
    let notes: Vec<_> = report.iter().filter(|finding| finding.origin.file.ends_with("foreign.yaml")).collect();
    let places: Vec<_> = notes.iter().map(|note| (note.code, note.origin.line)).collect();
    assert_eq!(places, [(Code::FOREIGN_KIND, 2), (Code::SKIPPED_KIND, 7), (Code::FOREIGN_KIND, 12)], "{report}");
    assert!(notes.iter().all(|note| note.severity < Severity::Error), "{report}");
    for (note, kind) in notes.iter().zip(["StatefulSet", "EnvoyFilter", "Whatever"]) {
        assert!(note.message.contains(kind), "{note}");
    }
    assert_eq!(ask(&mesh.client(), "http://app/", &[]).await.status, 200);
}

#[tokio::test]
async fn a_destination_without_endpoints_is_a_warning_and_answers_503() {
    let rules = virtual_service("app", &["route: [{destination: {host: app}}]"]);
    let mesh = caller().config_yaml("app.yaml", service("app", 80, &[]) + &rules).build().await.unwrap();
    let report = mesh.report();
    let finding = report.iter().find(|finding| finding.code == Code::NO_ENDPOINTS).expect("a finding");
    assert_eq!(finding.severity, Severity::Warning);
    let text = finding.to_string();
    assert!(text.contains("outbound|80||app.default.svc.cluster.local") && text.contains("503 UH"), "{text}");
    let answer = ask(&mesh.client(), "http://app/", &[]).await;
    assert_eq!((answer.status, &*answer.body, answer.flags()), (503, "no healthy upstream", "UH".into()));
}

const SELECTS: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: locked, namespace: default}
spec:
  selector:
    matchLabels: {app: caller}
";

#[tokio::test]
async fn a_workload_without_labels_does_not_start_where_policies_select_by_label() {
    let nameless = || Mesh::builder().workload("default/caller").config_yaml("policy.yaml", SELECTS);
    // Going on without the policy would leave a door open.
    for builder in [nameless(), nameless().keep_good_on_error()] {
        let error = refused(builder).await;
        let finding = error.report().errors().next().expect("an error");
        assert_eq!(finding.code, Code::WORKLOAD_WITHOUT_LABELS);
        assert_eq!((&*finding.origin.file, finding.origin.line), ("policy.yaml", 7), "{finding}");
        assert!(error.to_string().contains("AuthorizationPolicy default/locked"), "{error}");
    }
    for builder in [
        nameless().label("app", "caller"),
        nameless().label("app", "other"),
        // The policy is not about this namespace.
        nameless().namespace("elsewhere"),
    ] {
        builder.build().await.expect("it starts");
    }
}
