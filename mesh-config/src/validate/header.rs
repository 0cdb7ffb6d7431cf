//! Header operations of a route or of one of its destinations.

use super::checker::{At, Checker};
use crate::api::virtual_service::{HeaderOperations, Headers};
use crate::value::header::{check_request_change, check_response_change, check_value};

pub(super) fn operations(cx: &mut Checker<'_>, at: &At<'_>, headers: Option<&Headers>) {
    let Some(headers) = headers else { return };
    if let Some(request) = &headers.request {
        changes(cx, &at.field("request"), request, check_request_change);
    }
    if let Some(response) = &headers.response {
        changes(cx, &at.field("response"), response, check_response_change);
    }
}

type NameCheck = fn(&str) -> Result<(), String>;

fn changes(cx: &mut Checker<'_>, at: &At<'_>, operations: &HeaderOperations, check_name: NameCheck) {
    for (field, changes) in [("set", &operations.set), ("add", &operations.add)] {
        let at = at.field(field);
        for (name, value) in changes {
            cx.check(&at.key(name), check_name(name));
            cx.check(&at.key(name), check_value(value));
        }
    }
    for (index, name) in operations.remove.iter().enumerate() {
        cx.check(&at.field("remove").index(index), check_response_change(name));
    }
}
