//! Shares of endpoints and of destinations.

use serde_json::{Value, json};

use crate::case::{Ask, Case, Endpoints, Outcomes, ask};

fn case(name: &str, simple: &str) -> Case {
    Case::new(format!("balance {name}")).policy(json!({"loadBalancer": {"simple": simple}}))
}

fn many(times: usize) -> Ask {
    ask(&["200"]).times(times).side_by_side(4).places(Endpoints::Shares).shows(&["200 -"])
}

pub(super) fn cases() -> Vec<Case> {
    let weights = [1, 2, 3];
    // Tied down for as long as the others are asked.
    let busy = || ask(&["200"]).at(1, &["delay:400:200"]).times(40).shows(&["200 -"]);
    vec![
        case("by turns", "ROUND_ROBIN").endpoints(3).ask(ask(&["200"]).times(90).shows(&["200 -"])),
        case("by turns of ten", "ROUND_ROBIN").endpoints(10).ask(ask(&["200"]).times(100).shows(&["200 -"])),
        case("by turns with weights", "ROUND_ROBIN").endpoints(3).weights(&weights).ask(many(600)),
        case("by least requests", "LEAST_REQUEST").endpoints(3).ask(many(600)),
        case("by least requests with weights", "LEAST_REQUEST").endpoints(3).weights(&weights).ask(many(600)),
        case("by least requests, one of two being slow", "LEAST_REQUEST")
            .endpoints(2)
            .ask(busy().side_by_side(8).outcomes(Outcomes::Kinds).places(Endpoints::Used)),
        case("by chance", "RANDOM").endpoints(4).ask(many(800)),
        case("by chance with weights that do not count", "RANDOM").endpoints(3).weights(&weights).ask(many(600)),
        split("80 to 20", &[("v1", 80), ("v2", 20)]).ask(many(800)),
        split("1 to 2, which is not a hundred,", &[("v1", 1), ("v2", 2)]).ask(many(600)),
        split("all to none", &[("v1", 100), ("v2", 0)]).ask(many(60)),
        split("half to what is missing", &[("v1", 50), ("v3", 50)])
            .ask(many(600).shows(&["200 -", "503 NC"]).outcomes(Outcomes::Shares)),
    ]
}

fn split(name: &str, weights: &[(&str, u32)]) -> Case {
    let mut case = case(&format!("of destinations {name}"), "ROUND_ROBIN").endpoints(2).versions(&["v1", "v2"]);
    let route = |(subset, weight): &(&str, u32)| -> Value {
        json!({"destination": {"host": "HOST", "subset": subset}, "weight": weight})
    };
    case.rule = json!({"route": weights.iter().map(route).collect::<Vec<_>>()});
    case
}
