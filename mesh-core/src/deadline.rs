//! Time limits of a request: the route's, each try's, and the caller's own.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

/// The limits of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline {
    timeout: Option<Duration>,
    per_try: Option<Duration>,
    grpc: bool,
    carried: bool,
}

impl Deadline {
    /// The limits of a request.
    ///
    /// A gRPC caller's `grpc-timeout` shortens the route's timeout, and stands alone where the route
    /// has none; 0 and what cannot be read mean none. A `per_try` that is not below the timeout has
    /// no effect.
    pub fn new(route: Option<Duration>, per_try: Option<Duration>, grpc: bool, headers: &HeaderMap) -> Self {
        let route = route.filter(|timeout| !timeout.is_zero());
        let asked = if grpc { grpc_timeout_of(headers) } else { None };
        let timeout = match (route, asked) {
            (Some(route), Some(asked)) => Some(route.min(asked)),
            (route, asked) => route.or(asked),
        };
        let per_try = per_try.filter(|per_try| !per_try.is_zero() && timeout.is_none_or(|timeout| *per_try < timeout));
        Self { timeout, per_try, grpc, carried: false }
    }

    /// A limit for the whole and nothing else.
    pub const fn of(timeout: Duration) -> Self {
        Self { timeout: Some(timeout), per_try: None, grpc: false, carried: false }
    }

    /// The same, ending no later than in so long: what is left to the request that this one is made for. At least a
    /// millisecond, since 0 would mean that there is no limit.
    #[must_use]
    pub fn within(self, left: Option<Duration>) -> Self {
        let Some(left) = left.map(|left| left.max(Duration::from_millis(1))) else { return self };
        if self.timeout.is_some_and(|timeout| timeout <= left) {
            return self;
        }
        let per_try = self.per_try.filter(|per_try| *per_try < left);
        Self { timeout: Some(left), per_try, carried: true, ..self }
    }

    /// Whether the limit of the whole is what was [left](Self::within) to another request: that it is over says nothing
    /// about who was asked.
    pub const fn is_carried(&self) -> bool {
        self.carried
    }

    /// For the whole exchange, from the end of the request.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// For one try, from the moment its connection is ready and the request has ended.
    pub const fn per_try(&self) -> Option<Duration> {
        self.per_try
    }

    /// What the upstream is told to expect, and whether as `grpc-timeout` too: the try's limit or the
    /// whole one's, but no more than what is `left`. `None` where there is nothing to tell.
    ///
    /// Never below a millisecond: 0 would mean that there is no limit.
    pub fn expected(&self, left: Option<Duration>) -> Option<Duration> {
        let limit = self.per_try.or(self.timeout)?;
        Some(left.map_or(limit, |left| limit.min(left)).max(Duration::from_millis(1)))
    }

    /// Whether the upstream is told by `grpc-timeout` too: on gRPC, wherever there is something to
    /// tell.
    pub const fn tells_grpc(&self) -> bool {
        self.grpc && (self.timeout.is_some() || self.per_try.is_some())
    }
}

fn grpc_timeout_of(headers: &HeaderMap) -> Option<Duration> {
    parse_grpc_timeout(headers.get("grpc-timeout")?.to_str().ok()?)
}

/// Reads a `grpc-timeout`: up to eight digits and a unit. `None` for 0 and for anything else.
///
/// Whole milliseconds, rounded up as Envoy does: a microsecond is not "at once".
pub fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_millis(count.div_ceil(1_000)),
        "n" => Duration::from_millis(count.div_ceil(1_000_000)),
        _ => return None,
    };
    Some(timeout).filter(|timeout| !timeout.is_zero())
}

/// Writes a `grpc-timeout` in milliseconds, rounded up.
pub fn format_grpc_timeout(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    // Eight digits are all there may be.
    let text =
        if millis <= 99_999_999 { format!("{millis}m") } else { format!("{}S", timeout.as_secs().min(99_999_999)) };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(timeout: &'static str) -> HeaderMap {
        HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), HeaderValue::from_static(timeout))])
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_grpc_caller_may_shorten_the_timeout_but_not_extend_it() {
        let timeout = |route, grpc, header| Deadline::new(route, None, grpc, &headers(header)).timeout();
        assert_eq!(timeout(Some(2 * SECOND), true, "1S"), Some(SECOND));
        assert_eq!(timeout(Some(2 * SECOND), true, "5S"), Some(2 * SECOND));
        assert_eq!(timeout(None, true, "5S"), Some(5 * SECOND));
        assert_eq!(timeout(None, true, "0S"), None);
        assert_eq!(timeout(None, false, "5S"), None);
    }

    #[test]
    fn a_try_limit_that_is_not_below_the_timeout_has_no_effect() {
        let per_try = |per_try| Deadline::new(Some(SECOND), Some(per_try), false, &HeaderMap::new()).per_try();
        assert_eq!(per_try(SECOND / 2), Some(SECOND / 2));
        assert_eq!(per_try(SECOND), None);
    }

    #[test]
    fn the_upstream_is_told_no_more_than_what_is_left() {
        let deadline = Deadline::new(Some(5 * SECOND), Some(2 * SECOND), true, &HeaderMap::new());
        assert_eq!(deadline.expected(None), Some(2 * SECOND));
        assert_eq!(deadline.expected(Some(SECOND)), Some(SECOND));
        assert!(deadline.tells_grpc());
        assert_eq!(deadline.expected(Some(Duration::ZERO)), Some(Duration::from_millis(1)));
        assert_eq!(Deadline::default().expected(Some(SECOND)), None);
    }

    #[test]
    fn what_is_left_to_the_caller_bounds_everything() {
        let deadline = Deadline::new(Some(5 * SECOND), Some(2 * SECOND), false, &HeaderMap::new());
        assert_eq!(deadline.within(None), deadline);
        let short = deadline.within(Some(SECOND));
        assert_eq!((short.timeout(), short.per_try()), (Some(SECOND), None));
        let middle = deadline.within(Some(3 * SECOND));
        assert_eq!((middle.timeout(), middle.per_try()), (Some(3 * SECOND), Some(2 * SECOND)));
        assert_eq!(Deadline::default().within(Some(Duration::ZERO)).timeout(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_try_limit_alone_is_told_too() {
        let deadline = Deadline::new(None, Some(2 * SECOND), true, &HeaderMap::new());
        assert_eq!((deadline.expected(None), deadline.tells_grpc()), (Some(2 * SECOND), true));
    }

    #[test]
    fn grpc_timeouts_are_read_in_milliseconds_rounded_up() {
        for (text, millis) in
            [("1n", 1), ("1u", 1), ("1500u", 2), ("7m", 7), ("2S", 2_000), ("1M", 60_000), ("1H", 3_600_000)]
        {
            assert_eq!(parse_grpc_timeout(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0n", "5", "S", "123456789m", "-1S", "+1S", "1s", "1.5S", "1 S", "\u{fc}"] {
            assert_eq!(parse_grpc_timeout(text), None, "{text}");
        }
    }

    #[test]
    fn grpc_timeouts_are_written_in_milliseconds_rounded_up() {
        for (timeout, text) in [
            (Duration::from_secs(5), "5000m"),
            (Duration::from_micros(1_500), "2m"),
            (Duration::from_secs(1_000_000), "1000000S"),
        ] {
            assert_eq!(format_grpc_timeout(timeout), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(millis in 1_u64..100_000_000) {
            let timeout = Duration::from_millis(millis);
            let written = format_grpc_timeout(timeout);
            prop_assert_eq!(parse_grpc_timeout(written.to_str().unwrap()), Some(timeout));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse_grpc_timeout(&text);
        }
    }
}
