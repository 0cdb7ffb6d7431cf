//! This process and its neighbours: the open lock is shown where a call is plaintext.

mod edge;

use serde_json::Value;

use self::edge::Edge;
use super::choice::{Choice, Label};
use super::figures::percent;
use super::markup::{NOTHING, section};
use super::{figures, names};

/// An open lock, which needs no font.
pub(super) const OPEN_LOCK: &str = "<svg class=\"open plaintext\" viewBox=\"0 0 16 16\" role=\"img\"><title>plaintext</title>\
    <rect x=\"2\" y=\"7\" width=\"9\" height=\"7\" rx=\"1\"/><path d=\"M8.5 7V4.5a2.5 2.5 0 0 1 5 0V6\"/></svg>";

/// So many neighbours are drawn on each side; the tables have all.
const MOST: usize = 24;

pub(super) fn graph(name: &str, graph: &Value, clusters: &Value, choice: Choice) -> String {
    let called: Vec<_> = edge::called(graph, clusters);
    let callers: Vec<_> = edge::callers(graph);
    let mut left_out = String::new();
    for (edges, whom) in [(&callers, "call"), (&called, "are called")] {
        if let more @ 1.. = edges.len().saturating_sub(MOST) {
            left_out += &format!("<p class=\"faint\">{more} more {whom}.</p>");
        }
    }
    let [callers, called] = [&callers[..callers.len().min(MOST)], &called[..called.len().min(MOST)]];
    let inbound = match callers {
        [] => String::new(),
        callers => format!("{}{}", side(callers, "callers", "calls this process", choice), wires(callers, true)),
    };
    let alone = if callers.is_empty() { " alone" } else { "" };
    let content = format!(
        "{}<div class=\"graph{alone}\">{inbound}<div class=\"me\">{}</div>{}{}</div>{left_out}",
        choice.switches(),
        names::host_of(name),
        wires(called, false),
        side(called, "called", "is called by this process", choice)
    );
    section("graph", "Calls", &content)
}

/// The lines between this process and rows of equal height; they are stretched to what room there is.
fn wires(edges: &[Edge<'_>], is_inbound: bool) -> String {
    let height = 2 * edges.len().max(1);
    let wire = |(row, edge): (usize, &Edge<'_>)| {
        let (here, there) = (height / 2, 2 * row + 1);
        let (from, to) = if is_inbound { (there, here) } else { (here, there) };
        format!("<path class=\"edge {}\" d=\"M0 {from}C50 {from} 50 {to} 100 {to}\"/>", kind(edge))
    };
    let wires: String = edges.iter().enumerate().map(wire).collect();
    format!(
        "<svg class=\"wires\" viewBox=\"0 0 100 {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{wires}</svg>"
    )
}

fn kind(edge: &Edge<'_>) -> &'static str {
    match edge.rates {
        None => "idle",
        Some(_) if edge.errors() > 0.0 => "failing",
        Some(_) => "busy",
    }
}

fn side(edges: &[Edge<'_>], class: &str, says: &str, choice: Choice) -> String {
    let rows: String = edges.iter().map(|edge| row(edge, choice.label)).collect();
    format!("<ul class=\"{class}\" aria-label=\"{says}\">{rows}</ul>")
}

fn row(edge: &Edge<'_>, label: Label) -> String {
    let lock = if edge.is_plaintext { OPEN_LOCK } else { "" };
    let facts: String = facts(edge, label).iter().map(|fact| format!("<span>{fact}</span>")).collect();
    let label = label_of(edge, label);
    format!(
        "<li class=\"{}\"><span class=\"label\">{label}</span><span class=\"lock\">{lock}</span>{}<span class=\"facts\">{facts}</span></li>",
        kind(edge),
        edge.name
    )
}

fn label_of(edge: &Edge<'_>, label: Label) -> String {
    let Some(rates) = edge.rates else { return "<span class=\"faint\">idle</span>".to_owned() };
    match label {
        Label::Rps => format!("{} rps", figures::rps(rates)),
        Label::Share => rates["share"].as_f64().map_or_else(|| NOTHING.to_owned(), percent),
        Label::P95 => figures::p95(rates),
        Label::Errors => format!("{} err", percent(edge.errors())),
    }
}

/// What the label does not say.
fn facts(edge: &Edge<'_>, label: Label) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(rates) = edge.rates {
        if label != Label::Rps {
            facts.push(format!("{} rps", figures::rps(rates)));
        }
        if let (true, Some(share)) = (label != Label::Share, rates["share"].as_f64()) {
            facts.push(percent(share));
        }
        if label != Label::P95 {
            facts.push(format!("p95 {}", figures::p95(rates)));
        }
        if label != Label::Errors && edge.errors() > 0.0 {
            facts.push(format!("<span class=\"bad\">err {}</span>", percent(edge.errors())));
        }
    }
    facts.extend(edge.note.clone());
    facts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::Window;

    fn drawn(label: Label) -> String {
        let told = json!({
            "clusters": [{"cluster": "outbound|80|v2|reviews.shop.svc.cluster.local", "tls": false, "share": 0.1,
                 "requests": 60, "rps": 1.0, "error_share": 0.1, "p95_ms": 88.0}],
            "callers": [{"principal": null, "address": "10.0.9.3", "tls": false, "requests": 6, "rps": 0.1,
                 "error_share": 0.0, "p95_ms": 4.0}],
        });
        let endpoint = |health: &str| json!({"health": health, "tls": true});
        let clusters = json!([
            {"cluster": "outbound|80|v1|reviews.shop.svc.cluster.local", "endpoints": [endpoint("ok"), endpoint("ejected")]},
            {"cluster": "BlackHoleCluster", "endpoints": []},
        ]);
        graph("shop/web", &told, &clusters, Choice { window: Window::default(), label })
    }

    #[test]
    fn an_edge_is_told_with_its_figures() {
        let drawn = drawn(Label::Rps);
        let v2 = drawn.split("<li").find(|row| row.contains(">v2<")).unwrap();
        let wanted = "<span>10.0 %</span><span>p95 88 ms</span><span><span class=\"bad\">err 10.0 %</span></span>";
        assert!(v2.contains("<span class=\"label\">1.0 rps</span>") && v2.contains(wanted), "{v2}");
        assert!(v2.starts_with(" class=\"failing\"") && v2.contains("plaintext"), "{v2}");
    }

    #[test]
    fn what_nobody_calls_is_drawn_idle_and_what_has_no_endpoint_not_at_all() {
        let drawn = drawn(Label::P95);
        let v1 = drawn.split("<li").find(|row| row.contains(">v1<")).unwrap();
        assert!(
            v1.starts_with(" class=\"idle\"") && v1.contains("1 of 2 ejected") && !v1.contains("plaintext"),
            "{v1}"
        );
        assert!(!drawn.contains("BlackHole"), "{drawn}");
        // One caller, two that are called.
        assert_eq!((drawn.matches("edge busy").count(), drawn.matches("edge failing").count()), (1, 1));
    }

    #[test]
    fn the_label_is_what_was_chosen() {
        for (label, wanted) in [(Label::Share, "10.0 %"), (Label::P95, "88 ms"), (Label::Errors, "10.0 % err")] {
            assert!(drawn(label).contains(&format!("<span class=\"label\">{wanted}</span>")), "{label:?}");
        }
    }
}
