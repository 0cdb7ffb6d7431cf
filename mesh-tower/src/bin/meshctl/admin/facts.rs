//! Lines about what a mesh told.

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
