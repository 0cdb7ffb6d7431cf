//! Ports, and the destinations that have one.

use super::rule::PORT;
use super::schema::{Schema, TEXT, UNSIGNED, object};

/// A port that is named by its number alone.
pub(super) const SELECTOR: Schema = object(&[("number", UNSIGNED)]);

/// A port of a sidecar.
pub(super) const SIDECAR_PORT: Schema =
    object(&[("name", TEXT), ("number", UNSIGNED), ("protocol", TEXT), ("targetPort", UNSIGNED)]);

/// A port of a gateway.
pub(super) const SERVER_PORT: Schema = SIDECAR_PORT.required(&["number", "protocol", "name"]);

/// A number that is checked as that of a port.
pub(super) const NUMBER: Schema = UNSIGNED.rules(&[PORT]);

pub(super) const DESTINATION: Schema =
    object(&[("host", TEXT), ("port", SELECTOR), ("subset", TEXT)]).required(&["host"]);
