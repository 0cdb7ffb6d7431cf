//! What one try came to, in the terms that retries and outlier detection think in.

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};

use crate::Failure;
use crate::grpc_status::{self, GRPC_STATUS};

/// The outcome of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The endpoint answered.
    Response {
        /// The HTTP status.
        status: u16,
        /// `grpc-status`, where it stands in the headers (trailers-only answers); -1 where it is no number.
        grpc: Option<i32>,
        /// Whether `x-envoy-ratelimited` is there.
        rate_limited: bool,
    },
    /// It did not, or there was nobody to ask.
    Failed(Failure),
}

impl Outcome {
    /// The outcome of an answer.
    pub fn of_response(status: StatusCode, headers: &HeaderMap) -> Self {
        let (mut grpc, mut rate_limited) = (None, false);
        // One look at each of the few there are is less than two searches.
        for name in headers.keys() {
            if *name == GRPC_STATUS {
                grpc = grpc_status::of(headers);
            }
            rate_limited |= *name == RATE_LIMITED;
        }
        Self::Response { status: status.as_u16(), grpc, rate_limited }
    }

    /// The same outcome with the `grpc-status` of trailers, where the headers have none.
    #[must_use]
    pub fn with_trailers(self, trailers: &HeaderMap) -> Self {
        match self {
            Self::Response { status, grpc: None, rate_limited } => {
                Self::Response { status, grpc: grpc_status::of(trailers), rate_limited }
            }
            other => other,
        }
    }

    /// An answer with this status and nothing else of note.
    pub const fn status(status: u16) -> Self {
        Self::Response { status, grpc: None, rate_limited: false }
    }

    /// Whether the destination did what it was asked: an answer below 500 whose `grpc-status`, if
    /// there is one in its headers, is 0.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Response { status, grpc: None | Some(0), .. } if status < 500)
    }

    /// The same outcome without its `grpc-status`.
    ///
    /// For outlier detection of a request that is not gRPC, where the HTTP status alone counts; and
    /// for the retries of a plain HTTP/1.1 request under [`Profile::Safe`](crate::Profile::Safe),
    /// which was not kept for that reason.
    #[must_use]
    pub fn without_grpc_status(self) -> Self {
        match self {
            Self::Response { status, rate_limited, .. } => Self::Response { status, grpc: None, rate_limited },
            failed @ Self::Failed(_) => failed,
        }
    }

    /// The HTTP status that outlier detection counts: that of the answer, or the one its
    /// `grpc-status` stands for; 500 where that is none that gRPC has, as in Envoy.
    pub(crate) fn counted_status(self) -> Option<u16> {
        match self {
            Self::Response { grpc: Some(code), .. } => Some(http_status_of_grpc(code).unwrap_or(500)),
            Self::Response { status, .. } => Some(status),
            Self::Failed(_) => None,
        }
    }
}

const RATE_LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// The HTTP status that a gRPC status counts as.
pub fn http_status_of_grpc(code: i32) -> Option<u16> {
    Some(match code {
        0 => 200,
        1 => 499,
        2 | 13 | 15 => 500,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_grpc_status_in_the_headers_is_what_counts() {
        let headers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("14"))]);
        let outcome = Outcome::of_response(StatusCode::OK, &headers);
        assert_eq!(outcome, Outcome::Response { status: 200, grpc: Some(14), rate_limited: false });
        assert_eq!(outcome.counted_status(), Some(503));
        assert_eq!(Outcome::status(418).counted_status(), Some(418));
        assert_eq!(outcome.without_grpc_status().counted_status(), Some(200));
        assert_eq!(Outcome::Failed(Failure::ConnectFailed).counted_status(), None);
    }

    #[test]
    fn a_grpc_status_that_there_is_not_counts_as_an_error_of_the_server() {
        let counted = |value| {
            let headers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(value))]);
            Outcome::of_response(StatusCode::OK, &headers).counted_status()
        };
        assert_eq!(["17", "-3", "abc", "14.0"].map(counted), [Some(500); 4]);
        assert_eq!(["0", " 0 ", ""].map(counted), [Some(200); 3]);
    }

    #[test]
    fn success_is_an_answer_that_reports_no_failure_of_the_server() {
        let grpc = |code| Outcome::Response { status: 200, grpc: Some(code), rate_limited: false };
        assert!([Outcome::status(200), Outcome::status(404), grpc(0)].iter().all(|outcome| outcome.is_success()));
        let failures = [Outcome::status(500), grpc(14), Outcome::Failed(Failure::PerTryTimeout)];
        assert!(!failures.iter().any(|outcome| outcome.is_success()));
    }
}
