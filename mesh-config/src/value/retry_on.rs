//! When a request is tried again: the list in `retryOn`.

use std::fmt;

/// The conditions and status codes of a `retryOn` list.
///
/// Reading never fails, as in Istio: names that are not known are kept and match nothing. [`check_retry_on`] is what
/// validation says about them.
///
/// ```
/// use mesh_config::value::{RetryCondition, RetryOn};
///
/// let retry_on = RetryOn::parse("reset, 503");
/// assert!(retry_on.contains(RetryCondition::Reset));
/// assert_eq!(retry_on.status_codes, [503]);
/// // A status code brings the condition that makes it count.
/// assert_eq!(retry_on.to_string(), "reset,retriable-status-codes");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// The conditions, in order.
    pub conditions: Vec<RetryCondition>,
    /// Status codes that are tried again.
    pub status_codes: Vec<u16>,
    /// Every name that is no status code, known or not, as proxies see the list.
    tokens: Vec<String>,
}

impl RetryOn {
    /// What Istio puts where a rule names no condition.
    pub const DEFAULT: &'static str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

    /// Reads a list. Items are trimmed; an item that is a status code with a registered text becomes one.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let mut retry_on = Self::default();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match status_code(item) {
                Some(code) => retry_on.status_codes.push(code),
                None => retry_on.push(item),
            }
        }
        if !retry_on.status_codes.is_empty() && !retry_on.contains(RetryCondition::RetriableStatusCodes) {
            retry_on.push(RetryCondition::RetriableStatusCodes.as_str());
        }
        retry_on
    }

    fn push(&mut self, token: &str) {
        self.conditions.extend(RetryCondition::from_name(token));
        self.tokens.push(token.to_owned());
    }

    /// Whether the list names a condition.
    #[must_use]
    pub fn contains(&self, condition: RetryCondition) -> bool {
        self.conditions.contains(&condition)
    }
}

/// The list without its status codes.
impl fmt::Display for RetryOn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.tokens.join(","))
    }
}

/// Checks a list as Istio's webhook does, which does not trim: one text for each item that is not known.
#[must_use]
pub fn check_retry_on(list: &str) -> Vec<String> {
    if list.is_empty() {
        return Vec::new();
    }
    list.split(',')
        .filter(|item| status_code(item).is_none() && RetryCondition::from_name(item).is_none())
        .map(|item| format!("{item:?} is not a valid retryOn policy"))
        .collect()
}

fn status_code(item: &str) -> Option<u16> {
    item.parse::<i64>().ok().and_then(|code| u16::try_from(code).ok()).filter(|code| has_registered_text(*code))
}

/// Whether Go knows a text for the status.
const fn has_registered_text(code: u16) -> bool {
    matches!(
        code,
        100..=103
            | 200..=208
            | 226
            | 300..=305
            | 307
            | 308
            | 400..=418
            | 421..=426
            | 428
            | 429
            | 431
            | 451
            | 500..=508
            | 510
            | 511
    )
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// A reason to try a request again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RetryCondition { $($(#[$doc])* $variant,)* }

        impl RetryCondition {
            /// All conditions.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in a `retryOn` list.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The condition of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

conditions! {
    /// A 5xx, a reset, or no connection.
    ServerError => "5xx",
    /// 502, 503 or 504, and resets.
    GatewayError => "gateway-error",
    /// The connection ended without a response.
    Reset => "reset",
    /// The connection ended before the request was sent.
    ResetBeforeRequest => "reset-before-request",
    /// No connection could be made.
    ConnectFailure => "connect-failure",
    /// A 409.
    Retriable4xx => "retriable-4xx",
    /// The server refused the stream.
    RefusedStream => "refused-stream",
    /// A status code of the list.
    RetriableStatusCodes => "retriable-status-codes",
    /// A response header that a list names; Istio has no field for it.
    RetriableHeaders => "retriable-headers",
    /// A response with `x-envoy-ratelimited`.
    EnvoyRatelimited => "envoy-ratelimited",
    /// HTTP/3 failed after the connection was made.
    Http3PostConnectFailure => "http3-post-connect-failure",
    /// gRPC status 1.
    Cancelled => "cancelled",
    /// gRPC status 4.
    DeadlineExceeded => "deadline-exceeded",
    /// gRPC status 13.
    Internal => "internal",
    /// gRPC status 8.
    ResourceExhausted => "resource-exhausted",
    /// gRPC status 14.
    Unavailable => "unavailable",
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read_as_istio_reads_them() {
        for (list, written, codes) in [
            ("", "", &[][..]),
            ("5xx, reset ,", "5xx,reset", &[]),
            ("gateway-error,retriable-status-codes,503", "gateway-error,retriable-status-codes", &[503]),
            ("503,429", "retriable-status-codes", &[503, 429]),
            ("some,fake,1000", "some,fake,1000", &[]),
            ("+503", "retriable-status-codes", &[503]),
            ("306", "306", &[]),
        ] {
            let retry_on = RetryOn::parse(list);
            assert_eq!(retry_on.to_string(), written, "{list}");
            assert_eq!(retry_on.status_codes, codes, "{list}");
        }
    }

    #[test]
    fn the_default_list_is_known_as_a_whole() {
        let retry_on = RetryOn::parse(RetryOn::DEFAULT);
        assert_eq!(retry_on.conditions.len(), 5);
        assert_eq!(retry_on.to_string(), RetryOn::DEFAULT);
        assert!(check_retry_on(RetryOn::DEFAULT).is_empty());
    }

    #[test]
    fn validation_does_not_trim() {
        assert!(check_retry_on("").is_empty());
        assert!(check_retry_on("5xx,503").is_empty());
        assert_eq!(
            check_retry_on("5xx, 503,nope,"),
            [
                "\" 503\" is not a valid retryOn policy",
                "\"nope\" is not a valid retryOn policy",
                "\"\" is not a valid retryOn policy",
            ]
        );
    }

    #[test]
    fn every_condition_is_read_from_its_name() {
        for condition in RetryCondition::ALL {
            assert_eq!(RetryCondition::from_name(condition.as_str()), Some(*condition));
        }
    }

    proptest! {
        #[test]
        fn what_validation_accepts_is_read_whole(list in "(5xx|reset|503|418|unavailable)(,(5xx|reset|503|418|unavailable)){0,4}") {
            prop_assert!(check_retry_on(&list).is_empty());
            let retry_on = RetryOn::parse(&list);
            prop_assert_eq!(retry_on.tokens.len(), retry_on.conditions.len());
        }
    }
}
