//! gRPC statuses by name.

/// The names of the statuses; the place of each is its code.
pub const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The code behind a name such as `UNAVAILABLE`; upper case only, as Istio reads `grpcStatus`.
#[must_use]
pub fn code(name: &str) -> Option<i32> {
    NAMES.iter().zip(0..).find_map(|(known, code)| (*known == name).then_some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_go_by_name() {
        for (name, expected) in [("OK", 0), ("CANCELLED", 1), ("UNAVAILABLE", 14), ("UNAUTHENTICATED", 16)] {
            assert_eq!(code(name), Some(expected));
        }
        assert_eq!((code("unavailable"), code("14"), code("")), (None, None, None));
    }
}
