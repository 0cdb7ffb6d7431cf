//! The page in a real browser, Debian's chromium; passed over where there is none.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::*;

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|program| program.is_file())
}

/// Where pictures of the page are left.
fn pictures() -> PathBuf {
    std::env::var_os("MESH_SCREENSHOTS").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

/// Opens the page and lets three seconds of its own time pass.
async fn open(program: &Path, world: &World, arguments: &[&str]) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg("--headless").args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
    command.args(["--no-first-run", "--virtual-time-budget=3000", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).args(arguments);
    command.arg(format!("http://{}/mesh/", world.mesh.admin_address().unwrap()));
    command.stdin(Stdio::null()).kill_on_drop(true);
    timeout(Duration::from_secs(60), command.output()).await.expect("the browser does not end").unwrap()
}

#[tokio::test]
async fn a_browser_runs_the_page_and_finds_nothing_forbidden() {
    let Some(program) = chromium() else { return };
    let world = World::plain().await;
    assert_eq!(world.call("v2").await, 503);
    let opened = open(&program, &world, &["--dump-dom"]).await;
    let (page, said) = (String::from_utf8_lossy(&opened.stdout), String::from_utf8_lossy(&opened.stderr));
    // The script has counted the seconds of the ejection down: the policy lets it run.
    let left = page.split("data-left=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let told = world.endpoint("v2").await["ejected_for_seconds"].as_f64().unwrap();
    assert!(left.parse::<f64>().is_ok_and(|left| left < told.max(29.0)), "{left} s: {page}{said}");
    assert!(!said.contains("Content Security Policy") && !said.contains("Uncaught"), "{said}");
}

#[tokio::test]
async fn the_page_is_drawn_wide_and_narrow() {
    let Some(program) = chromium() else { return };
    let world = World::plain().await;
    assert_eq!(world.call("v2").await, 503);
    for (name, size) in [("admin-wide.png", "1200,1500"), ("admin-phone.png", "500,1500")] {
        let picture = pictures().join(name);
        let to = format!("--screenshot={}", picture.display());
        let opened = open(&program, &world, &[&to, &format!("--window-size={size}")]).await;
        let bytes = std::fs::read(&picture).unwrap_or_default();
        assert!(bytes.starts_with(b"\x89PNG"), "{}", String::from_utf8_lossy(&opened.stderr));
        // A page without a style or a drawing is far smaller.
        assert!(bytes.len() > 20_000, "{name} has {} bytes", bytes.len());
    }
}
