//! `AuthorizationPolicy`.

use super::rule::{SELECTOR_OR_TARGETS, SERVICE_ACCOUNTS_ALONE};
use super::schema::{Schema, TEXT, list, object, one_of};
use super::selector::{SELECTOR, TARGET, TARGETS};

pub(super) static SPEC: Schema = object(&[
    ("action", one_of(&["ALLOW", "DENY", "AUDIT", "CUSTOM"])),
    ("provider", object(&[("name", TEXT)])),
    ("rules", list(&RULE).at_most(512)),
    ("selector", SELECTOR),
    ("targetRef", TARGET),
    ("targetRefs", TARGETS),
])
.rules(&[SELECTOR_OR_TARGETS]);

const RULE: Schema = object(&[
    ("from", list(&object(&[("source", SOURCE)])).at_most(512)),
    ("to", list(&object(&[("operation", OPERATION)]))),
    ("when", list(&object(&[("key", TEXT), ("notValues", TEXTS), ("values", TEXTS)]).required(&["key"]))),
]);

const TEXTS: Schema = list(&TEXT);

const ACCOUNTS: Schema = list(&TEXT.at_most(320)).at_most(16);

const SOURCE: Schema = object(&[
    ("ipBlocks", TEXTS),
    ("namespaces", TEXTS),
    ("notIpBlocks", TEXTS),
    ("notNamespaces", TEXTS),
    ("notPrincipals", TEXTS),
    ("notRemoteIpBlocks", TEXTS),
    ("notRequestPrincipals", TEXTS),
    ("notServiceAccounts", ACCOUNTS),
    ("notTrustDomains", TEXTS),
    ("principals", TEXTS),
    ("remoteIpBlocks", TEXTS),
    ("requestPrincipals", TEXTS),
    ("serviceAccounts", ACCOUNTS),
    ("trustDomains", TEXTS),
])
.rules(&[SERVICE_ACCOUNTS_ALONE]);

const OPERATION: Schema = object(&[
    ("hosts", TEXTS),
    ("methods", TEXTS),
    ("notHosts", TEXTS),
    ("notMethods", TEXTS),
    ("notPaths", TEXTS),
    ("notPorts", TEXTS),
    ("paths", TEXTS),
    ("ports", TEXTS),
]);
