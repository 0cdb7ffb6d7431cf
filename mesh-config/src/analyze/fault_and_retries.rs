//! Retries that are expected to repeat injected errors.

use super::rules::each_http_rule;
use super::{Analyzer, Context};
use crate::api::virtual_service::FaultAbort;
use crate::diagnostic::{Code, Diagnostic, Report};

/// `MESH0403`: a fault is injected before a request is forwarded, and what is not forwarded is not retried.
pub(super) struct FaultAndRetries;

impl Analyzer for FaultAndRetries {
    fn name(&self) -> &'static str {
        "mesh.FaultAndRetries"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::FAULT_AND_RETRIES]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        each_http_rule(set, out, |cx, at, rule| {
            let abort = rule.route.fault.as_ref().and_then(|fault| fault.abort.as_ref());
            let Some(abort) = abort.filter(|abort| acts(abort)) else { return };
            if rule.route.retries.as_ref().is_none_or(|retries| retries.attempts <= 0) {
                return;
            }
            let status = match (abort.http_status, &abort.grpc_status) {
                (Some(status), _) => status.to_string(),
                (None, Some(status)) => status.clone(),
                (None, None) => return,
            };
            let share = abort.percentage.map_or(0.0, |percent| percent.value);
            let message = "retries do not repeat an injected abort";
            let finding = Diagnostic::info(Code::FAULT_AND_RETRIES, message)
                .effect(format!(
                    "{share} % of the requests are answered {status} FI at once and not tried again; the others are \
                     retried as usual"
                ))
                .help("to see retries work, let the destination fail, or put the abort into the rule of the service behind it");
            cx.push(&at.field("fault").field("abort"), finding);
        });
    }
}

fn acts(abort: &FaultAbort) -> bool {
    abort.percentage.is_some_and(|percent| percent.value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only, places, rule};
    use super::*;

    #[test]
    fn an_abort_beside_retries_is_worth_knowing() {
        let with = |percent: &str, attempts: &str| {
            rule(&format!(
                "fault: {{abort: {{httpStatus: 503, percentage: {{value: {percent}}}}}}}, retries: {{attempts: {attempts}}}"
            ))
        };
        let finding = only(&FaultAndRetries, &with("50", "2"));
        assert_eq!(
            finding.effect.as_deref(),
            Some(
                "50 % of the requests are answered 503 FI at once and not tried again; the others are retried as usual"
            )
        );
        for (percent, attempts) in [("0", "2"), ("50", "0")] {
            assert_eq!(places(&FaultAndRetries, &with(percent, attempts)), [""; 0]);
        }
        let delay = rule("fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}, retries: {attempts: 1}");
        assert_eq!(places(&FaultAndRetries, &delay), [""; 0]);
    }
}
