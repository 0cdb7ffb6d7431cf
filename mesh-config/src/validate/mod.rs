//! Rules within one object, as Istio's webhook has them, one file per kind.

use crate::diagnostic::Report;
use crate::resource::Resource;

/// Checks one object.
pub fn check(_resource: &Resource, _report: &mut Report) {}
