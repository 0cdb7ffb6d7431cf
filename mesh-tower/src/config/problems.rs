//! Findings in the log.

use std::collections::HashSet;

use mesh_config::Severity;

use crate::source::Applied;

/// Logs what becomes of each delivery: a finding once, for as long as it stays.
#[derive(Debug, Default)]
pub(super) struct ProblemLog {
    known: HashSet<String>,
    refused: bool,
}

impl ProblemLog {
    pub(super) fn record(&mut self, source: &str, applied: &Applied) {
        let mut found = HashSet::new();
        for finding in applied.report.iter() {
            let text = finding.to_string();
            if !self.known.contains(&text) && !found.contains(&text) {
                match finding.severity {
                    Severity::Error => tracing::error!(source, "{text}"),
                    Severity::Warning => tracing::warn!(source, "{text}"),
                    _ => tracing::info!(source, "{text}"),
                }
            }
            found.insert(text);
        }
        self.known = found;
        self.record_outcome(source, applied);
    }

    fn record_outcome(&mut self, source: &str, applied: &Applied) {
        let version = applied.version;
        if applied.accepted {
            tracing::info!(source, version, "configuration in use");
        } else if !self.refused {
            tracing::error!(source, version, "configuration refused; the last good one stays in use");
        }
        self.refused = !applied.accepted;
    }
}

#[cfg(test)]
mod tests {
    use mesh_config::{Code, Diagnostic, Report};
    use tracing::field::{Field, Visit};

    use super::*;

    /// Counts the events at each level while it is the subscriber.
    #[derive(Default)]
    struct Events(std::sync::Mutex<Vec<(tracing::Level, String)>>);

    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }

    impl tracing::Subscriber for Events {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push((*event.metadata().level(), message.0));
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    fn applied(problems: &[&str]) -> Applied {
        let mut report = Report::new();
        report.extend(problems.iter().map(|problem| Diagnostic::error(Code::SYNTAX, *problem)));
        Applied::new(1, report, problems.is_empty())
    }

    #[test]
    fn a_problem_is_logged_once_until_it_is_gone() {
        let events = std::sync::Arc::new(Events::default());
        let errors = |text: &str| {
            let events = events.0.lock().unwrap();
            events.iter().filter(|(level, event)| *level == tracing::Level::ERROR && event.contains(text)).count()
        };
        tracing::subscriber::with_default(std::sync::Arc::clone(&events), || {
            let mut log = ProblemLog::default();
            for _ in 0..5 {
                log.record("test", &applied(&["first", "first"]));
            }
            assert_eq!((errors("first"), errors("refused")), (1, 1));
            log.record("test", &applied(&["first", "second"]));
            assert_eq!((errors("first"), errors("second"), errors("refused")), (1, 1, 1));
            log.record("test", &applied(&[]));
            log.record("test", &applied(&["first"]));
            assert_eq!((errors("first"), errors("refused")), (2, 2));
        });
    }
}
