//! Expressions of Telemetry resources: compiled, with a finding for each part that can only err.

use std::sync::Arc;

use mesh_config::Object;
use mesh_config::api::Telemetry;

use crate::cel::Program;
use crate::compile::findings::{Findings, not_enforced};

/// The expression in a field, or nothing where it is none. `erring` says what a part that errs comes to, `unread` what an
/// expression that cannot be read does.
pub(super) fn compiled(
    text: &str,
    object: &Object<Telemetry>,
    path: &str,
    (erring, unread): (&str, &str),
    findings: &mut Findings,
) -> Option<Arc<Program>> {
    match Program::compile(text) {
        Ok((program, notes)) => {
            for note in notes {
                let message = format!("{} (column {} of the expression)", note.what, note.column);
                findings.add(not_enforced(object, path, &message, erring));
            }
            Some(Arc::new(program))
        }
        Err(problem) => {
            findings.add(not_enforced(object, path, &format!("the expression cannot be read: {problem}"), unread));
            None
        }
    }
}
