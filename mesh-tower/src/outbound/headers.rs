//! The headers that tell an upstream about tries and time limits.

use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use mesh_core::deadline;
use mesh_core::route::rewrite::{ORIGINAL_HOST, ORIGINAL_PATH};

use super::added::{AddedHeader, LeftOut};
use crate::timeout::clock::Clock;

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
pub(crate) const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Sets the headers of the first try, before the rule's header operations see them.
pub(super) fn begin(headers: &mut HeaderMap, clock: &Clock, left_out: LeftOut) {
    if !left_out.has(AddedHeader::AttemptCount) {
        headers.insert(ATTEMPT_COUNT, HeaderValue::from_static("1"));
    }
    set_timeout(headers, clock, clock.deadline().expected(None), left_out);
}

/// Takes back what a rewrite has noted, where it is not to be seen.
pub(super) fn hide_originals(headers: &mut HeaderMap, left_out: LeftOut) {
    if left_out.has(AddedHeader::Original) {
        headers.remove(ORIGINAL_PATH);
        headers.remove(ORIGINAL_HOST);
    }
}

/// Brings them up to date for another try.
pub(super) fn renew(headers: &mut HeaderMap, tries: u32, clock: &Clock, now: Instant, left_out: LeftOut) {
    if !left_out.has(AddedHeader::AttemptCount) {
        headers.insert(ATTEMPT_COUNT, HeaderValue::from(tries));
    }
    set_timeout(headers, clock, clock.deadline().expected(clock.left(now)), left_out);
}

fn set_timeout(headers: &mut HeaderMap, clock: &Clock, expected: Option<Duration>, left_out: LeftOut) {
    let Some(expected) = expected else { return };
    if !left_out.has(AddedHeader::ExpectedTimeout) {
        let millis = u64::try_from(expected.as_millis()).unwrap_or(u64::MAX);
        headers.insert(EXPECTED_TIMEOUT, HeaderValue::from(millis));
    }
    if clock.deadline().tells_grpc() {
        headers.insert(GRPC_TIMEOUT, deadline::format_grpc_timeout(expected));
    }
}
