//! `ServiceEntry`.

use super::port;
use super::rule::{
    CIDR_RESOLUTION, NO_WILDCARD_HOST, NONE_WITHOUT_ENDPOINTS, ONE_ROUND_ROBIN_ENDPOINT, PORT_NUMBERS_DIFFER,
    SELECTOR_OR_ENDPOINTS,
};
use super::schema::{Schema, TEXT, list, object, one_of};
use super::selector::WORKLOAD_SELECTOR;
use super::workload_entry::ENDPOINT;

pub(super) static SPEC: Schema = object(&[
    ("addresses", list(&TEXT.at_most(64)).at_most(256)),
    ("endpoints", list(&ENDPOINT).at_most(4096)),
    ("exportTo", list(&TEXT)),
    ("hosts", list(&TEXT.rules(&[NO_WILDCARD_HOST])).at_least(1).at_most(256)),
    ("location", one_of(&["MESH_EXTERNAL", "MESH_INTERNAL"])),
    ("ports", list(&PORT).at_most(256).keyed().rules(&[PORT_NUMBERS_DIFFER])),
    ("resolution", one_of(&["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"])),
    ("subjectAltNames", list(&TEXT)),
    ("workloadSelector", WORKLOAD_SELECTOR),
])
.required(&["hosts"])
.rules(&[SELECTOR_OR_ENDPOINTS, CIDR_RESOLUTION, NONE_WITHOUT_ENDPOINTS, ONE_ROUND_ROBIN_ENDPOINT]);

const PORT: Schema = object(&[
    ("name", TEXT.at_most(256)),
    ("number", port::NUMBER),
    ("protocol", TEXT.at_most(256)),
    ("targetPort", port::NUMBER),
])
.required(&["number", "name"]);
