//! Figures, as short as they can be read.

use serde_json::Value;

use super::markup::{Escaped, NOTHING, list};

/// Requests by the second.
pub(super) fn rps(rates: &Value) -> String {
    number(rates, "rps", |rps| match rps {
        rps if rps > 0.0 && rps < 0.05 => "&lt;0.1".to_owned(),
        rps if rps < 99.95 => format!("{rps:.1}"),
        rps => format!("{rps:.0}"),
    })
}

/// What of the requests went well, in percent; marked where it is not all.
pub(super) fn ok(rates: &Value) -> String {
    number(rates, "error_share", |errors| match errors {
        errors if errors > 0.0 => format!("<span class=\"bad\">{}</span>", percent(1.0 - errors)),
        _ => "100 %".to_owned(),
    })
}

pub(super) fn p95(rates: &Value) -> String {
    number(rates, "p95_ms", duration)
}

pub(super) fn tries(rates: &Value) -> String {
    number(rates, "tries_per_request", |tries| format!("{tries:.2}"))
}

/// The last response flag, and how long ago it was.
pub(super) fn flag(rates: &Value) -> String {
    let last = &rates["last_flag"];
    match (last["flags"].as_str(), last["seconds_ago"].as_f64()) {
        (Some(flags), Some(ago)) => {
            let means: Vec<_> = list(&last["means"]).iter().filter_map(Value::as_str).collect();
            let (flags, means) = (Escaped(flags), means.join("; "));
            let ago = age(ago);
            format!("<b title=\"{}\">{flags}</b> <span class=\"faint number\">{ago} ago</span>", Escaped(&means))
        }
        _ => NOTHING.to_owned(),
    }
}

fn number(rates: &Value, name: &str, shown: impl FnOnce(f64) -> String) -> String {
    // Of no requests there is nothing to say.
    match rates[name].as_f64().filter(|_| rates["requests"].as_u64() != Some(0)) {
        Some(number) => shown(number),
        None => NOTHING.to_owned(),
    }
}

/// A part of a whole from 0 to 1. What is not all of it is not shown as all, nor what is something as nothing.
pub(super) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    match percent {
        percent if percent > 99.9 && percent < 100.0 => "&gt;99.9 %".to_owned(),
        percent if percent > 0.0 && percent < 0.1 => "&lt;0.1 %".to_owned(),
        percent if percent == 0.0 || percent >= 100.0 => format!("{percent:.0} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// Milliseconds.
pub(super) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

/// Seconds, in one unit.
pub(super) fn age(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 99.5 => format!("{seconds:.0} s"),
        seconds if seconds < 5970.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3600.0),
    }
}

/// A time in its two largest units, such as `21 h 5 min`.
pub(super) fn span(seconds: u64) -> String {
    let [days, hours, minutes] = [seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60];
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_short_and_nothing_is_rounded_to_all_or_none() {
        let [little, some, many] = [0.01, 4.0, 612.4].map(rps_of);
        assert_eq!((&*little, &*some, &*many), ("&lt;0.1", "4.0", "612"));
        let shares = [0.0, 0.0001, 0.213, 0.99999, 1.0].map(percent);
        assert_eq!(shares, ["0 %", "&lt;0.1 %", "21.3 %", "&gt;99.9 %", "100 %"]);
        assert_eq!([4.21, 31.0, 1200.0].map(duration), ["4.2 ms", "31 ms", "1.2 s"]);
        assert_eq!([2.0, 130.0, 7200.0].map(age), ["2 s", "2 min", "2 h"]);
        assert_eq!([5, 65, 7500, 190_800].map(span), ["5 s", "1 min", "2 h 5 min", "2 d 5 h"]);
    }

    fn rps_of(rps: f64) -> String {
        super::rps(&json!({"requests": 1, "rps": rps}))
    }

    #[test]
    fn of_no_requests_nothing_is_said() {
        for rates in [json!(null), json!({"requests": 0, "rps": 0.0, "tries_per_request": null})] {
            assert_eq!([rps(&rates), ok(&rates), p95(&rates), tries(&rates), flag(&rates)], [NOTHING; 5]);
        }
        let failing = json!({"requests": 4, "error_share": 0.25, "last_flag": {"flags": "UF", "seconds_ago": 2.0, "means": ["x"]}});
        assert_eq!(ok(&failing), "<span class=\"bad\">75.0 %</span>");
        assert_eq!(flag(&failing), "<b title=\"x\">UF</b> <span class=\"faint number\">2 s ago</span>");
    }
}
