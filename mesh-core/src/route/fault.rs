//! Faults: delays and aborts on purpose, drawn for each request.

use std::time::Duration;

use http::StatusCode;
use mesh_config::api::virtual_service::{FaultAbort, FaultDelay, HttpFaultInjection};
use mesh_config::value::{Percent, grpc_status};

use super::Share;
use super::lower::LowerError;
use crate::{Failure, Rng};

/// What a rule injects. Delay and abort are drawn independently, and apart from the draw of the
/// split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    delay: Option<(Share, Duration)>,
    abort: Option<(Share, Failure)>,
}

/// What is injected into one request. The delay comes first, and before the clock of any timeout
/// starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultDecision {
    /// How long the request is held.
    pub delay: Option<Duration>,
    /// What it is answered with, instead of being forwarded.
    pub abort: Option<Failure>,
}

impl Fault {
    /// No fault; the beginning of one given by hand.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mesh_core::route::{Fault, Share};
    /// use mesh_core::{Failure, SplitMix64};
    ///
    /// let fault = Fault::new().with_abort(Share::ALL, Failure::FaultAbortGrpc(14));
    /// assert_eq!(fault.draw(&mut SplitMix64::new(1)).abort, Some(Failure::FaultAbortGrpc(14)));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds a share of the requests for so long.
    #[must_use]
    pub fn with_delay(self, share: Share, delay: Duration) -> Self {
        Self { delay: Some((share, delay)).filter(|(share, delay)| !share.is_none() && !delay.is_zero()), ..self }
    }

    /// Answers a share of the requests with [`Failure::FaultAbort`] or [`Failure::FaultAbortGrpc`].
    #[must_use]
    pub fn with_abort(self, share: Share, failure: Failure) -> Self {
        Self { abort: Some((share, failure)).filter(|(share, _)| !share.is_none()), ..self }
    }

    /// What is injected into which share of the requests, in words.
    pub fn describe(&self) -> Vec<String> {
        let delay = self.delay.map(|(share, delay)| format!("{} % wait {delay:?}", share.as_percent()));
        let abort = self.abort.map(|(share, failure)| match failure {
            Failure::FaultAbortGrpc(code) => format!("{} % end with gRPC status {code}", share.as_percent()),
            other => format!("{} % end with {}", share.as_percent(), other.http_status()),
        });
        delay.into_iter().chain(abort).collect()
    }

    /// Whether every request is held.
    pub fn always_delays(&self) -> bool {
        self.delay.is_some_and(|(share, _)| share == Share::ALL)
    }

    /// What every request is answered with, where none is let through.
    pub fn always_aborts(&self) -> Option<Failure> {
        self.abort.filter(|(share, _)| *share == Share::ALL).map(|(_, failure)| failure)
    }

    /// Draws for one request.
    pub fn draw(&self, rng: &mut dyn Rng) -> FaultDecision {
        FaultDecision { delay: draw(self.delay, rng), abort: draw(self.abort, rng) }
    }

    /// From `fault`; `None` if it never does anything.
    ///
    /// # Errors
    /// A status that is none.
    pub(crate) fn lower(from: &HttpFaultInjection) -> Result<Option<Self>, LowerError> {
        let mut fault = Self::new();
        if let Some(delay) = &from.delay {
            fault = lower_delay(delay).map_or(fault, |(share, delay)| fault.with_delay(share, delay));
        }
        if let Some(abort) = &from.abort {
            let abort_with = lower_abort(abort).map_err(|error| error.within("fault.abort"))?;
            fault = abort_with.map_or(fault, |(share, failure)| fault.with_abort(share, failure));
        }
        Ok((fault != Self::new()).then_some(fault))
    }
}

fn draw<T>(what: Option<(Share, T)>, rng: &mut dyn Rng) -> Option<T> {
    let (share, what) = what?;
    (share == Share::ALL || share.is_hit(rng.next_u64())).then_some(what)
}

/// Without a percentage nothing is delayed.
fn lower_delay(from: &FaultDelay) -> Option<(Share, Duration)> {
    let percent = from.percentage.unwrap_or(Percent { value: f64::from(from.percent) });
    Some((percent.into(), from.fixed_delay?.to_std()))
}

