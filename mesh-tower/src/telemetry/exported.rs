//! Lines of access logs that are exported through OpenTelemetry.

use std::fmt;

use mesh_core::telemetry::Record;
use mesh_core::telemetry::policy::ExportedLog;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger, LoggerProvider};

/// Whom lines are handed to.
pub(crate) struct LineExporter(Box<Export>);

type Export = dyn Fn(&ExportedLog, &Record, &str) + Send + Sync;

impl LineExporter {
    /// Hands them to a logger of this provider, which decides how long they wait, and how many.
    pub(crate) fn new<P>(provider: &P) -> Self
    where
        P: LoggerProvider<Logger: Send + Sync + 'static>,
    {
        let scope = InstrumentationScope::builder("mesh").with_version(env!("CARGO_PKG_VERSION"));
        let logger = provider.logger_with_scope(scope.build());
        Self(Box::new(move |log, record, hostname| {
            let mut line = logger.create_log_record();
            line.set_timestamp(record.started);
            line.set_observed_timestamp(crate::clock::wall());
            let mut body = Vec::with_capacity(256);
            log.body.write(record, hostname, &mut body);
            body.truncate(body.trim_ascii_end().len());
            line.set_body(AnyValue::String(String::from_utf8_lossy(&body).into_owned().into()));
            line.add_attribute("log_name", log.name.to_string());
            for (name, value) in log.attributes.of(record, "-", hostname) {
                line.add_attribute(name.to_owned(), value);
            }
            logger.emit(line);
        }))
    }

    pub(super) fn export(&self, log: &ExportedLog, record: &Record, hostname: &str) {
        (self.0)(log, record, hostname);
    }
}

impl fmt::Debug for LineExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineExporter")
    }
}
