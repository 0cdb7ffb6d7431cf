//! Access logs that the application asks for.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mesh_core::access_log::Format;
use mesh_core::cel::Program;
use mesh_core::telemetry::policy::LogFile;

/// An access log of both sides: of the requests that the mesh sends, and of those that it takes.
///
/// It is written beside those that the configuration asks for (`accessLogFile`, Telemetry), and whatever that says. A line is
/// Istio's line of text unless something else is said. Lines are written by a thread of their own: up to 8,192 lines, and
/// 8 MiB of them, wait for it, and what comes then is left out and counted (`mesh_access_log_lines_left_out`,
/// [`Gauges`](crate::Gauges)).
///
/// ```
/// use mesh_tower::telemetry::AccessLog;
///
/// # #[tokio::main] async fn main() -> Result<(), mesh_tower::BoxError> {
/// let errors = AccessLog::file("/tmp/errors.log").json().filter("response.code >= 500")?;
/// let mesh = mesh_tower::Mesh::builder().access_log(AccessLog::stdout()).access_log(errors).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog(pub(crate) LogFile);

impl AccessLog {
    /// To the standard output of the process.
    pub fn stdout() -> Self {
        Self::at("/dev/stdout")
    }

    /// To the standard error of the process.
    pub fn stderr() -> Self {
        Self::at("/dev/stderr")
    }

    /// To a file, which is appended to, and made where there is none. One that is moved away is made anew within a second.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::at(&path.as_ref().to_string_lossy())
    }

    fn at(path: &str) -> Self {
        Self(LogFile { path: path.into(), format: Arc::new(Format::default_text(false)), filter: None })
    }

    /// Lines of JSON, with the keys of Istio's.
    #[must_use]
    pub fn json(mut self) -> Self {
        self.0.format = Arc::new(Format::default_json(false));
        self
    }

    /// Lines of text with Envoy's commands, such as `%REQ(:PATH)% %RESPONSE_CODE%`; as in `accessLogFormat` of MeshConfig.
    ///
    /// # Errors
    /// If there is a command that does not exist, or one with a wrong argument; says where.
    pub fn text(mut self, format: &str) -> Result<Self, InvalidAccessLog> {
        self.0.format = Arc::new(Format::text(format, false).map_err(InvalidAccessLog)?);
        Ok(self)
    }

    /// Only requests for which a CEL expression is true, such as `response.code >= 400`; as `filter.expression` of a Telemetry
    /// resource.
    ///
    /// # Errors
    /// If it cannot be read, or a part of it could only err, such as an attribute that does not exist.
    pub fn filter(mut self, expression: &str) -> Result<Self, InvalidAccessLog> {
        let (program, notes) = Program::compile(expression).map_err(InvalidAccessLog)?;
        if let Some(note) = notes.first() {
            return Err(InvalidAccessLog(format!("column {}: {}", note.column, note.what)));
        }
        self.0.filter = Some(Arc::new(program));
        Ok(self)
    }
}

/// Why a format or a filter is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAccessLog(String);

impl fmt::Display for InvalidAccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such access log: {}", self.0)
    }
}

impl std::error::Error for InvalidAccessLog {}