fn lower_abort(from: &FaultAbort) -> Result<Option<(Share, Failure)>, LowerError> {
    let failure = if let Some(status) = from.http_status {
        let code = u16::try_from(status).ok().filter(|code| (200..600).contains(code));
        let code = code.and_then(|code| StatusCode::from_u16(code).ok());
        Failure::FaultAbort(
            code.ok_or_else(|| LowerError::new("httpStatus", format!("HTTP status {status} is not in range 200-599")))?,
        )
    } else if let Some(name) = &from.grpc_status {
        let code = grpc_status::code(name);
        Failure::FaultAbortGrpc(
            code.ok_or_else(|| LowerError::new("grpcStatus", format!("gRPC status {name:?} is not supported")))?,
        )
    } else {
        return Ok(None);
    };
    Ok(from.percentage.map(|percentage| (percentage.into(), failure)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;
    use crate::route::testing::parse;

    fn lowered(from: serde_json::Value) -> Option<Fault> {
        Fault::lower(&parse(from)).unwrap()
    }

    fn counts(fault: Fault, draws: u32) -> (u32, u32, u32) {
        let mut rng = SplitMix64::new(7);
        (0..draws).map(|_| fault.draw(&mut rng)).fold((0, 0, 0), |(delays, aborts, both), decision| {
            let (delay, abort) = (decision.delay.is_some(), decision.abort.is_some());
            (delays + u32::from(delay), aborts + u32::from(abort), both + u32::from(delay && abort))
        })
    }

    #[test]
    fn without_percentage_nothing_happens() {
        assert_eq!(lowered(serde_json::json!({"abort": {"httpStatus": 503}, "delay": {"fixedDelay": "1s"}})), None);
        let zero = serde_json::json!({"abort": {"httpStatus": 503, "percentage": {"value": 0}}});
        assert_eq!(lowered(zero), None);
    }

    #[test]
    fn the_deprecated_percent_counts_for_delays() {
        let fault = lowered(serde_json::json!({"delay": {"fixedDelay": "2s", "percent": 100}})).unwrap();
        let decision = fault.draw(&mut SplitMix64::new(1));
        assert_eq!(decision, FaultDecision { delay: Some(Duration::from_secs(2)), abort: None });
        let newer = serde_json::json!({"delay": {"fixedDelay": "2s", "percent": 100, "percentage": {"value": 0}}});
        assert_eq!(lowered(newer), None);
    }

    #[test]
    fn delay_and_abort_are_drawn_independently() {
        let fault = lowered(serde_json::json!({
            "delay": {"fixedDelay": "5ms", "percentage": {"value": 50}},
            "abort": {"httpStatus": 418, "percentage": {"value": 50}},
        }))
        .unwrap();
        let (delays, aborts, both) = counts(fault, 10_000);
        // Four standard deviations of a binomial draw each.
        assert!((4_800..5_200).contains(&delays) && (4_800..5_200).contains(&aborts), "{delays} {aborts}");
        assert!((2_320..2_680).contains(&both), "{both}");
    }

    #[test]
    fn a_hundred_percent_is_always() {
        let fault = lowered(serde_json::json!({"abort": {"httpStatus": 555, "percentage": {"value": 100}}})).unwrap();
        assert_eq!(counts(fault, 1_000), (0, 1_000, 0));
        let status = fault.draw(&mut SplitMix64::new(1)).abort.unwrap();
        assert_eq!(status, Failure::FaultAbort(StatusCode::from_u16(555).unwrap()));
    }

    #[test]
    fn grpc_status_goes_by_name() {
        let abort = |name: &str| serde_json::json!({"abort": {"grpcStatus": name, "percentage": {"value": 100}}});
        for (name, code) in [("OK", 0), ("CANCELLED", 1), ("UNAVAILABLE", 14), ("UNAUTHENTICATED", 16)] {
            let decision = lowered(abort(name)).unwrap().draw(&mut SplitMix64::new(1));
            assert_eq!(decision.abort, Some(Failure::FaultAbortGrpc(code)), "{name}");
        }
        for name in ["unavailable", "14", ""] {
            assert_eq!(Fault::lower(&parse(abort(name))).unwrap_err().path, "fault.abort.grpcStatus");
        }
    }

    #[test]
    fn a_status_that_is_none_is_refused() {
        for status in [0, 199, 600, 70_000, -1] {
            let from = serde_json::json!({"abort": {"httpStatus": status, "percentage": {"value": 1}}});
            assert_eq!(Fault::lower(&parse(from)).unwrap_err().path, "fault.abort.httpStatus");
        }
    }
}
