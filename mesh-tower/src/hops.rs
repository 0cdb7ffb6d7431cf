//! What meshes tell one another from hop to hop, so that retries and copies do not multiply on the way.
//!
//! Three services in a row that try four times each would ask the last one 64 times for one request. Two things keep
//! that from happening, under [`Profile::Safe`](crate::Profile::Safe):
//!
//! * an error that is given after retries have been in vain says so (`x-mesh-retries: spent`), and whoever gets it
//!   does not try again. What a handler answers says it too, if a call that was made for it ended so;
//! * calls made for a request that is a retry itself (`x-envoy-attempt-count` over 1), or was asked because of one
//!   (`x-mesh-retry`), are tried again only where no connection could be made: whoever sent the retry has others left.
//!
//! A copy of a request for a mirror says what it is (`x-mesh-mirrored`), and so do the calls made for it: none of them
//! is copied again. A service that is its own mirror would copy for ever otherwise.
//!
//! Envoy and Istio have none of these headers; a sidecar passes them on like any other.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Marks a copy, and what is asked because of one.
pub(crate) const MIRRORED: HeaderName = HeaderName::from_static("x-mesh-mirrored");

/// Marks what is asked because of a retry.
const RETRY: HeaderName = HeaderName::from_static("x-mesh-retry");

/// What one hop says to the next about a request. An edge believes it of no stranger.
pub(crate) const MARKS: [HeaderName; 3] = [MIRRORED, RETRY, ATTEMPT_COUNT];

/// Set on a copy.
pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");

const RETRIES: HeaderName = HeaderName::from_static("x-mesh-retries");
const SPENT: HeaderValue = HeaderValue::from_static("spent");
const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

/// What kind of request something is, or is done for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Somebody has asked for this before.
    pub(crate) is_retry: bool,
    /// A copy: nobody waits for the answer.
    pub(crate) is_copy: bool,
}

impl Nature {
    /// As its headers say.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let count = headers.get(ATTEMPT_COUNT).and_then(|count| count.to_str().ok()?.parse::<u64>().ok());
        let is_retry = count.is_some_and(|count| count > 1) || headers.contains_key(RETRY);
        Self { is_retry, is_copy: headers.contains_key(MIRRORED) }
    }

    /// Tells it to whoever gets the request.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        if self.is_retry {
            headers.insert(RETRY, TRUE);
        }
        if self.is_copy {
            headers.insert(MIRRORED, TRUE);
        }
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self { is_retry: self.is_retry || other.is_retry, is_copy: self.is_copy || other.is_copy }
    }
}

/// Whether an answer says that trying again has been in vain.
pub(crate) fn is_spent(headers: &HeaderMap) -> bool {
    headers.get(RETRIES).is_some_and(|said| *said == SPENT)
}

/// Makes an answer say so.
pub(crate) fn mark_spent(headers: &mut HeaderMap) {
    headers.insert(RETRIES, SPENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nature(name: &'static str, value: &'static str) -> Nature {
        Nature::of(&HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_second_try_and_a_copy_are_known_by_their_headers() {
        assert!(nature("x-envoy-attempt-count", "2").is_retry && nature("x-mesh-mirrored", "true").is_copy);
        assert!(nature("x-mesh-retry", "true").is_retry);
        let both = Nature { is_retry: true, is_copy: true };
        let mut marked = HeaderMap::new();
        both.mark(&mut marked);
        assert_eq!(Nature::of(&marked), both);
        for first in ["1", "0", "", "two", "-3"] {
            assert_eq!(nature("x-envoy-attempt-count", first), Nature::default(), "{first}");
        }
    }

    #[test]
    fn an_answer_says_once_that_retries_are_spent() {
        let mut headers = HeaderMap::new();
        assert!(!is_spent(&headers));
        mark_spent(&mut headers);
        mark_spent(&mut headers);
        assert!(is_spent(&headers) && headers.len() == 1);
    }
}
