//! `WorkloadEntry`, and the endpoints and templates that have its fields.

use super::port;
use super::rule::{ADDRESS, PORT_NAMES, SOCKET_NO_DIRECTORY, SOCKET_PATH, SOCKET_WITHOUT_PORTS};
use super::schema::{Schema, TEXT, UNSIGNED, map, object};

pub(super) static SPEC: Schema = ENDPOINT;

/// A workload that has to be reachable.
pub(super) const ENDPOINT: Schema = TEMPLATE.rules(&[ADDRESS, SOCKET_WITHOUT_PORTS]);

/// What workloads of a group have in common.
pub(super) const TEMPLATE: Schema = object(&[
    ("address", TEXT.at_most(256).rules(&[SOCKET_PATH, SOCKET_NO_DIRECTORY])),
    ("labels", map(&TEXT).at_most(256)),
    ("locality", TEXT.at_most(2048)),
    ("network", TEXT.at_most(2048)),
    ("ports", map(&port::NUMBER).at_most(128).rules(&[PORT_NAMES])),
    ("serviceAccount", TEXT.at_most(253)),
    ("weight", UNSIGNED),
])
.rules(&[SOCKET_WITHOUT_PORTS]);
