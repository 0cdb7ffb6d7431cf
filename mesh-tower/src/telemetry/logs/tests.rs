//! What the threads write, and what they do not.

use std::path::Path;
use std::process::Command;

use http::Method;
use mesh_core::access_log::Format;
use mesh_core::telemetry::Side;

use super::target::LOOKS_EVERY;
use super::*;

fn file(path: &Path, format: &str) -> LogFile {
    let format = Arc::new(Format::text(format, false).unwrap());
    LogFile { path: path.to_str().unwrap().into(), format, filter: None }
}

fn record(path: &str) -> Record {
    let mut record = Record::new(Side::Client, std::time::UNIX_EPOCH, Method::GET);
    record.path = Some(path.parse().unwrap());
    record
}

fn until(path: &Path, wanted: &str) {
    for _ in 0..1_000 {
        if std::fs::read_to_string(path).is_ok_and(|text| text == wanted) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{}: {:?}", path.display(), std::fs::read_to_string(path));
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (logs, file) = (Logs::default(), file(&path, "%REQ(:PATH)%"));
    logs.write(&file, &record("/one"));
    until(&path, "/one\n");
    let moved = directory.path().join("access.log.1");
    std::fs::rename(&path, &moved).unwrap();
    std::thread::sleep(LOOKS_EVERY);
    logs.write(&file, &record("/two"));
    until(&path, "/two\n");
    until(&moved, "/one\n");
}

#[test]
fn what_waits_when_the_last_mesh_ends_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (logs, file) = (Logs::default(), file(&path, "%REQ(:PATH)%"));
    for _ in 0..5_000 {
        logs.write(&file, &record("/"));
    }
    drop(logs);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 5_000);
}

#[tokio::test]
async fn flushing_waits_for_what_was_logged_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (logs, file) = (Logs::default(), file(&path, "%REQ(:PATH)%"));
    for _ in 0..1_000 {
        logs.write(&file, &record("/"));
    }
    logs.flush(Duration::from_secs(10)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1_000);
}

/// A pipe that nobody reads.
fn pipe(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn requests_never_wait_for_a_log_that_nobody_reads_and_what_is_left_out_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, file) = (Logs::default(), file(&pipe(directory.path()), "%REQ(:PATH)%"));
    let begun = clock::now();
    for _ in 0..3 * MOST_LINES {
        logs.write(&file, &record("/"));
    }
    assert!(clock::now() - begun < Duration::from_secs(5), "nobody waits");
    // One batch may be with the thread, which counts until it is written.
    assert_eq!(logs.left_out(), 2 * MOST_LINES as u64);
    let begun = clock::now();
    drop(logs);
    assert!(clock::now() - begun < 4 * WRITTEN_WITHIN, "the end of the mesh does not wait for long");
}

#[test]
fn long_lines_take_the_room_of_many() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, file) = (Logs::default(), file(&pipe(directory.path()), "%REQ(:PATH)%"));
    let long = record(&format!("/{}", "a".repeat(60_000)));
    for _ in 0..1_000 {
        logs.write(&file, &long);
    }
    let kept = 1_000 - logs.left_out();
    assert!((100..=140).contains(&kept), "{kept} lines of 60 KB are no more than 8 MiB");
}
