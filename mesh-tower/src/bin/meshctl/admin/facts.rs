//! Lines about what a mesh told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_config::diagnostic::render::escape;
use serde_json::Value;

/// A value as a line has it; nothing in it can steer a terminal.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => escape(text).into_owned(),
        other => escape(&other.to_string()).into_owned(),
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Direction, port, subset and host of a cluster's name.
pub(super) fn parts(cluster: &str) -> (&str, &str, &str, &str) {
    let mut parts = cluster.splitn(4, '|');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(direction), Some(port), Some(subset), Some(host)) => {
            (direction, port, if subset.is_empty() { "-" } else { subset }, host)
        }
        _ => ("-", "-", "-", cluster),
    }
}

/// A number with a digit or two behind the point; `-` where there is none.
pub(super) fn figure(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(number) if number < 10.0 => format!("{number:.2}"),
        Some(number) => format!("{number:.1}"),
    }
}

/// A share from 0 to 1.
pub(super) fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", 100.0 * share))
}

/// The last flags with their age.
pub(super) fn flag(value: &Value) -> String {
    match value["seconds_ago"].as_f64() {
        None => "-".to_owned(),
        Some(ago) => format!("{} {ago:.0} s ago", word(&value["flags"])),
    }
}

/// A day and a time from seconds since 1970, as RFC 3339 writes them.
pub(super) fn date(value: &Value) -> String {
    let at = value.as_u64().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    at.map_or_else(|| "-".to_owned(), rfc3339)
}

fn rfc3339(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let of_year = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) { 366 } else { 365 }
    };
    while days >= of_year(year) {
        days -= of_year(year);
        year += 1;
    }
    let february = of_year(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{:02}Z", days + 1, second % 60)
}

/// Rows in columns that are as wide as they have to be.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The endpoints that are out of rotation.
pub(super) fn ejected(clusters: &Value) -> Vec<Vec<String>> {
    let of = |cluster: &Value| {
        let out = list(&cluster["endpoints"]).iter().filter(|endpoint| endpoint["health"] == "ejected");
        let row = |endpoint: &Value| {
            let left = format!("ejected, {} s more", word(&endpoint["ejected_for_seconds"]));
            vec![word(&cluster["cluster"]), word(&endpoint["address"]), left]
        };
        out.map(row).collect::<Vec<_>>()
    };
    list(clusters).iter().flat_map(of).collect()
}

/// The limits that were in somebody's way.
pub(super) fn refused(limits: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for cluster in list(limits) {
        for name in ["connections", "pending_requests", "requests", "retries"] {
            let of = &cluster[name];
            if of["refused"].as_u64().is_some_and(|refused| refused > 0) {
                let used = format!("{} of {}", word(&of["used"]), word(&of["most"]));
                rows.push(vec![
                    word(&cluster["cluster"]),
                    name.replace('_', " "),
                    used,
                    format!("{} refused", of["refused"]),
                ]);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, told) in [
            (0_u64, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date(&json!(seconds)), told);
        }
        assert_eq!(date(&Value::Null), "-");
    }

    #[test]
    fn a_figure_is_short() {
        assert_eq!([figure(&json!(1.234)), figure(&json!(61.23)), figure(&Value::Null)], ["1.23", "61.2", "-"]);
        assert_eq!([percent(&json!(0.051)), percent(&Value::Null)], ["5.1%", "-"]);
        assert_eq!(parts("outbound|80||a"), ("outbound", "80", "-", "a"));
        assert_eq!(parts("PassthroughCluster").3, "PassthroughCluster");
    }
}
