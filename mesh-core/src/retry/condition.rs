//! What triggers a retry: one row for each `retryOn` token.

use std::fmt;

use mesh_config::value::{RetryCondition, RetryOn};

use crate::Failure;
use crate::classify::Outcome;

/// Whether an outcome is one that a token names. The list of status codes is the second argument.
type Predicate = fn(&Outcome, &[u16]) -> bool;

/// What has to be kept of a request so that a retry for some reason can be made; in order of cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Needs {
    /// Nothing: the request was not sent and is still there, or the reason never comes up.
    #[default]
    Nothing,
    /// A copy where HTTP/2 is spoken: only there can an endpoint refuse what it was sent.
    CopyOnHttp2,
    /// A copy where `grpc-status` is looked at.
    CopyForGrpc,
    /// A copy.
    Copy,
}

/// A `retryOn` token.
struct Row {
    token: RetryCondition,
    needs: Needs,
    names: Predicate,
}

/// The table: what each token names. The place of a row is its bit.
const TABLE: &[Row] = &[
    row(RetryCondition::ServerError, Needs::Copy, |outcome, _| status_in(outcome, 500..=599) || is_reset(outcome)),
    row(RetryCondition::GatewayError, Needs::Copy, |outcome, _| status_in(outcome, 502..=504) || is_reset(outcome)),
    row(RetryCondition::Reset, Needs::Copy, |outcome, _| is_reset(outcome)),
    // A refused connection is a reset before the request as well.
    row(RetryCondition::ResetBeforeRequest, Needs::Nothing, |outcome, _| is_connect_failure(outcome)),
    row(RetryCondition::ConnectFailure, Needs::Nothing, |outcome, _| is_connect_failure(outcome)),
    row(RetryCondition::RefusedStream, Needs::CopyOnHttp2, |outcome, _| is_failure(outcome, Failure::RefusedStream)),
    row(RetryCondition::Retriable4xx, Needs::Copy, |outcome, _| status_in(outcome, 409..=409)),
    row(
        RetryCondition::RetriableStatusCodes,
        Needs::Copy,
        |outcome, codes| matches!(outcome, Outcome::Response { status, .. } if codes.contains(status)),
    ),
    row(RetryCondition::EnvoyRatelimited, Needs::Copy, |outcome, _| is_rate_limited(outcome)),
    row(RetryCondition::Cancelled, Needs::CopyForGrpc, |outcome, _| is_grpc(outcome, 1)),
    row(RetryCondition::DeadlineExceeded, Needs::CopyForGrpc, |outcome, _| is_grpc(outcome, 4)),
    row(RetryCondition::ResourceExhausted, Needs::CopyForGrpc, |outcome, _| is_grpc(outcome, 8)),
    row(RetryCondition::Internal, Needs::CopyForGrpc, |outcome, _| is_grpc(outcome, 13)),
    row(RetryCondition::Unavailable, Needs::CopyForGrpc, |outcome, _| is_grpc(outcome, 14)),
    // Istio has no way to name the headers, and in-process clients speak no HTTP/3.
    row(RetryCondition::RetriableHeaders, Needs::Nothing, |_, _| false),
    row(RetryCondition::Http3PostConnectFailure, Needs::Nothing, |_, _| false),
];

const fn row(token: RetryCondition, needs: Needs, names: Predicate) -> Row {
    Row { token, needs, names }
}

/// A compiled `retryOn`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    bits: u32,
    status_codes: Box<[u16]>,
    needs: Needs,
}

/// The tokens and status codes, as in `retryOn`.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = TABLE.iter().enumerate().filter(|(bit, _)| self.bits & 1 << bit != 0);
        let tokens = tokens.map(|(_, row)| row.token.as_str().to_owned());
        let all: Vec<_> = tokens.chain(self.status_codes.iter().map(ToString::to_string)).collect();
        f.write_str(&all.join(","))
    }
}

impl Conditions {
    /// From a list of tokens and status codes.
    pub fn lower(from: &RetryOn) -> Self {
        let bit = |condition: &RetryCondition| TABLE.iter().position(|row| row.token == *condition);
        let bits = from.conditions.iter().filter_map(bit).fold(0, |bits, bit| bits | 1 << bit);
        let mut conditions = Self { bits, status_codes: from.status_codes.as_slice().into(), needs: Needs::Nothing };
        conditions.needs = conditions.most_needed();
        conditions
    }

