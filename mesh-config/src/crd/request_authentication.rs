//! `RequestAuthentication`.

use super::connection_pool::SPAN;
use super::rule::{ONE_KEY_SOURCE, SELECTOR_OR_TARGETS, WEB_ADDRESS};
use super::schema::{BOOLEAN, Form, Schema, TEXT, list, object, one_of};
use super::selector::{SELECTOR, TARGET, TARGETS};

pub(super) static SPEC: Schema = object(&[
    ("jwtRules", list(&JWT_RULE).at_most(4096)),
    ("selector", SELECTOR),
    ("targetRef", TARGET),
    ("targetRefs", TARGETS),
])
.rules(&[SELECTOR_OR_TARGETS]);

const NAME: Schema = TEXT.at_least(1);
const NAMES: Schema = list(&NAME);
const KEYS_ADDRESS: Schema = NAME.at_most(2048).rules(&[WEB_ADDRESS]);

const JWT_RULE: Schema = object(&[
    ("audiences", NAMES),
    ("forwardOriginalToken", BOOLEAN),
    ("fromCookies", NAMES),
    ("fromHeaders", list(&object(&[("name", NAME), ("prefix", TEXT)]).required(&["name"]))),
    ("fromParams", NAMES),
    ("issuer", NAME),
    ("jwks", TEXT),
    ("jwksUri", KEYS_ADDRESS),
    // The one name in snake case that this kind has.
    ("jwks_uri", KEYS_ADDRESS),
    (
        "outputClaimToHeaders",
        list(&object(&[("claim", NAME), ("header", NAME.form(Form::HeaderName))]).required(&["header", "claim"])),
    ),
    ("outputPayloadToHeader", TEXT),
    ("presence", one_of(&["OPTIONAL", "REQUIRED"])),
    ("spaceDelimitedClaims", NAMES.at_most(64)),
    ("timeout", SPAN),
])
.rules(&[ONE_KEY_SOURCE]);
