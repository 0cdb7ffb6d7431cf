//! Retries that the timeout leaves no time for, or that a slow try never leads to.

use super::rules::{HttpRule, each_http_rule};
use super::{Analyzer, Context};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::validate::{At, Checker};
use crate::value::{Duration, RetryCondition, RetryOn};

/// `MESH0402`: all tries and the pauses between them share the rule's `timeout`. `MESH0404`: a try that runs into its
/// `perTryTimeout` is repeated under three conditions only, which Istio's default list does not hold.
pub(super) struct TriesOverTimeout;

impl Analyzer for TriesOverTimeout {
    fn name(&self) -> &'static str {
        "mesh.TriesOverTimeout"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::TRIES_OVER_TIMEOUT, Code::SLOW_TRY_NOT_RETRIED]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        each_http_rule(set, out, check);
    }
}

fn check(cx: &mut Checker<'_>, at: &At<'_>, rule: HttpRule<'_>) {
    let Some(retries) = rule.route.retries.as_ref().filter(|retries| retries.attempts > 0 && rule.forwards()) else {
        return;
    };
    let at = at.field("retries");
    let Some(per_try) = retries.per_try_timeout.and_then(positive) else { return };
    let timeout = rule.route.timeout.and_then(positive);
    let plan = Plan {
        attempts: u128::from(retries.attempts.unsigned_abs()),
        per_try,
        pause: retries.backoff.and_then(positive).unwrap_or(DEFAULT_PAUSE),
    };
    if let Some(timeout) = timeout.filter(|timeout| per_try >= *timeout) {
        return cx.push(&at.field("perTryTimeout"), plan.never_acts(timeout));
    }
    if !repeats_slow_tries(&retries.retry_on) {
        return cx.push(&at.field("perTryTimeout"), plan.is_not_repeated(&retries.retry_on));
    }
    if let Some(finding) = timeout.and_then(|timeout| plan.does_not_fit(timeout)) {
        cx.push(&at.field("attempts"), finding);
    }
}

fn positive(duration: Duration) -> Option<u128> {
    u128::try_from(duration.as_nanos()).ok().filter(|nanos| *nanos > 0)
}

/// Whether a try that its own timeout ends is made again. It counts as a reset, not as a 504.
fn repeats_slow_tries(retry_on: &str) -> bool {
    let retry_on = RetryOn::parse(if retry_on.is_empty() { RetryOn::DEFAULT } else { retry_on });
    [RetryCondition::ServerError, RetryCondition::GatewayError, RetryCondition::Reset]
        .into_iter()
        .any(|condition| retry_on.contains(condition))
}

/// The base of the pauses where none is set, in nanoseconds.
const DEFAULT_PAUSE: u128 = 25_000_000;

/// What a rule means to do, in nanoseconds.
struct Plan {
    /// Tries after the first one.
    attempts: u128,
    per_try: u128,
    pause: u128,
}

impl Plan {
    /// The longest that the pauses before so many retries take together: each is at most twice the one before, and at
    /// most ten times the first.
    fn pauses(&self, retries: u128) -> u128 {
        const LONGEST: u128 = 10;
        let doubling = (1_u128 << retries.min(4)) - 1;
        self.pause.saturating_mul(doubling + retries.saturating_sub(4) * LONGEST)
    }

    fn tries(&self) -> u128 {
        self.attempts + 1
    }

    fn longest(&self, attempts: u128) -> u128 {
        (attempts + 1).saturating_mul(self.per_try).saturating_add(self.pauses(attempts))
    }

    fn never_acts(&self, timeout: u128) -> Diagnostic {
        let (per_try, timeout) = (seconds(self.per_try), seconds(timeout));
        let message = format!(
            "perTryTimeout {per_try} does nothing: it is not less than the timeout of {timeout}, which is for all {} tries \
             together",
            self.tries()
        );
        Diagnostic::warning(Code::TRIES_OVER_TIMEOUT, message)
            .effect(format!(
                "a destination that does not answer is tried once, and after {timeout} the answer is 504 UT"
            ))
            .help(format!(
                "perTryTimeout below {timeout}, or timeout: {} or more",
                seconds(self.longest(self.attempts))
            ))
    }

