//! The status of a gRPC call, as headers and trailers tell it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header or trailer with it.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What there is no status for.
pub const UNKNOWN: u8 = 2;

/// The largest status there is.
const LAST: u8 = 16;

/// The status in headers or trailers; see [`of_value`].
pub fn of(headers: &HeaderMap) -> Option<i32> {
    headers.get(GRPC_STATUS).and_then(of_value)
}

/// The status that a value says, -1 where that is no number, as in Envoy; an empty one says nothing.
pub fn of_value(value: &HeaderValue) -> Option<i32> {
    let text = value.to_str().unwrap_or("?").trim();
    if text.is_empty() { None } else { Some(text.parse().unwrap_or(-1)) }
}

/// The status, 0 to 16, by which calls are told apart in metrics, logs and spans: what gRPC does not have is [`UNKNOWN`], as
/// for gRPC's libraries, so that nobody makes up series.
pub fn known(status: i32) -> u8 {
    u8::try_from(status).ok().filter(|status| *status <= LAST).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_and_what_is_none_is_told_from_nothing() {
        let of = |value: &'static str| of(&HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(value))]));
        assert_eq!(["0", "16", " 7 ", "99"].map(of), [Some(0), Some(16), Some(7), Some(99)]);
        assert_eq!(["ok", "1.0", "99999999999", "-"].map(of), [Some(-1); 4]);
        assert_eq!((of(""), super::of(&HeaderMap::new())), (None, None));
        assert_eq!(HeaderValue::from_bytes(b"\xff").ok().as_ref().and_then(of_value), Some(-1));
    }

    #[test]
    fn what_grpc_does_not_have_counts_as_unknown() {
        assert_eq!([0, 5, 16].map(known), [0, 5, 16]);
        assert_eq!([17, 258, 99_999, -1].map(known), [UNKNOWN; 4]);
    }
}
