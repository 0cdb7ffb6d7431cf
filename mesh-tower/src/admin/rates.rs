//! Figures of requests, as answers have them.

use std::time::{Duration, Instant};

use mesh_core::ResponseFlags;
use serde_json::{Value, json};

use super::ask::Ask;
use crate::telemetry::{Seen, Sum, Window};

/// The window that is asked for.
///
/// # Errors
/// A sentence, for another one.
pub(super) fn window(ask: &Ask) -> Result<Window, String> {
    let Some(name) = ask.get("window") else { return Ok(Window::default()) };
    Window::named(name).ok_or_else(|| format!("`{name}` is no window: 1m, 5m and 15m are"))
}

/// What is said of the window itself.
pub(super) fn of_window(seen: &Seen) -> Value {
    json!({
        "window": seen.window.name(),
        "covered_seconds": rounded(seen.covered.as_secs_f64()),
        "missed": seen.missed,
    })
}

/// What requests came to; of none there is neither a share nor a duration.
pub(super) fn of_sum(seen: &Seen, sum: &Sum) -> Value {
    let milliseconds = |share| sum.quantile(share).map(rounded);
    json!({
        "requests": sum.requests,
        "rps": rps(seen, sum),
        "errors": sum.errors,
        // Not rounded: one failure among thousands is none of a share of nothing.
        "error_share": sum.error_share(),
        "ok_percent": sum.error_share().map(|share| rounded(100.0 - 100.0 * share)),
        "p50_ms": milliseconds(0.50),
        "p95_ms": milliseconds(0.95),
        "p99_ms": milliseconds(0.99),
        "tries_per_request": (sum.requests > 0).then(|| rounded(sum.tries as f64 / sum.requests as f64)),
        "last_flag": last_flag(seen.now, sum),
        "last_seen_seconds": sum.last.map(|last| age(seen.now, last)),
    })
}

pub(super) fn rps(seen: &Seen, sum: &Sum) -> f64 {
    rounded(sum.requests as f64 / seen.covered.as_secs_f64())
}

fn last_flag(now: Instant, sum: &Sum) -> Option<Value> {
    let (flags, at) = sum.last_flag?;
    let means: Vec<_> =
        ResponseFlags::TABLE.iter().filter(|(flag, ..)| flags.contains(*flag)).map(|(_, _, means)| *means).collect();
    Some(json!({ "flags": flags.to_string(), "seconds_ago": age(now, at), "means": means }))
}

/// Seconds since then.
fn age(now: Instant, then: Instant) -> f64 {
    let since: Duration = now.saturating_duration_since(then);
    rounded(since.as_secs_f64())
}

/// To three digits behind the point.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// The same object with the fields of another.
pub(super) fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut one, other) {
        fields.extend(more);
    }
    one
}
