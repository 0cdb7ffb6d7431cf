//! Pauses that an endpoint asks for with `retry-after`.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::Rng;

/// The pause that an answer asks for, seconds or a date, drawn from up to half as long again, so that callers who were
/// told the same do not come back together. `None` where it asks for none, or for more than `most`: then the usual
/// pauses count, as with Envoy's back-off for rate limits.
pub fn pause(headers: &HeaderMap, now: SystemTime, most: Duration, rng: &mut dyn Rng) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    if asked > most {
        return None;
    }
    let half = u64::try_from(asked.as_nanos() / 2).unwrap_or(u64::MAX);
    Some(asked + Duration::from_nanos(if half == 0 { 0 } else { rng.below(half) }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::SplitMix64;

    #[test]
    fn seconds_and_dates_are_read_and_what_is_too_long_is_not() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut rng = SplitMix64::new(1);
        for (text, seconds) in [
            ("2", Some(2)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            // A moment that is over is now.
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("11", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            let found = pause(&headers, now, Duration::from_secs(10), &mut rng);
            let (Some(found), Some(seconds)) = (found, seconds) else {
                assert_eq!(found.map(|pause| pause.as_secs()), seconds, "{text:?}");
                continue;
            };
            let asked = Duration::from_secs(seconds);
            assert!((asked..=asked * 3 / 2).contains(&found), "{text:?}: {found:?}");
        }
        assert_eq!(pause(&HeaderMap::new(), now, Duration::from_secs(10), &mut rng), None);
    }
}
