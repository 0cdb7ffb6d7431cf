use std::sync::{Arc, Mutex};

use mesh_config::{Document, ParseOptions, Report};

use super::{Applied, Apply, ChannelSource, ConfigSink, ConfigSource, StaticSource};

const GOOD: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";

/// Counts documents by source; refuses what has errors.
#[derive(Default)]
struct Counter(Mutex<Vec<(String, usize)>>);

impl Apply for Counter {
    fn apply(&self, source: &str, documents: Vec<Document>, report: Report) -> Applied {
        let mut seen = self.0.lock().unwrap();
        seen.push((source.into(), documents.len()));
        let accepted = !report.has_errors();
        Applied::new(seen.len() as u64, report, accepted)
    }
}

fn run(source: impl ConfigSource, counter: &Arc<Counter>) -> tokio::task::JoinHandle<bool> {
    let sink = ConfigSink::new(counter.clone(), source.name());
    tokio::spawn(async move { Box::new(source).run(sink).await.is_ok() })
}

#[tokio::test]
async fn a_static_source_delivers_once_and_ends() {
    let counter = Arc::new(Counter::default());
    let source = StaticSource::parse("inline", GOOD, &ParseOptions::default());
    assert!(run(source, &counter).await.unwrap());
    assert_eq!(*counter.0.lock().unwrap(), [("inline".to_owned(), 1)]);
}

#[tokio::test]
async fn who_pushes_learns_what_became_of_it() {
    let counter = Arc::new(Counter::default());
    let (handle, source) = ChannelSource::new("program");
    let running = run(source, &counter);

    let good = handle.replace_yaml("push", GOOD).await.unwrap();
    assert!(good.accepted && good.version == 1 && good.report.is_empty());
    let bad = handle.replace_yaml("push", "kind: [").await.unwrap();
    assert!(!bad.accepted && bad.report.has_errors());

    drop(handle);
    assert!(running.await.unwrap());
}

#[tokio::test]
async fn pushing_after_the_end_is_an_error() {
    let (handle, source) = ChannelSource::new("program");
    drop(source);
    assert!(handle.replace_yaml("push", GOOD).await.is_err());
}
