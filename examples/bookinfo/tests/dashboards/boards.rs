//! The queries of Istio's boards.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::prometheus::{Prometheus, Sample};

/// What a board asks: for a panel, or for what may be chosen as a variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Query {
    Panel { dashboard: String, panel: String, expr: String },
    Variable { dashboard: String, variable: String, query: String },
}

#[derive(Deserialize)]
struct Queries {
    queries: Vec<Query>,
}

/// What cannot be there: by words of the panel and of the query, and why. A query that gives something all the same is an
/// error.
const NEVER: [(&str, &str, &str); 4] = [
    ("TCP", "istio_tcp_", "what goes over a connection is counted where TCP is routed; the mesh carries requests"),
    ("Outgoing Success Rate", CLIENT_SECURITY, "the caller's side says `unknown` of its connections, as in Istio"),
    ("Outgoing Request", CLIENT_SECURITY, "the same"),
    ("Response Size By Destination", CLIENT_SECURITY, "the same"),
];

const CLIENT_SECURITY: &str = r#"reporter="source", connection_security_policy="mutual_tls""#;

/// What a person chooses: the board, and its variables.
const CHOSEN: [(&str, &[(&str, &str)]); 4] = [
    ("mesh", &[]),
    ("service", &[("service", "reviews.default.svc.cluster.local")]),
    ("service", &[("service", "ratings.default.svc.cluster.local")]),
    ("workload", &[("namespace", "default"), ("workload", "productpage-v1")]),
];

/// What the boards ask; `None` where the folder with it is not there.
pub(crate) fn queries() -> Option<Vec<Query>> {
    let given = std::env::var_os("MESH_CASES").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = given.clone().unwrap_or_else(beside);
    assert!(given.is_none() || folder.is_dir(), "MESH_CASES is set, but {} is not there", folder.display());
    if !folder.is_dir() {
        return None;
    }
    let file = folder.join("spec/dashboard-queries.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Some(serde_json::from_str::<Queries>(&text).unwrap().queries)
}

/// Asks all of them, with each choice.
pub(crate) async fn ask(prometheus: &Prometheus, queries: &[Query]) {
    let (mut asked, mut problems, mut used) = (0, Vec::new(), [0; NEVER.len()]);
    for (board, chosen) in CHOSEN {
        let variables = Variables::of(prometheus, queries, board, chosen).await;
        for query in queries {
            let Query::Panel { dashboard, panel, expr } = query else { continue };
            if dashboard != board {
                continue;
            }
            asked += 1;
            let query = variables.fill(expr);
            let never = NEVER.iter().position(|(in_panel, part, _)| panel.contains(in_panel) && expr.contains(part));
            if let Some(never) = never {
                used[never] += 1;
                let answer = prometheus.ask(&query).await;
                let is_there = !answer.is_empty();
                problems
                    .extend(is_there.then(|| format!("{panel}: has something, against {:?}: {query}", NEVER[never])));
            } else if let Err(problem) = prometheus.until(&query, |answer| is_filled(panel, answer)).await {
                problems.push(format!("{board}, {panel}: {problem}"));
            }
        }
    }
    assert!(problems.is_empty(), "{} of {asked} queries:\n{}", problems.len(), problems.join("\n"));
    assert!(used.iter().all(|uses| *uses > 0), "what cannot be there is not asked for either: {used:?}");
    let known = queries.iter().all(|query| {
        let (Query::Panel { dashboard, .. } | Query::Variable { dashboard, .. }) = query;
        CHOSEN.iter().any(|(board, _)| board == dashboard)
    });
    assert!(known, "there are boards that nobody asks for");
    let left: usize = used.iter().sum();
    println!("{asked} queries of Istio's boards, {} filled, {left} of what cannot be there", asked - left);
}

/// Whether a panel has something to show, and that makes sense.
fn is_filled(panel: &str, answer: &[Sample]) -> bool {
    let most = match panel {
        rate if rate.contains("Success Rate") => 1.0,
        // In seconds; but the overview's is in milliseconds.
        duration if duration.contains("Duration") => 30.0,
        _ => 1e9,
    };
    let makes_sense = |sample: &Sample| (0.0..=most).contains(&sample.value());
    answer.iter().all(makes_sense) && answer.iter().any(|sample| sample.value() > 0.0)
}

/// The variables of a board with what they stand for.
struct Variables(Vec<(String, String)>);

impl Variables {
    /// What is not chosen is all that there is, as Grafana's `All`.
    async fn of(prometheus: &Prometheus, queries: &[Query], board: &str, chosen: &[(&str, &str)]) -> Self {
        let mut variables = Self(vec![("__rate_interval".to_owned(), "10s".to_owned())]);
        for query in queries {
            let Query::Variable { dashboard, variable, query } = query else { continue };
            if dashboard != board || variable == "datasource" {
                continue;
            }
            let all: Vec<String> = match query.trim().strip_prefix("query_result(") {
                None => query.split(',').map(ToOwned::to_owned).collect(),
                Some(asked) => {
                    let asked = variables.fill(asked.strip_suffix(')').unwrap());
                    let answer = prometheus.until(&asked, |answer| !answer.is_empty()).await;
                    let answer = answer.unwrap_or_else(|problem| panic!("${variable}: {problem}"));
                    answer.into_iter().filter_map(|sample| sample.metric.into_values().next()).collect()
                }
            };
            let value = match chosen.iter().find(|(name, _)| name == variable) {
                None => format!("({})", all.join("|")),
                Some((_, value)) => {
                    assert!(all.iter().any(|one| one == value), "{value} is not to be chosen as ${variable}: {all:?}");
                    (*value).to_owned()
                }
            };
            variables.0.push((variable.clone(), value));
        }
        // No name within another one.
        variables.0.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        variables
    }

    fn fill(&self, query: &str) -> String {
        let fill = |query: String, (name, value): &(String, String)| query.replace(&format!("${name}"), value);
        self.0.iter().fold(query.to_owned(), fill)
    }
}
