use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mesh_config::{Document, Report};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::source::{Applied, Apply};

/// Takes every set without errors, as the mesh would, and remembers what it was given.
#[derive(Default)]
struct Taken(Mutex<State>);

#[derive(Default)]
struct State {
    /// The names of the objects in use.
    names: BTreeSet<String>,
    /// Every name that was ever in use.
    ever: BTreeSet<String>,
    version: u64,
    refused: u64,
}

impl Apply for Taken {
    fn apply(&self, _: &str, documents: Vec<Document>, report: Report) -> Applied {
        let mut state = self.0.lock().unwrap();
        let accepted = !report.has_errors();
        if accepted {
            state.version += 1;
            state.names = documents.iter().map(|document| document.resource.meta().name.clone()).collect();
            let names = state.names.clone();
            state.ever.extend(names);
        } else {
            state.refused += 1;
        }
        Applied::new(state.version, report, accepted)
    }
}

/// A source that runs on a directory.
struct Running {
    directory: TempDir,
    taken: Arc<Taken>,
    task: JoinHandle<Result<(), SourceError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Starts on `path` below a new directory that `prepare` has filled.
    async fn start(path: &str, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let taken = Arc::new(Taken::default());
        let source = DirSource::new(directory.path().join(path), ParseOptions::default());
        let sink = ConfigSink::new(taken.clone(), source.name());
        let task = tokio::spawn(Box::new(source).run(sink));
        let running = Self { directory, taken, task };
        running.until(|state| state.version + state.refused > 0).await;
        running
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.taken.0.lock().unwrap())
    }

    /// Waits; returns how long it took.
    async fn until(&self, wanted: impl Fn(&State) -> bool) -> Duration {
        let began = Instant::now();
        let waiting = async {
            while !self.state(&wanted) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(20), waiting).await.expect("the change was not picked up");
        began.elapsed()
    }

    async fn until_in_use(&self, names: &[&str]) -> Duration {
        self.until(|state| state.names.iter().eq(names)).await
    }
}

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
}

/// Writes the way that never shows half of a file.
fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("tmp");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[tokio::test]
async fn files_that_come_change_and_go_are_followed() {
    let running = Running::start("", |path| fs::write(path.join("a.yaml"), object("a")).unwrap()).await;
    running.until_in_use(&["a"]).await;
    fs::write(running.path().join("b.yaml"), object("b")).unwrap();
    running.until_in_use(&["a", "b"]).await;
    fs::write(running.path().join("b.yaml"), object("c")).unwrap();
    running.until_in_use(&["a", "c"]).await;
    fs::remove_file(running.path().join("a.yaml")).unwrap();
    running.until_in_use(&["c"]).await;
}

