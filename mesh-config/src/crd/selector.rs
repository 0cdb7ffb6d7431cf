//! Which workloads, gateways and waypoints an object is for.

use super::rule::{NO_EMPTY_KEY, NO_WILDCARD_KEY, NO_WILDCARD_LABEL, NO_WILDCARD_VALUE, SAME_NAMESPACE};
use super::schema::{Form, Schema, TEXT, list, map, object};

/// The selector of policies.
pub(super) const SELECTOR: Schema = object(&[(
    "matchLabels",
    map(&TEXT.at_most(63).rules(&[NO_WILDCARD_VALUE])).at_most(4096).rules(&[NO_WILDCARD_KEY, NO_EMPTY_KEY]),
)]);

/// The older selector, of networking.
pub(super) const WORKLOAD_SELECTOR: Schema =
    object(&[("labels", map(&TEXT.at_most(63).rules(&[NO_WILDCARD_LABEL])).at_most(256))]);

pub(super) const TARGET: Schema = object(&[
    ("group", TEXT.at_most(253).form(Form::Group)),
    ("kind", TEXT.at_least(1).at_most(63).form(Form::Kind)),
    ("name", TEXT.at_least(1).at_most(253)),
    ("namespace", TEXT.rules(&[SAME_NAMESPACE])),
])
.required(&["kind", "name"]);

pub(super) const TARGETS: Schema = list(&TARGET).at_most(16);
