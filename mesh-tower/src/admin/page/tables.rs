//! The tables of the page.

use serde_json::Value;

use super::conditions::conditions;
use super::graph::OPEN_LOCK;
use super::markup::{Escaped, NOTHING, list, section, shown, table};
use super::names;

pub(super) fn routes(hosts: &Value) -> String {
    let mut rows = Vec::new();
    for host in list(hosts) {
        for (index, route) in list(&host["routes"]).iter().enumerate() {
            rows.push(vec![
                names::host_of(host["host"].as_str().unwrap_or_default()),
                shown(&host["listener"]),
                index.to_string(),
                shown(&route["name"]),
                conditions(&route["match"]),
                targets(&route["to"]),
                format!("<span class=\"faint\">{}</span>", shown(&route["rule"])),
            ]);
        }
    }
    table("routes", "Routes", &["host", "listener", "#", "name", "match", "to", "rule"], &rows)
}

fn targets(to: &Value) -> String {
    let Some(several) = to.as_array() else { return shown(to) };
    let sum: f64 = several.iter().filter_map(|target| target["weight"].as_f64()).sum();
    let one = |target: &Value| {
        let name = target["cluster"].as_str().unwrap_or_default();
        let share = 100.0 * target["weight"].as_f64().unwrap_or_default() / sum;
        match target["known"] == false {
            true => format!("<span class=\"bad\">{} (unknown)</span>", Escaped(name)),
            false if several.len() == 1 || !share.is_finite() => names::cluster(name),
            false => format!("{} <span class=\"number\">{share:.0} %</span>", names::cluster(name)),
        }
    };
    several.iter().map(one).collect::<Vec<_>>().join("<br>")
}

pub(super) fn endpoints(clusters: &Value) -> String {
    let mut rows = Vec::new();
    for cluster in list(clusters) {
        for endpoint in list(&cluster["endpoints"]) {
            let health = match endpoint["ejected_for_seconds"].as_f64() {
                Some(left) => {
                    format!("<span class=\"bad\">ejected</span> <span class=\"number\">{left:.0} s more</span>")
                }
                None => "<span class=\"good\">ok</span>".to_owned(),
            };
            let tls = match endpoint["tls"] == true {
                true => "TLS".to_owned(),
                false => format!("{OPEN_LOCK}<span class=\"bad\">plaintext</span>"),
            };
            rows.push(vec![
                names::cluster(cluster["cluster"].as_str().unwrap_or_default()),
                format!("<span class=\"number\">{}</span>", shown(&endpoint["address"])),
                health,
                shown(&endpoint["active"]),
                tls,
                shown(&endpoint["locality"]),
            ]);
        }
    }
    table("endpoints", "Endpoints", &["cluster", "address", "health", "active", "encryption", "locality"], &rows)
}

pub(super) fn limits(clusters: &Value) -> String {
    let figure = |of: &Value| {
        let refused = match of["refused"].as_u64() {
            Some(0) | None => String::new(),
            Some(refused) => format!(" <span class=\"bad\">{refused} refused</span>"),
        };
        let used = shown(&of["used"]);
        match of["most"].is_null() {
            true => format!("<span class=\"number\">{used}</span>{refused}"),
            false => format!("<span class=\"number\">{used} / {}</span>{refused}", shown(&of["most"])),
        }
    };
    let row = |of: &Value| {
        let figures = ["connections", "pending_requests", "requests", "retries"].map(|name| figure(&of[name]));
        let name = names::cluster(of["cluster"].as_str().unwrap_or_default());
        [vec![name], figures.to_vec(), vec![shown(&of["retry_budget"])]].concat()
    };
    let rows: Vec<_> = list(clusters).iter().map(row).collect();
    let columns = ["cluster", "connections", "waiting", "requests", "retries", "retry budget"];
    table("limits", "Limits: in use / at most", &columns, &rows)
}

pub(super) fn findings(lint: &Value) -> String {
    let row = |finding: &Value| {
        let place = match finding["file"].as_str() {
            Some(file) => format!("{}:{}", Escaped(file), shown(&finding["line"])),
            None => NOTHING.to_owned(),
        };
        let level = finding["level"].as_str().unwrap_or_default();
        let class = if level.eq_ignore_ascii_case("error") { "bad" } else { "warn" };
        let level = format!("<span class=\"{class}\">{}</span>", Escaped(level));
        vec![level, shown(&finding["code"]), shown(&finding["message"]), place]
    };
    let rows: Vec<_> = list(&lint["findings"]).iter().map(row).collect();
    if rows.is_empty() {
        return section("findings", "Findings", "<p class=\"faint\">Nothing is wrong with the configuration.</p>");
    }
    table("findings", "Findings", &["level", "code", "message", "place"], &rows)
}

pub(super) fn index(paths: &[(&str, &str)]) -> String {
    let item =
        |(path, says): &(&str, &str)| format!("<dt><a href=\"{path}\">{path}</a></dt><dd>{}</dd>", Escaped(says));
    let items: String = paths.iter().map(item).collect();
    format!("<section id=\"paths\"><h2>Everything else</h2><dl>{items}</dl></section>")
}
