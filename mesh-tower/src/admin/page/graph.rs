//! Whom this process calls: the open lock is shown where a call would be plaintext.

use serde_json::Value;

use super::markup::{list, section};
use super::names;

/// So many clusters are drawn; the tables have all.
const MOST: usize = 24;

/// An open lock, which needs no font.
pub(super) const OPEN_LOCK: &str = "<svg class=\"open plaintext\" viewBox=\"0 0 16 16\" role=\"img\"><title>plaintext</title>\
    <rect x=\"2\" y=\"7\" width=\"9\" height=\"7\" rx=\"1\"/><path d=\"M8.5 7V4.5a2.5 2.5 0 0 1 5 0V6\"/></svg>";

pub(super) fn graph(name: &str, clusters: &Value) -> String {
    let clusters: Vec<_> = list(clusters).iter().filter(|cluster| !list(&cluster["endpoints"]).is_empty()).collect();
    let drawn = &clusters[..clusters.len().min(MOST)];
    let called: String = drawn.iter().map(|cluster| neighbour(cluster)).collect();
    let left_out = match clusters.len() - drawn.len() {
        0 => String::new(),
        more => format!("<p class=\"faint\">and {more} more</p>"),
    };
    let content = format!(
        "<div class=\"graph\"><div class=\"me\">{}</div>{}<ul class=\"called\" aria-label=\"may call\">{called}</ul></div>\
         {left_out}",
        names::host_of(name),
        wires(drawn.len())
    );
    section("graph", "Calls", &content)
}

/// The lines from this process to rows of equal height; they are stretched to what room there is.
fn wires(rows: usize) -> String {
    let height = 2 * rows.max(1);
    let wire = |row: usize| {
        let to = 2 * row + 1;
        format!("<path class=\"edge\" d=\"M0 {from}C50 {from} 50 {to} 100 {to}\"/>", from = height / 2)
    };
    let wires: String = (0..rows).map(wire).collect();
    format!(
        "<svg class=\"wires\" viewBox=\"0 0 100 {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{wires}</svg>"
    )
}

fn neighbour(cluster: &Value) -> String {
    let endpoints = list(&cluster["endpoints"]);
    let ejected = endpoints.iter().filter(|endpoint| endpoint["health"] == "ejected").count();
    let is_plain = endpoints.iter().any(|endpoint| endpoint["tls"] == false);
    let lock = if is_plain { OPEN_LOCK } else { "" };
    let health = match (ejected, endpoints.len()) {
        (0, 1) => "<span class=\"faint\">1 endpoint</span>".to_owned(),
        (0, all) => format!("<span class=\"faint\">{all} endpoints</span>"),
        (out, all) => format!("<span class=\"bad\">{out} of {all} ejected</span>"),
    };
    format!("<li>{lock}{} {health}</li>", names::cluster(cluster["cluster"].as_str().unwrap_or_default()))
}