    fn is_not_repeated(&self, retry_on: &str) -> Diagnostic {
        let list = if retry_on.is_empty() { "the default retryOn" } else { retry_on };
        let message = format!(
            "a try that takes longer than perTryTimeout {} is not tried again: {list} holds none of 5xx, gateway-error, reset",
            seconds(self.per_try)
        );
        let per_try = seconds(self.per_try);
        Diagnostic::warning(Code::SLOW_TRY_NOT_RETRIED, message)
            .effect(format!(
                "a destination that does not answer is tried once, and after {per_try} the answer is 504 UT; none of the \
                 {} retries is made",
                self.attempts
            ))
            .help("add `reset` to retryOn if the requests may be sent twice; else leave perTryTimeout out and set `timeout`")
    }

    fn does_not_fit(&self, timeout: u128) -> Option<Diagnostic> {
        let (tries, needed) = (self.tries(), self.tries().saturating_mul(self.per_try));
        if self.longest(self.attempts) <= timeout {
            return None;
        }
        let sum = format!(
            "attempts {} (so {tries} tries) x perTryTimeout {} = {}, and up to {} of back-off, against timeout {}",
            self.attempts,
            seconds(self.per_try),
            seconds(needed),
            seconds(self.pauses(self.attempts)),
            seconds(timeout)
        );
        let finding = if needed > timeout {
            let whole = timeout / self.per_try;
            Diagnostic::warning(
                Code::TRIES_OVER_TIMEOUT,
                format!("only {whole} of {tries} tries fit into the timeout: {sum}"),
            )
            .effect(self.course(whole, timeout))
        } else {
            Diagnostic::info(Code::TRIES_OVER_TIMEOUT, format!("the last of {tries} tries may be cut short: {sum}"))
                .effect(format!(
                    "if every try runs into perTryTimeout, the timeout ends the last one up to {} early: 504 UT",
                    seconds(self.longest(self.attempts) - timeout)
                ))
        };
        Some(finding.help(self.mend(timeout)))
    }

    /// What happens where every try is slow.
    fn course(&self, whole: u128, timeout: u128) -> String {
        let rest = timeout - whole * self.per_try;
        let cut = match rest {
            0 => String::new(),
            rest => format!("try {} is cut off after {} at most and ", whole + 1, seconds(rest)),
        };
        let left = self.tries() - whole - u128::from(rest > 0);
        let never = match left {
            0 => "the answer".to_owned(),
            1 => format!("try {} is never made; the answer", self.tries()),
            _ => format!("tries {} to {} are never made; the answer", self.tries() - left + 1, self.tries()),
        };
        format!("if every try runs into perTryTimeout, {cut}{never} is 504 UT after {}", seconds(timeout))
    }

    fn mend(&self, timeout: u128) -> String {
        let mut ways = vec![format!("timeout: {} or more", seconds(round_up(self.longest(self.attempts))))];
        if let Some(attempts) = self.attempts_within(timeout) {
            ways.push(format!("attempts: {attempts}"));
        }
        let per_try = timeout.saturating_sub(self.pauses(self.attempts)) / self.tries() / MILLISECOND * MILLISECOND;
        if per_try > 0 {
            ways.push(format!("perTryTimeout: {}", seconds(per_try)));
        }
        match ways.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{}, or {last}", rest.join(", ")),
            _ => ways.join(""),
        }
    }

    /// The most retries for which there is time.
    fn attempts_within(&self, timeout: u128) -> Option<u128> {
        let (mut fits, mut too_many) = (0, self.attempts);
        if self.longest(0) > timeout {
            return None;
        }
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if self.longest(middle) <= timeout { fits = middle } else { too_many = middle }
        }
        (fits > 0).then_some(fits)
    }
}

const MILLISECOND: u128 = 1_000_000;

/// Durations are read to the millisecond.
fn round_up(nanos: u128) -> u128 {
    nanos.div_ceil(MILLISECOND) * MILLISECOND
}

