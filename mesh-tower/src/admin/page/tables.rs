//! The tables of the page.

use serde_json::Value;

use super::conditions::conditions;
use super::graph::OPEN_LOCK;
use super::markup::Column::{Number, Text};
use super::markup::{Escaped, NOTHING, list, section, shown, table};
use super::{figures, names};

pub(super) fn routes(hosts: &Value) -> String {
    let mut rows = Vec::new();
    for host in list(hosts) {
        for (index, route) in list(&host["routes"]).iter().enumerate() {
            let rates = &route["rates"];
            rows.push(vec![
                format!(
                    "{} {}",
                    names::host_of(host["host"].as_str().unwrap_or_default()),
                    listener(&host["listener"])
                ),
                index.to_string(),
                shown(&route["name"]),
                conditions(&route["match"]),
                targets(&route["to"]),
                figures::rps(rates),
                figures::ok(rates),
                figures::p95(rates),
                figures::tries(rates),
                figures::flag(rates),
                format!("<span class=\"faint\">{}</span>", shown(&route["rule"])),
            ]);
        }
    }
    let columns = [
        Text("host"),
        Number("#"),
        Text("name"),
        Text("match"),
        Text("to"),
        Number("rps"),
        Number("ok"),
        Number("p95"),
        Number("tries"),
        Text("last flag"),
        Text("rule"),
    ];
    table("routes", "Routes", &columns, &rows)
}

/// `mesh:9080` as the port alone, as most listeners are.
fn listener(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    let short = name.strip_prefix("mesh").unwrap_or(name);
    format!("<span class=\"faint\">{}</span>", Escaped(short))
}

fn targets(to: &Value) -> String {
    let Some(several) = to.as_array() else { return shown(to) };
    let sum: f64 = several.iter().filter_map(|target| target["weight"].as_f64()).sum();
    let one = |target: &Value| {
        let name = target["cluster"].as_str().unwrap_or_default();
        let share = 100.0 * target["weight"].as_f64().unwrap_or_default() / sum;
        match target["known"] == false {
            true => format!("{} <span class=\"bad\">unknown</span>", names::cluster(name)),
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
            let rates = &endpoint["rates"];
            rows.push(vec![
                names::cluster(cluster["cluster"].as_str().unwrap_or_default()),
                format!("<span class=\"number\">{}</span>", shown(&endpoint["address"])),
                health(endpoint),
                encryption(endpoint["tls"] == true),
                figures::rps(rates),
                figures::ok(rates),
                figures::p95(rates),
                shown(&endpoint["active"]),
                shown(&endpoint["connections"]),
                shown(&endpoint["locality"]),
            ]);
        }
    }
    let columns = [
        Text("cluster"),
        Text("address"),
        Text("health"),
        Text("encryption"),
        Number("rps"),
        Number("ok"),
        Number("p95"),
        Number("active"),
        Number("connections"),
        Text("locality"),
    ];
    table("endpoints", "Endpoints", &columns, &rows)
}

fn health(endpoint: &Value) -> String {
    match endpoint["ejected_for_seconds"].as_f64() {
        Some(left) => format!("<span class=\"bad\">ejected</span> <span class=\"number\">{left:.0} s more</span>"),
        None => "<span class=\"good\">ok</span>".to_owned(),
    }
}

fn encryption(is_tls: bool) -> String {
    match is_tls {
        true => "TLS".to_owned(),
        false => format!("{OPEN_LOCK}<span class=\"bad\">plaintext</span>"),
    }
}

/// Who calls this process, and whom a stricter mode would cut off.
pub(super) fn callers(graph: &Value) -> String {
    let callers = list(&graph["callers"]);
    if callers.is_empty() {
        return section("peers", "Who calls me", "<p class=\"faint\">Nobody has called in this time.</p>");
    }
    let is_cut = |caller: &Value| caller["would_be_cut_off_by_strict"] == true;
    let row = |caller: &Value| {
        let strict = match is_cut(caller) {
            true => "<span class=\"bad\">cut off</span>",
            false => "<span class=\"good\">stays</span>",
        };
        vec![
            names::caller(caller),
            encryption(caller["tls"] == true),
            strict.to_owned(),
            figures::rps(caller),
            figures::ok(caller),
            figures::p95(caller),
            figures::flag(caller),
        ]
    };
    let rows: Vec<_> = callers.iter().map(row).collect();
    let columns = [
        Text("caller"),
        Text("encryption"),
        Text("with STRICT"),
        Number("rps"),
        Number("ok"),
        Number("p95"),
        Text("last flag"),
    ];
    let heading = match callers.iter().filter(|caller| is_cut(caller)).count() {
        cut if !graph["callers_left_out"].is_null() => {
            format!("Who calls me: STRICT would cut off {cut} of these, and there are others that are not told apart")
        }
        0 => "Who calls me: STRICT would cut off nobody".to_owned(),
        cut => format!("Who calls me: STRICT would cut off {cut} of {}", callers.len()),
    };
    table("peers", &heading, &columns, &rows)
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
    let columns = [
        Text("cluster"),
        Number("connections"),
        Number("waiting"),
        Number("requests"),
        Number("retries"),
        Text("retry budget"),
    ];
    table("limits", "Limits: in use / at most", &columns, &rows)
}

/// What documents say that is wrong, with its place, and what is wrong now.
pub(super) fn findings(lint: &Value) -> String {
    let said = |finding: &Value| {
        let place = match finding["file"].as_str() {
            Some(file) => format!("{}:{}", Escaped(file), shown(&finding["line"])),
            None => NOTHING.to_owned(),
        };
        vec![level(&finding["level"]), shown(&finding["code"]), shown(&finding["message"]), place]
    };
    let now = |fact: &Value| {
        let about = fact["about"].as_str().filter(|about| !about.is_empty()).map(names::cluster);
        let about = about.unwrap_or_else(|| NOTHING.to_owned());
        vec![level(&fact["severity"]), shown(&fact["fact"]), shown(&fact["message"]), about]
    };
    let documents = list(&lint["findings"]).iter().map(said);
    let rows: Vec<_> = documents.chain(list(&lint["live"]).iter().map(now)).collect();
    if rows.is_empty() {
        return section("lint", "Findings", "<p class=\"faint\">Nothing is wrong with the configuration.</p>");
    }
    table("lint", "Findings", &["level", "finding", "message", "place"].map(Text), &rows)
}

fn level(level: &Value) -> String {
    let level = level.as_str().unwrap_or_default().to_lowercase();
    let class = match &*level {
        "error" => "bad",
        "warning" => "warn",
        _ => "faint",
    };
    format!("<span class=\"{class}\">{}</span>", Escaped(&level))
}

pub(super) fn index(paths: &[(&str, &str)]) -> String {
    let item =
        |(path, says): &(&str, &str)| format!("<dt><a href=\"{path}\">{path}</a></dt><dd>{}</dd>", Escaped(says));
    let items: String = paths.iter().map(item).collect();
    format!("<section id=\"paths\"><h2>Everything else</h2><dl>{items}</dl></section>")
}
