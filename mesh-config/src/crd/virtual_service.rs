//! `VirtualService`.

use super::connection_pool::SPAN;
use super::port::DESTINATION;
use super::schema::{BOOLEAN, Form, NUMBER, Schema, TEXT, UNSIGNED, WHOLE, list, map, object, one_of};

pub(super) static SPEC: Schema = object(&[
    ("exportTo", list(&TEXT)),
    ("gateways", list(&TEXT)),
    ("hosts", list(&TEXT)),
    ("http", list(&HTTP)),
    ("tcp", list(&TCP)),
    ("tls", list(&TLS)),
]);

const HTTP: Schema = object(&[
    ("corsPolicy", CORS),
    ("delegate", object(&[("name", TEXT), ("namespace", TEXT)])),
    ("directResponse", DIRECT_RESPONSE),
    ("fault", object(&[("abort", ABORT), ("delay", DELAY)])),
    ("headers", HEADERS),
    ("match", list(&MATCH)),
    ("mirror", DESTINATION),
    ("mirrorPercent", UNSIGNED.nullable()),
    ("mirrorPercentage", PERCENT),
    // The one name in snake case that this kind has.
    ("mirror_percent", UNSIGNED.nullable()),
    ("mirrors", list(&object(&[("destination", DESTINATION), ("percentage", PERCENT)]).required(&["destination"]))),
    ("name", TEXT),
    ("redirect", REDIRECT),
    ("retries", RETRIES),
    ("rewrite", REWRITE),
    ("route", list(&HTTP_ROUTE)),
    ("timeout", SPAN),
]);

const STRING_MATCH: Schema =
    object(&[("exact", TEXT), ("prefix", TEXT), ("regex", TEXT)]).exclusive(&[&["exact", "prefix", "regex"]]);

const PERCENT: Schema = object(&[("value", NUMBER)]);

const MATCH: Schema = object(&[
    ("authority", STRING_MATCH),
    ("gateways", list(&TEXT)),
    ("headers", map(&STRING_MATCH)),
    ("ignoreUriCase", BOOLEAN),
    ("method", STRING_MATCH),
    ("name", TEXT),
    ("port", UNSIGNED),
    ("queryParams", map(&STRING_MATCH)),
    ("scheme", STRING_MATCH),
    ("sourceLabels", map(&TEXT)),
    ("sourceNamespace", TEXT),
    ("statPrefix", TEXT),
    ("uri", STRING_MATCH),
    ("withoutHeaders", map(&STRING_MATCH)),
]);

const CORS: Schema = object(&[
    ("allowCredentials", BOOLEAN.nullable()),
    ("allowHeaders", list(&TEXT)),
    ("allowMethods", list(&TEXT)),
    ("allowOrigin", list(&TEXT)),
    ("allowOrigins", list(&STRING_MATCH)),
    ("exposeHeaders", list(&TEXT)),
    ("maxAge", SPAN),
    ("unmatchedPreflights", one_of(&["UNSPECIFIED", "FORWARD", "IGNORE"])),
]);

const DIRECT_RESPONSE: Schema = object(&[
    ("body", object(&[("bytes", TEXT.form(Form::Base64)), ("string", TEXT)]).exclusive(&[&["string", "bytes"]])),
    ("status", UNSIGNED),
])
.required(&["status"]);

const ABORT: Schema =
    object(&[("grpcStatus", TEXT), ("http2Error", TEXT), ("httpStatus", WHOLE), ("percentage", PERCENT)])
        .exclusive(&[&["httpStatus", "grpcStatus", "http2Error"]]);

const DELAY: Schema =
    object(&[("exponentialDelay", SPAN), ("fixedDelay", SPAN), ("percent", WHOLE), ("percentage", PERCENT)])
        .exclusive(&[&["fixedDelay", "exponentialDelay"]]);

const HEADERS: Schema = object(&[("request", HEADER_CHANGES), ("response", HEADER_CHANGES)]);

const HEADER_CHANGES: Schema = object(&[("add", map(&TEXT)), ("remove", list(&TEXT)), ("set", map(&TEXT))]);

const REDIRECT: Schema = object(&[
    ("authority", TEXT),
    ("derivePort", one_of(&["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"])),
    ("port", UNSIGNED),
    ("prefixRewrite", TEXT),
    ("redirectCode", UNSIGNED),
    ("scheme", TEXT),
    ("uri", TEXT),
])
.exclusive(&[&["port", "derivePort"]]);

const RETRIES: Schema = object(&[
    ("attempts", WHOLE),
    ("backoff", SPAN),
    ("perTryTimeout", SPAN),
    ("retryIgnorePreviousHosts", BOOLEAN.nullable()),
    ("retryOn", TEXT),
    ("retryRemoteLocalities", BOOLEAN.nullable()),
]);

const REWRITE: Schema =
    object(&[("authority", TEXT), ("uri", TEXT), ("uriRegexRewrite", object(&[("match", TEXT), ("rewrite", TEXT)]))]);

const HTTP_ROUTE: Schema =
    object(&[("destination", DESTINATION), ("headers", HEADERS), ("weight", WHOLE)]).required(&["destination"]);

const ROUTE: Schema = object(&[("destination", DESTINATION), ("weight", WHOLE)]).required(&["destination"]);

const TCP: Schema = object(&[("match", list(&TCP_MATCH)), ("route", list(&ROUTE))]);

const TCP_MATCH: Schema = object(&[
    ("destinationSubnets", list(&TEXT)),
    ("gateways", list(&TEXT)),
    ("port", UNSIGNED),
    ("sourceLabels", map(&TEXT)),
    ("sourceNamespace", TEXT),
    ("sourceSubnet", TEXT),
]);

const TLS: Schema = object(&[("match", list(&TLS_MATCH)), ("route", list(&ROUTE))]).required(&["match"]);

const TLS_MATCH: Schema = object(&[
    ("destinationSubnets", list(&TEXT)),
    ("gateways", list(&TEXT)),
    ("port", UNSIGNED),
    ("sniHosts", list(&TEXT)),
    ("sourceLabels", map(&TEXT)),
    ("sourceNamespace", TEXT),
])
.required(&["sniHosts"]);
