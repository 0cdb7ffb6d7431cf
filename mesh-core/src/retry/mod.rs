//! Retries: whether a try that failed is made again, and after which pause.
//!
//! The policy is data ([`RetryPolicy`]), what triggers it one table ([`condition`]), and one request
//! walks through it with [`Attempts`]. Which requests can be sent again at all is not known here.

pub mod asked;
pub mod backoff;
pub mod budget;
pub mod condition;

use std::time::Duration;

use mesh_config::api::virtual_service::HttpRetry;
use mesh_config::value::RetryOn;

use crate::classify::Outcome;
use crate::{Profile, Rng};

use backoff::Backoff;
use condition::{Conditions, Needs};

/// When and how often to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries at most: `attempts` of 3 makes up to 4 tries.
    pub attempts: u32,
    /// Limit for each try.
    pub per_try_timeout: Option<Duration>,
    /// What triggers a retry.
    pub on: Conditions,
    /// The pauses.
    pub backoff: Backoff,
    /// Whether endpoints of earlier tries are avoided.
    pub ignore_previous_hosts: bool,
    /// Whether a retry may go to other localities.
    pub remote_localities: bool,
}

/// Retries of a rule that says nothing about them.
const DEFAULT_ATTEMPTS: i32 = 2;

impl RetryPolicy {
    /// A policy given by hand: up to `attempts` retries on the conditions and status codes of `on`, in
    /// the words of `retryOn` (`5xx,reset,503`); tokens that do not exist name nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mesh_core::retry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::new(3, "5xx,reset,connect-failure").per_try_timeout(Duration::from_secs(2));
    /// assert_eq!((policy.attempts, policy.backoff.base.as_millis()), (3, 25));
    /// ```
    pub fn new(attempts: u32, on: &str) -> Self {
        Self {
            attempts,
            per_try_timeout: None,
            on: Conditions::lower(&RetryOn::parse(on)),
            backoff: Backoff::from_base(None),
            ignore_previous_hosts: true,
            remote_localities: false,
        }
    }

    /// Limits each try; 0 for no limit.
    #[must_use]
    pub fn per_try_timeout(self, limit: Duration) -> Self {
        Self { per_try_timeout: Some(limit).filter(|limit| !limit.is_zero()), ..self }
    }

    /// Another base for the pauses, which grow up to ten times as long; 0 for the usual 25 ms.
    #[must_use]
    pub fn backoff(self, base: Duration) -> Self {
        Self { backoff: Backoff::from_base(Some(base)), ..self }
    }

    /// The policy of a rule; `None` where retries are off.
    ///
    /// Without `retries` the mesh's default counts, and without that one Istio's: two retries on
    /// `connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes`. `single_hash` tells that the rule has
    /// one destination, which balances by hash: then earlier endpoints are not avoided unless the
    /// rule asks for it.
    pub fn lower(rule: Option<&HttpRetry>, mesh_default: Option<&HttpRetry>, single_hash: bool) -> Option<Self> {
        let istio_default = HttpRetry { attempts: DEFAULT_ATTEMPTS, ..HttpRetry::default() };
        let retries = rule.or(mesh_default).unwrap_or(&istio_default);
        let attempts = u32::try_from(retries.attempts).ok().filter(|attempts| *attempts > 0)?;
        let on = if retries.retry_on.is_empty() { RetryOn::DEFAULT } else { &retries.retry_on };
        Some(Self {
            attempts,
            per_try_timeout: retries.per_try_timeout.map(|limit| limit.to_std()).filter(|limit| !limit.is_zero()),
            on: Conditions::lower(&RetryOn::parse(on)),
            backoff: Backoff::from_base(retries.backoff.map(|base| base.to_std())),
            ignore_previous_hosts: retries.retry_ignore_previous_hosts.unwrap_or(!single_hash),
            remote_localities: retries.retry_remote_localities.unwrap_or(false),
        })
    }

    /// Whether a request has to be kept whole for a retry to be possible.
    ///
    /// A request that could not be sent is still there. So where the policy asks for nothing but
    /// that, and for gRPC statuses that a plain HTTP/1.1 answer does not carry, no copy is needed;
    /// [`Profile::Istio`] looks for them there too. `http2`: on the way to the endpoint.
    pub fn needs_copy(&self, grpc: bool, http2: bool, profile: Profile) -> bool {
        let reads_grpc_status = grpc || http2 || profile == Profile::Istio;
        match self.on.needs() {
            Needs::Nothing => false,
            Needs::CopyOnHttp2 => http2,
            Needs::CopyForGrpc => reads_grpc_status,
            Needs::Copy => true,
        }
    }
}

