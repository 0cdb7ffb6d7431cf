//! Whom this process may call: the open lock is shown where a call would be plaintext.

use serde_json::Value;

use super::markup::{Escaped, list};

/// So many clusters are drawn; the tables have all.
const MOST: usize = 24;

const ROW: usize = 44;

/// An open lock of 14 by 16, which needs no font.
const OPEN_LOCK: &str = "<rect x=\"1\" y=\"7\" width=\"12\" height=\"9\"/><path d=\"M4 7V4a3 3 0 0 1 6 0\" \
    transform=\"translate(6 0)\"/>";

pub(super) fn graph(name: &str, clusters: &Value) -> String {
    let clusters: Vec<_> = list(clusters).iter().filter(|cluster| !list(&cluster["endpoints"]).is_empty()).collect();
    let drawn = &clusters[..clusters.len().min(MOST)];
    let height = ROW * drawn.len().max(1) + 16;
    let middle = height / 2;
    let edges: String = drawn.iter().enumerate().map(|(at, cluster)| edge(cluster, middle, ROW * at + 30)).collect();
    let left_out = match clusters.len() - drawn.len() {
        0 => String::new(),
        more => format!("<p class=\"faint\">and {more} more</p>"),
    };
    let name = Escaped(name);
    format!(
        "<h2 id=\"graph\">Calls</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"graph\">\
         <svg viewBox=\"0 0 760 {height}\" role=\"img\" aria-label=\"{name} and the clusters it may call\">\
         <rect class=\"node\" x=\"4\" y=\"{}\" width=\"180\" height=\"32\" rx=\"6\"/><text x=\"14\" y=\"{}\">{name}</text>\
         {edges}</svg></div>{left_out}",
        middle - 16,
        middle + 5
    )
}

fn edge(cluster: &Value, from: usize, to: usize) -> String {
    let endpoints = list(&cluster["endpoints"]);
    let ejected = endpoints.iter().filter(|endpoint| endpoint["health"] == "ejected").count();
    let is_plain = endpoints.iter().any(|endpoint| endpoint["tls"] == false);
    let lock = match is_plain {
        true => format!(
            "<g class=\"open plaintext\" transform=\"translate(300 {})\"><title>plaintext</title>{OPEN_LOCK}</g>",
            to - 22
        ),
        false => String::new(),
    };
    let out = match ejected {
        0 => String::new(),
        out => format!(" · {out} of {} out", endpoints.len()),
    };
    let label = cluster["cluster"].as_str().unwrap_or_default();
    let label = label.strip_prefix("outbound|").unwrap_or(label);
    format!(
        "<path class=\"edge\" d=\"M184 {from}C240 {from} 240 {to} 330 {to}\"/>{lock}\
         <text x=\"338\" y=\"{}\">{}{out}</text>",
        to + 5,
        Escaped(label)
    )
}
