//! The tables of the page.

use serde_json::Value;

use super::markup::{Escaped, list, shown, table};

pub(super) fn routes(hosts: &Value) -> String {
    let mut rows = Vec::new();
    for host in list(hosts) {
        for (index, route) in list(&host["routes"]).iter().enumerate() {
            let condition = match &route["match"] {
                Value::Null => "(everything)".to_owned(),
                condition => shown(condition),
            };
            rows.push(vec![
                shown(&host["listener"]),
                shown(&host["host"]),
                index.to_string(),
                shown(&route["name"]),
                condition,
                targets(&route["to"]),
                shown(&route["rule"]),
            ]);
        }
    }
    table("routes", "Routes", &["listener", "host", "#", "name", "match", "to", "rule"], &rows)
}

fn targets(to: &Value) -> String {
    let Some(several) = to.as_array() else { return shown(to) };
    let one = |target: &Value| match target["known"] == false {
        true => format!("<span class=\"bad\">{} (unknown)</span>", shown(&target["cluster"])),
        false if several.len() == 1 => shown(&target["cluster"]),
        false => format!("{} {}", shown(&target["cluster"]), shown(&target["weight"])),
    };
    several.iter().map(one).collect::<Vec<_>>().join("<br>")
}

pub(super) fn endpoints(clusters: &Value) -> String {
    let mut rows = Vec::new();
    for cluster in list(clusters) {
        for endpoint in list(&cluster["endpoints"]) {
            let health = match endpoint["ejected_for_seconds"].as_f64() {
                Some(left) => {
                    format!("<span class=\"bad\">ejected</span> <span data-left=\"{left:.0}\">{left:.0} s more</span>")
                }
                None => "<span class=\"good\">ok</span>".to_owned(),
            };
            let tls = if endpoint["tls"] == true { "TLS" } else { "<span class=\"bad\">plaintext</span>" };
            rows.push(vec![
                shown(&cluster["cluster"]),
                shown(&endpoint["address"]),
                health,
                shown(&endpoint["active"]),
                tls.to_owned(),
                shown(&endpoint["locality"]),
            ]);
        }
    }
    table("endpoints", "Endpoints", &["cluster", "address", "health", "active", "encryption", "locality"], &rows)
}

pub(super) fn limits(clusters: &Value) -> String {
    let figure = |of: &Value| {
        let most = if of["most"].is_null() { "no limit".to_owned() } else { shown(&of["most"]) };
        let refused = match of["refused"].as_u64() {
            Some(0) | None => String::new(),
            Some(refused) => format!(" <span class=\"bad\">{refused} refused</span>"),
        };
        format!("{} / {most}{refused}", shown(&of["used"]))
    };
    let row = |of: &Value| {
        let figures = ["connections", "pending_requests", "requests", "retries"].map(|name| figure(&of[name]));
        [vec![shown(&of["cluster"])], figures.to_vec(), vec![shown(&of["retry_budget"])]].concat()
    };
    let rows: Vec<_> = list(clusters).iter().map(row).collect();
    let columns = ["cluster", "connections", "waiting", "requests", "retries", "retry budget"];
    table("limits", "Limits", &columns, &rows)
}

pub(super) fn findings(lint: &Value) -> String {
    let row = |finding: &Value| {
        let place = format!("{}:{}", shown(&finding["file"]), shown(&finding["line"]));
        vec![shown(&finding["level"]), shown(&finding["code"]), shown(&finding["message"]), place]
    };
    let rows: Vec<_> = list(&lint["findings"]).iter().map(row).collect();
    if rows.is_empty() {
        return "<h2 id=\"findings\">Findings</h2><p>none</p>".to_owned();
    }
    table("findings", "Findings", &["severity", "code", "message", "place"], &rows)
}

pub(super) fn index(paths: &[(&str, &str)]) -> String {
    let item = |(path, says): &(&str, &str)| format!("<li><a href=\"{path}\">{path}</a>: {}</li>", Escaped(says));
    let items: String = paths.iter().map(item).collect();
    format!("<h2 id=\"paths\">Everything else</h2><ul>{items}</ul>")
}
