//! Documents that change while requests flow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use mesh_tower::Mesh;

use super::bad_documents::good;
use crate::support::ask::ask;
use crate::support::upstream::Upstream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_see_whole_versions_while_files_are_rewritten() {
    const REQUESTS: usize = 20_000;
    let (a, b) = (Upstream::start("a").await, Upstream::start("b").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mesh.yaml");
    let write = |text: &str| {
        let next = folder.path().join(".next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &file).unwrap();
    };
    // Each version has an endpoint and a mark of its own, so a mixture would show.
    let (texts, done) = ([good(a.address, "a"), good(b.address, "b")], AtomicBool::new(false));
    write(&texts[0]);
    let mesh = Mesh::builder().config_dir(folder.path()).workload("default/caller").build().await.unwrap();
    let rewrite = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        for turn in 0_usize.. {
            tick.tick().await;
            if done.load(Ordering::SeqCst) {
                break;
            }
            let text = &texts[turn % 2];
            // Every fifth file is broken in the middle of a line.
            write(if turn % 5 == 4 { &text[..text.len() - 40] } else { text });
        }
    };
    let requests = async {
        let one = |_| async {
            let answer = ask(&mesh.client(), "http://app/", &[]).await;
            assert_eq!((answer.status, answer.by().as_str()), (200, answer.header("x-mark")));
        };
        futures_util::stream::iter(0..REQUESTS).map(one).buffer_unordered(32).for_each(|()| async {}).await;
        // Long enough to see versions come and go however quick the machine is.
        tokio::time::sleep(Duration::from_millis(500)).await;
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(rewrite, requests);
    assert!(mesh.version() > 3, "only {} versions were put into use", mesh.version());
    assert_eq!(a.count() + b.count(), REQUESTS);
}