/// What comes after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the outcome is no reason to try again, or there is no policy.
    Done,
    /// Nothing: it would be a reason, but all retries are used up.
    Exhausted,
    /// Another try, after this pause.
    RetryAfter(Duration),
}

/// The tries of one request.
#[derive(Debug)]
pub struct Attempts<'a> {
    policy: Option<&'a RetryPolicy>,
    retries: u32,
}

impl<'a> Attempts<'a> {
    /// Before the first try.
    pub fn new(policy: Option<&'a RetryPolicy>) -> Self {
        Self { policy, retries: 0 }
    }

    /// Retries that were decided on so far.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Decides after a try.
    pub fn next(&mut self, outcome: &Outcome, rng: &mut dyn Rng) -> Next {
        let Some(policy) = self.policy.filter(|policy| policy.on.take(outcome)) else { return Next::Done };
        if self.retries >= policy.attempts {
            return Next::Exhausted;
        }
        self.retries += 1;
        Next::RetryAfter(policy.backoff.pause(self.retries, rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, SplitMix64};

    fn policy(retries: &HttpRetry) -> RetryPolicy {
        RetryPolicy::lower(Some(retries), None, false).unwrap()
    }

    #[test]
    fn a_rule_without_retries_gets_istios_two() {
        let policy = RetryPolicy::lower(None, None, false).unwrap();
        assert_eq!(policy.attempts, 2);
        assert!(policy.on.take(&Outcome::Failed(Failure::ConnectFailed)));
        assert!(!policy.on.take(&Outcome::status(503)));
        assert!(policy.ignore_previous_hosts);
    }

    #[test]
    fn the_meshs_default_counts_only_for_rules_without_retries() {
        let mesh = HttpRetry { attempts: 5, retry_on: "503".into(), ..HttpRetry::default() };
        let policy = RetryPolicy::lower(None, Some(&mesh), false).unwrap();
        assert!(policy.attempts == 5 && policy.on.take(&Outcome::status(503)));
        let own = HttpRetry { attempts: 1, ..HttpRetry::default() };
        assert!(!RetryPolicy::lower(Some(&own), Some(&mesh), false).unwrap().on.take(&Outcome::status(503)));
    }

    #[test]
    fn zero_attempts_turn_retries_off() {
        assert_eq!(RetryPolicy::lower(Some(&HttpRetry::default()), None, false), None);
    }

    #[test]
    fn attempts_count_retries_and_then_are_exhausted() {
        let policy = policy(&HttpRetry { attempts: 2, retry_on: "5xx".into(), ..HttpRetry::default() });
        let mut attempts = Attempts::new(Some(&policy));
        let mut rng = SplitMix64::new(1);
        let failed = Outcome::status(500);
        assert!(matches!(attempts.next(&failed, &mut rng), Next::RetryAfter(_)));
        assert!(matches!(attempts.next(&failed, &mut rng), Next::RetryAfter(_)));
        assert_eq!(attempts.next(&failed, &mut rng), Next::Exhausted);
        assert_eq!(attempts.next(&Outcome::status(200), &mut rng), Next::Done);
        assert_eq!(Attempts::new(None).next(&failed, &mut rng), Next::Done);
    }

    #[test]
    fn plain_http_under_the_default_list_needs_no_copy() {
        let default = RetryPolicy::lower(None, None, false).unwrap();
        assert!(!default.needs_copy(false, false, Profile::Safe));
        assert!(default.needs_copy(true, false, Profile::Safe));
        assert!(default.needs_copy(false, true, Profile::Safe));
        assert!(default.needs_copy(false, false, Profile::Istio));
        let more = policy(&HttpRetry { attempts: 1, retry_on: "connect-failure,5xx".into(), ..HttpRetry::default() });
        assert!(more.needs_copy(false, false, Profile::Safe));
    }

    #[test]
    fn a_list_of_failed_connections_never_needs_a_copy() {
        let unsent = policy(&HttpRetry {
            attempts: 1,
            retry_on: "connect-failure,reset-before-request".into(),
            ..HttpRetry::default()
        });
        assert!(!unsent.needs_copy(true, true, Profile::Istio));
        let refused = policy(&HttpRetry {
            attempts: 1,
            retry_on: "connect-failure,refused-stream".into(),
            ..HttpRetry::default()
        });
        assert!(refused.needs_copy(false, true, Profile::Safe) && !refused.needs_copy(false, false, Profile::Istio));
    }
}