    /// Whether an outcome is a reason to try again.
    ///
    /// Never where there was nobody to ask, a limit was reached or the whole time is over, and not
    /// for an answer that says `x-envoy-ratelimited`, unless the list names that.
    pub fn take(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed(failure) if !failure.is_upstream() => false,
            Outcome::Response { rate_limited: true, .. } => self.has(RetryCondition::EnvoyRatelimited),
            _ => self.rows().any(|row| (row.names)(outcome, &self.status_codes)),
        }
    }

    /// What has to be kept of a request so that every reason in the list can lead to a retry.
    pub(crate) const fn needs(&self) -> Needs {
        self.needs
    }

    fn most_needed(&self) -> Needs {
        let of_row = |row: &Row| match row.token {
            // The default list names the token without a code.
            RetryCondition::RetriableStatusCodes if self.status_codes.is_empty() => Needs::Nothing,
            _ => row.needs,
        };
        self.rows().map(of_row).max().unwrap_or(Needs::Nothing)
    }

    fn has(&self, condition: RetryCondition) -> bool {
        self.rows().any(|row| row.token == condition)
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        TABLE.iter().enumerate().filter(move |(bit, _)| self.bits & (1 << bit) != 0).map(|(_, row)| row)
    }
}

fn status_in(outcome: &Outcome, range: std::ops::RangeInclusive<u16>) -> bool {
    matches!(outcome, Outcome::Response { status, .. } if range.contains(status))
}

fn is_grpc(outcome: &Outcome, code: i32) -> bool {
    matches!(outcome, Outcome::Response { grpc: Some(status), .. } if *status == code)
}

/// Any end of the stream without an answer, a try that took too long included.
fn is_reset(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(failure) if failure.is_upstream())
}

fn is_failure(outcome: &Outcome, wanted: Failure) -> bool {
    matches!(outcome, Outcome::Failed(failure) if *failure == wanted)
}

fn is_rate_limited(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Response { rate_limited: true, .. })
}

fn is_connect_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(Failure::ConnectFailed | Failure::ConnectTimeout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Limit;

    fn taken(list: &str, outcome: Outcome) -> bool {
        Conditions::lower(&RetryOn::parse(list)).take(&outcome)
    }

    fn failed(failure: Failure) -> Outcome {
        Outcome::Failed(failure)
    }

    const fn grpc(code: i32) -> Outcome {
        Outcome::Response { status: 200, grpc: Some(code), rate_limited: false }
    }

    #[test]
    fn every_token_has_a_row() {
        for condition in RetryCondition::ALL {
            assert_eq!(TABLE.iter().filter(|row| row.token == *condition).count(), 1, "{condition:?}");
        }
    }

    #[test]
    fn tokens_name_what_envoy_lets_them_name() {
        let (refused, reset) = (failed(Failure::ConnectFailed), failed(Failure::ConnectionTerminated));
        let (late, refused_stream) = (failed(Failure::PerTryTimeout), failed(Failure::RefusedStream));
        for (list, yes, no) in [
            ("5xx", &[Outcome::status(500), refused, reset, late][..], &[Outcome::status(499)][..]),
            ("gateway-error", &[Outcome::status(502), refused, late], &[Outcome::status(500), Outcome::status(505)]),
            ("reset", &[reset, late, refused], &[Outcome::status(503)]),
            ("connect-failure", &[refused, failed(Failure::ConnectTimeout)], &[reset, late, refused_stream]),
            ("reset-before-request", &[refused], &[reset, refused_stream]),
            ("refused-stream", &[refused_stream], &[reset]),
            ("retriable-4xx", &[Outcome::status(409)], &[Outcome::status(404), Outcome::status(429)]),
            ("503", &[Outcome::status(503)], &[refused, late, Outcome::status(504)]),
            ("cancelled,unavailable", &[grpc(1), grpc(14)], &[grpc(4), Outcome::status(503)]),
            ("deadline-exceeded,resource-exhausted,internal", &[grpc(4), grpc(8), grpc(13)], &[grpc(14)]),
        ] {
            assert!(yes.iter().all(|outcome| taken(list, *outcome)), "{list}");
            assert!(!no.iter().any(|outcome| taken(list, *outcome)), "{list}");
        }
    }

    #[test]
    fn some_outcomes_are_never_a_reason() {
        let all = "5xx,gateway-error,reset,connect-failure,retriable-4xx,refused-stream";
        for failure in [Failure::Overflow(Limit::Requests), Failure::NoHealthyUpstream, Failure::RequestTimeout] {
            assert!(!taken(all, failed(failure)), "{failure:?}");
        }
        let limited = Outcome::Response { status: 503, grpc: None, rate_limited: true };
        assert!(!taken(all, limited));
        assert!(taken("envoy-ratelimited", limited));
        let limited_but_fine = Outcome::Response { status: 200, grpc: None, rate_limited: true };
        assert!(taken("5xx,envoy-ratelimited", limited_but_fine));
    }
}
