//! `Gateway`.

use super::port::SERVER_PORT;
use super::schema::{Schema, TEXT, list, map, object};
use super::server_tls::SERVER_TLS;

pub(super) static SPEC: Schema = object(&[("selector", map(&TEXT)), ("servers", list(&SERVER))]);

const SERVER: Schema = object(&[
    ("bind", TEXT),
    ("defaultEndpoint", TEXT),
    ("hosts", list(&TEXT)),
    ("name", TEXT),
    ("port", SERVER_PORT),
    ("tls", SERVER_TLS),
])
.required(&["port", "hosts"]);