fn seconds(nanos: u128) -> Duration {
    Duration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only, places, rule};
    use super::*;

    fn retries(attempts: u32, per_try: &str, retry_on: &str, timeout: &str) -> String {
        rule(&format!(
            "retries: {{attempts: {attempts}, perTryTimeout: {per_try}, retryOn: '{retry_on}'}}, timeout: {timeout}"
        ))
    }

    #[test]
    fn tries_that_the_timeout_cannot_hold_are_counted() {
        let finding = only(&TriesOverTimeout, &retries(3, "2s", "5xx", "5s"));
        assert_eq!(
            finding.to_string(),
            "f.yaml:2:1: warning[MESH0402] VirtualService a/r spec.http[0].retries.attempts: only 2 of 4 tries fit into the \
             timeout: attempts 3 (so 4 tries) x perTryTimeout 2s = 8s, and up to 0.175s of back-off, against timeout 5s\n  \
             at run time: if every try runs into perTryTimeout, try 3 is cut off after 1s at most and try 4 is never made; \
             the answer is 504 UT after 5s\n  \
             help: timeout: 8.175s or more, attempts: 1, or perTryTimeout: 1.206s"
        );
    }

    #[test]
    fn a_timeout_that_holds_all_tries_and_pauses_is_good() {
        assert_eq!(places(&TriesOverTimeout, &retries(3, "2s", "5xx", "8.175s")), [""; 0]);
        let info = ["MESH0402 info spec.http[0].retries.attempts"];
        assert_eq!(places(&TriesOverTimeout, &retries(3, "2s", "5xx", "8.174s")), info);
        assert_eq!(places(&TriesOverTimeout, &retries(3, "2s", "5xx", "8s")), info);
        let warning = ["MESH0402 warning spec.http[0].retries.attempts"];
        assert_eq!(places(&TriesOverTimeout, &retries(3, "2s", "5xx", "7.999s")), warning);
    }

    #[test]
    fn the_pauses_double_up_to_ten_times_the_first() {
        let plan = Plan { attempts: 6, per_try: 1, pause: DEFAULT_PAUSE };
        let milliseconds: Vec<_> = (0..=6).map(|retries| plan.pauses(retries) / MILLISECOND).collect();
        assert_eq!(milliseconds, [0, 25, 75, 175, 375, 625, 875]);
        let own = rule("retries: {attempts: 1, perTryTimeout: 1s, retryOn: reset, backoff: 500ms}, timeout: 2.4s");
        assert_eq!(places(&TriesOverTimeout, &own), ["MESH0402 info spec.http[0].retries.attempts"]);
    }

    #[test]
    fn a_per_try_timeout_as_long_as_the_timeout_does_nothing() {
        for timeout in ["2s", "1s"] {
            let finding = only(&TriesOverTimeout, &retries(2, "2s", "", timeout));
            assert!(finding.message.starts_with("perTryTimeout 2s does nothing"), "{finding}");
        }
    }

    #[test]
    fn a_slow_try_is_repeated_under_three_conditions_only() {
        let place = ["MESH0404 warning spec.http[0].retries.perTryTimeout"];
        for retry_on in ["", "503", "504,connect-failure", "unavailable,retriable-status-codes"] {
            assert_eq!(places(&TriesOverTimeout, &retries(2, "1s", retry_on, "9s")), place, "{retry_on}");
        }
        for retry_on in ["5xx", "gateway-error", "connect-failure,reset"] {
            assert_eq!(places(&TriesOverTimeout, &retries(2, "1s", retry_on, "9s")), [""; 0], "{retry_on}");
        }
    }

    #[test]
    fn without_retries_or_per_try_timeout_there_is_nothing_to_say() {
        for fields in ["timeout: 1s", "retries: {attempts: 3, retryOn: 5xx}, timeout: 1s", "retries: {attempts: 0}"] {
            assert_eq!(places(&TriesOverTimeout, &rule(fields)), [""; 0], "{fields}");
        }
        let unlimited = rule("retries: {attempts: 9, perTryTimeout: 9s, retryOn: 5xx}");
        assert_eq!(places(&TriesOverTimeout, &unlimited), [""; 0]);
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let huge = retries(2_147_483_647, "1000000h", "5xx", "2000000h");
        assert_eq!(places(&TriesOverTimeout, &huge), ["MESH0402 warning spec.http[0].retries.attempts"]);
    }
}
