//! `Telemetry`.

use super::connection_pool::SPAN;
use super::rule::{REMOVE_HAS_NO_VALUE, SELECTOR_OR_TARGETS, UPSERT_HAS_VALUE};
use super::schema::{BOOLEAN, NUMBER, Schema, TEXT, list, map, object, one_of};
use super::selector::{SELECTOR, TARGET, TARGETS};

pub(super) static SPEC: Schema = object(&[
    ("accessLogging", list(&ACCESS_LOGGING)),
    ("metrics", list(&METRICS)),
    ("selector", SELECTOR),
    ("targetRef", TARGET),
    ("targetRefs", TARGETS),
    ("tracing", list(&TRACING)),
])
.rules(&[SELECTOR_OR_TARGETS]);

const NAME: Schema = TEXT.at_least(1);
const PROVIDERS: Schema = list(&object(&[("name", NAME)]).required(&["name"]));
const MODE: Schema = one_of(&["CLIENT_AND_SERVER", "CLIENT", "SERVER"]);
const MODE_MATCH: Schema = object(&[("mode", MODE)]);
const SWITCH: Schema = BOOLEAN.nullable();

const ACCESS_LOGGING: Schema = object(&[
    ("disabled", SWITCH),
    ("filter", object(&[("expression", TEXT)])),
    ("match", MODE_MATCH),
    ("providers", PROVIDERS),
]);

const METRICS: Schema =
    object(&[("overrides", list(&OVERRIDE)), ("providers", PROVIDERS), ("reportingInterval", SPAN)]);

const OVERRIDE: Schema = object(&[("disabled", SWITCH), ("match", METRIC), ("tagOverrides", map(&TAG))]);

const TAG: Schema = object(&[("operation", one_of(&["UPSERT", "REMOVE"])), ("value", TEXT)])
    .rules(&[UPSERT_HAS_VALUE, REMOVE_HAS_NO_VALUE]);

const METRIC: Schema = object(&[
    ("customMetric", NAME),
    (
        "metric",
        one_of(&[
            "ALL_METRICS",
            "REQUEST_COUNT",
            "REQUEST_DURATION",
            "REQUEST_SIZE",
            "RESPONSE_SIZE",
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
            "GRPC_REQUEST_MESSAGES",
            "GRPC_RESPONSE_MESSAGES",
        ]),
    ),
    ("mode", MODE),
])
.exclusive(&[&["metric", "customMetric"]]);

const TRACING: Schema = object(&[
    ("customTags", map(&CUSTOM_TAG)),
    ("disableContextPropagation", SWITCH),
    ("disableSpanReporting", SWITCH),
    ("enableIstioTags", SWITCH),
    ("match", MODE_MATCH),
    ("providers", PROVIDERS),
    ("randomSamplingPercentage", NUMBER.at_least(0).at_most(100).nullable()),
    ("useRequestIdForTraceSampling", SWITCH),
]);

const NAMED: Schema = object(&[("defaultValue", TEXT), ("name", NAME)]).required(&["name"]);
const VALUED: Schema = object(&[("value", NAME)]).required(&["value"]);

const CUSTOM_TAG: Schema = object(&[
    ("environment", NAMED),
    ("formatter", VALUED),
    ("header", NAMED),
    ("literal", VALUED),
])
.exclusive(&[&["literal", "environment", "header", "formatter"]]);
