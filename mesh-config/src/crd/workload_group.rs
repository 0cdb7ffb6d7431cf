//! `WorkloadGroup`.

use super::port;
use super::rule::PROBE_SCHEME;
use super::schema::{Form, Schema, TEXT, WHOLE, list, map, object};
use super::workload_entry::TEMPLATE;

pub(super) static SPEC: Schema =
    object(&[("metadata", METADATA), ("probe", PROBE), ("template", TEMPLATE)]).required(&["template"]);

const METADATA: Schema = object(&[("annotations", map(&TEXT).at_most(256)), ("labels", map(&TEXT).at_most(256))]);

const PROBE: Schema = object(&[
    ("exec", object(&[("command", list(&TEXT.at_least(1)))]).required(&["command"])),
    ("failureThreshold", WHOLE.at_least(0)),
    ("grpc", object(&[("port", port::NUMBER), ("service", TEXT)])),
    ("httpGet", HTTP_GET),
    ("initialDelaySeconds", WHOLE.at_least(0)),
    ("periodSeconds", WHOLE.at_least(0)),
    ("successThreshold", WHOLE.at_least(0)),
    ("tcpSocket", object(&[("host", TEXT), ("port", port::NUMBER)]).required(&["port"])),
    ("timeoutSeconds", WHOLE.at_least(0)),
])
.exclusive(&[&["httpGet", "tcpSocket", "exec", "grpc"]]);

const HTTP_GET: Schema = object(&[
    ("host", TEXT),
    ("httpHeaders", list(&object(&[("name", TEXT.form(Form::HeaderName)), ("value", TEXT)]))),
    ("path", TEXT),
    ("port", port::NUMBER),
    ("scheme", TEXT.rules(&[PROBE_SCHEME])),
])
.required(&["port"]);