#[tokio::test]
async fn directories_below_are_followed_too() {
    let running = Running::start("", |path| fs::write(path.join("a.yaml"), object("a")).unwrap()).await;
    fs::create_dir(running.path().join("below")).unwrap();
    sleep(Duration::from_millis(50)).await;
    fs::write(running.path().join("below/b.yaml"), object("b")).unwrap();
    running.until_in_use(&["a", "b"]).await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_until_it_is_mended() {
    let running = Running::start("", |path| fs::write(path.join("a.yaml"), object("a")).unwrap()).await;
    fs::write(running.path().join("a.yaml"), "kind: [").unwrap();
    running.until(|state| state.refused > 0).await;
    assert_eq!(running.state(|state| (state.version, state.names.contains("a"))), (1, true));
    fs::write(running.path().join("a.yaml"), object("b")).unwrap();
    running.until_in_use(&["b"]).await;
}

#[tokio::test]
async fn a_rewrite_that_says_the_same_is_no_news() {
    let running = Running::start("", |path| fs::write(path.join("a.yaml"), object("a")).unwrap()).await;
    for _ in 0..3 {
        replace(&running.path().join("a.yaml"), &object("a"));
        fs::write(running.path().join("notes.txt"), "-").unwrap();
        sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(running.state(|state| state.version), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_mounted_volume_whose_link_is_swapped_is_followed() {
    use std::os::unix::fs::symlink;
    let version = |path: &Path, version: &str| {
        fs::create_dir(path.join(version)).unwrap();
        fs::write(path.join(version).join("a.yaml"), object(&version.replace('.', ""))).unwrap();
        symlink(version, path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    };
    let mount = |path: &Path| {
        version(path, "..v1");
        symlink("..data/a.yaml", path.join("a.yaml")).unwrap();
    };
    // The directory, and one file of it.
    for path in ["", "a.yaml"] {
        let running = Running::start(path, mount).await;
        running.until_in_use(&["v1"]).await;
        for next in ["..v2", "..v3"] {
            version(running.path(), next);
            let took = running.until_in_use(&[&next.replace('.', "")]).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_is_replaced_as_a_whole_is_followed() {
    let fill = |path: &Path, name: &str| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("a.yaml"), object(name)).unwrap();
    };
    let running = Running::start("mesh", |path| fill(&path.join("mesh"), "old")).await;
    let mesh = running.path().join("mesh");
    fill(&running.path().join("next"), "new");
    fs::rename(&mesh, running.path().join("previous")).unwrap();
    fs::rename(running.path().join("next"), &mesh).unwrap();
    running.until_in_use(&["new"]).await;
    // It is the new directory that is watched now.
    sleep(Duration::from_millis(200)).await;
    fs::write(mesh.join("a.yaml"), object("newer")).unwrap();
    let took = running.until_in_use(&["newer"]).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_yet_is_waited_for() {
    let running = Running::start("late", |_| {}).await;
    assert_eq!(running.state(|state| (state.version, state.refused)), (0, 1));
    fs::create_dir(running.path().join("late")).unwrap();
    fs::write(running.path().join("late/a.yaml"), object("a")).unwrap();
    running.until_in_use(&["a"]).await;
}

#[tokio::test]
async fn a_file_is_not_read_while_it_is_being_written() {
    use std::io::Write as _;
    let running =
        Running::start("", |path| fs::write(path.join("a.yaml"), object("a") + "---\n" + &object("b")).unwrap()).await;
    running.until_in_use(&["a", "b"]).await;
    let mut file = fs::File::create(running.path().join("a.yaml")).unwrap();
    file.write_all(object("a").as_bytes()).unwrap();
    // Whole documents stand there, but the writer is not done.
    sleep(Duration::from_millis(300)).await;
    assert_eq!(running.state(|state| state.version), 1);
    file.write_all(format!("---\n{}", object("c")).as_bytes()).unwrap();
    drop(file);
    running.until_in_use(&["a", "c"]).await;
    assert_eq!(running.state(|state| state.version), 2);
}

/// Rewrites a file 20 times a second. If rewrites put reading off, nothing would come before they
/// end; so versions have to come while they go on, and the last one in the end. How many depends on
/// what else the machine does, so a few are enough.
async fn rewritten_twenty_times_a_second(write: fn(&Path, &str)) {
    const VERSIONS: u32 = 60;
    const A_FEW: usize = 5;
    let running = Running::start("", |path| fs::write(path.join("a.yaml"), object("v0")).unwrap()).await;
    let file = running.path().join("a.yaml");
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    // On a busy machine slower, but never many at once.
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for version in 1..=VERSIONS {
        beat.tick().await;
        write(&file, &object(&format!("v{version}")));
    }
    let meanwhile = running.state(|state| state.ever.len());
    assert!(meanwhile > A_FEW, "{meanwhile} of {VERSIONS} while they were written");
    running.until_in_use(&[&format!("v{VERSIONS}")]).await;
    assert_eq!(running.state(|state| state.refused), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_rewrites_a_second_in_place_are_picked_up() {
    rewritten_twenty_times_a_second(|path, text| fs::write(path, text).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_rewrites_a_second_by_rename_are_picked_up() {
    rewritten_twenty_times_a_second(replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewrites_without_a_pause_do_not_hold_it_up() {
    let running = Running::start("", |path| fs::write(path.join("a.yaml"), object("v0")).unwrap()).await;
    let file = running.path().join("a.yaml");
    let began = Instant::now();
    let mut version = 0;
    while began.elapsed() < Duration::from_secs(2) {
        version += 1;
        replace(&file, &object(&format!("v{version}")));
        sleep(Duration::from_millis(3)).await;
    }
    let versions = running.state(|state| state.version);
    assert!(versions >= 8, "{versions} versions in two seconds");
    running.until_in_use(&[&format!("v{version}")]).await;
}
