//! `PeerAuthentication`.

use super::rule::{PORT_KEYS, PORTS_NEED_SELECTOR};
use super::schema::{Schema, map, object, one_of};
use super::selector::SELECTOR;

pub(super) static SPEC: Schema =
    object(&[("mtls", MTLS), ("portLevelMtls", map(&MTLS).at_least(1).rules(&[PORT_KEYS])), ("selector", SELECTOR)])
        .rules(&[PORTS_NEED_SELECTOR]);

const MTLS: Schema = object(&[("mode", one_of(&["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]))]);
