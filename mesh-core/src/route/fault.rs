//! Faults: delays and aborts on purpose, drawn for each request.

use std::time::Duration;

use http::StatusCode;
use mesh_config::api::virtual_service::{FaultAbort, FaultDelay, HttpFaultInjection};
use mesh_config::value::{Percent, grpc_status};

use super::lower::LowerError;
use crate::{Failure, Rng};

/// What a rule injects. Delay and abort are drawn independently, and apart from the draw of the
/// split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// A fault given by hand: shares of the requests, and what happens to them.
    pub fn new(delay: Option<(Percent, Duration)>, abort: Option<(Percent, Failure)>) -> Self {
        let delay = delay.and_then(|(percent, delay)| Some((Share::of(Some(percent))?, delay)));
        let abort = abort.and_then(|(percent, failure)| Some((Share::of(Some(percent))?, failure)));
        Self { delay, abort }
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
        let delay = from.delay.as_ref().and_then(lower_delay);
        let abort = match &from.abort {
            Some(abort) => lower_abort(abort).map_err(|error| error.within("fault.abort"))?,
            None => None,
        };
        Ok((delay.is_some() || abort.is_some()).then_some(Self { delay, abort }))
    }
}

/// A share of the requests in millionths; more than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share(u32);

impl Share {
    fn of(percentage: Option<Percent>) -> Option<Self> {
        percentage.map(Percent::numerator).filter(|numerator| *numerator > 0).map(Self)
    }
}

fn draw<T>(what: Option<(Share, T)>, rng: &mut dyn Rng) -> Option<T> {
    let (Share(numerator), what) = what?;
    let denominator = u64::from(Percent::DENOMINATOR);
    let hit = u64::from(numerator) >= denominator || u64::from(numerator) > rng.next_u64() % denominator;
    hit.then_some(what)
}

fn lower_delay(from: &FaultDelay) -> Option<(Share, Duration)> {
    let share = match from.percentage {
        Some(percentage) => Share::of(Some(percentage)),
        None => Share::of(Some(Percent { value: f64::from(from.percent) })),
    };
    let delay = from.fixed_delay?.to_std();
    Some((share?, delay)).filter(|(_, delay)| !delay.is_zero())
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
    Ok(Share::of(from.percentage).map(|share| (share, failure)))
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
