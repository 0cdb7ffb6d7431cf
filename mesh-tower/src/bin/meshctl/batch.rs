//! `meshctl explain --batch`: one question a line, one answer a line.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};

use mesh_core::explain::{Action, Explanation, Question};
use serde::{Deserialize, Serialize};

use super::output::Outcome;
use super::world::{World, site};

/// A line that asks.
#[derive(Debug, Deserialize)]
struct Line {
    config: Vec<String>,
    #[serde(default)]
    client: Client,
    request: Asked,
    #[serde(default)]
    roll: u64,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Client {
    namespace: String,
    labels: BTreeMap<String, String>,
}

impl Default for Client {
    fn default() -> Self {
        Self { namespace: "default".to_owned(), labels: BTreeMap::new() }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    method: Option<String>,
    url: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    headers: Vec<(String, String)>,
    port: Option<u16>,
    gateway: bool,
}

/// A line that answers.
#[derive(Debug, Serialize)]
struct Answer {
    vhost: Option<String>,
    route: Option<String>,
    action: &'static str,
    destination: Option<Drawn>,
    clusters: Vec<Cluster>,
    status: Option<u16>,
    location: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    headers: Vec<(String, String)>,
    timeout: Option<String>,
    retries: Option<serde_json::Value>,
    mirrors: Vec<serde_json::Value>,
    flags: String,
}

#[derive(Debug, Serialize)]
struct Drawn {
    host: String,
    subset: String,
    port: u16,
    weight_share: f64,
}

#[derive(Debug, Serialize)]
struct Cluster {
    host: String,
    subset: String,
    port: u16,
    share: f64,
}

/// Answers every line. A line that cannot be answered gets `{"error": ..}`, and the exit status is 1.
pub(crate) fn run(file: &str) -> Result<Outcome, String> {
    let input: Box<dyn BufRead> = match file {
        "-" => Box::new(io::stdin().lock()),
        path => Box::new(io::BufReader::new(std::fs::File::open(path).map_err(|error| format!("{path}: {error}"))?)),
    };
    let mut worlds = Worlds::default();
    let mut out = io::stdout().lock();
    let mut outcome = Outcome::Clean;
    for line in input.lines() {
        let line = line.map_err(|error| format!("{file}: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = worlds.answer(&line).unwrap_or_else(|error| {
            outcome = Outcome::Findings;
            serde_json::json!({ "error": error })
        });
        match writeln!(out, "{answer}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written.map_err(|error| format!("cannot print: {error}"))?,
        }
    }
    Ok(outcome)
}

/// Configurations by files and client: the lines of a file mostly share one.
#[derive(Default)]
struct Worlds(HashMap<String, World>);

impl Worlds {
    fn answer(&mut self, line: &str) -> Result<serde_json::Value, String> {
        let Line { config, client, request, roll } = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let question = request.question()?.with_roll(roll);
        let key = format!("{config:?} {client:?}");
        if !self.0.contains_key(&key) {
            let world = World::load(&config, site(&client.namespace, client.labels))?;
            self.0.insert(key.clone(), world);
        }
        let explanation = self.0[&key].explainer().without_lines().explain(&question);
        serde_json::to_value(Answer::of(explanation)).map_err(|error| error.to_string())
    }
}

impl Asked {
    fn question(&self) -> Result<Question, String> {
        let url = match (&self.url, &self.authority) {
            (Some(url), _) => url.clone(),
            (None, Some(authority)) => {
                let scheme = self.scheme.as_deref().unwrap_or("http");
                format!("{scheme}://{authority}{}", self.path.as_deref().unwrap_or("/"))
            }
            (None, None) => return Err("the request has neither `url` nor `authority`".to_owned()),
        };
        let method = self.method.as_deref().unwrap_or("GET");
        let mut question = Question::new(method, &url).map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            question = question.header(name, value).map_err(|error| error.to_string())?;
        }
        if let Some(port) = self.port {
            question = question.on_port(port);
        }
        Ok(if self.gateway { question.through_gateway() } else { question })
    }
}

impl Answer {
    fn of(found: Explanation) -> Self {
        let drawn = found.split.iter().find(|entry| entry.drawn).map(|entry| Drawn {
            host: entry.host.clone(),
            subset: entry.subset.clone(),
            port: entry.port,
            weight_share: entry.share,
        });
        let clusters = found.split.iter().map(|entry| Cluster {
            host: entry.host.clone(),
            subset: entry.subset.clone(),
            port: entry.port,
            share: entry.share,
        });
        let passes_through = found.action == Action::Passthrough;
        let passthrough =
            || Drawn { host: "PassthroughCluster".to_owned(), subset: String::new(), port: 0, weight_share: 1.0 };
        let (authority, path, headers) = match found.upstream {
            Some(upstream) => (Some(upstream.authority), Some(upstream.path), upstream.headers),
            None => (None, None, Vec::new()),
        };
        Self {
            vhost: found.vhost.map(|vhost| vhost.name),
            route: found.route,
            action: match found.action {
                Action::Route | Action::Passthrough => "route",
                Action::Redirect => "redirect",
                Action::Direct => "direct",
                _ => "none",
            },
            clusters: clusters.collect(),
            destination: drawn.or_else(|| passes_through.then(passthrough)),
            status: found.status,
            location: found.location,
            authority,
            path,
            headers,
            timeout: found.timeout,
            retries: found.retries.map(|retries| {
                serde_json::json!({
                    "attempts": retries.attempts,
                    "on": retries.on,
                    "per_try_timeout": retries.per_try_timeout,
                })
            }),
            mirrors: found
                .mirrors
                .iter()
                .map(|mirror| serde_json::json!({ "cluster": mirror.cluster, "percent": mirror.percent, "hit": mirror.hit }))
                .collect(),
            flags: found.flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_url_or_its_parts() {
        let question = |json: &str| serde_json::from_str::<Asked>(json).unwrap().question();
        assert_eq!(question(r#"{"url": "http://a:81/x"}"#).unwrap().port(), 81);
        assert_eq!(question(r#"{"scheme": "https", "authority": "a", "path": "/x"}"#).unwrap().port(), 443);
        assert_eq!(question(r#"{"authority": "a", "port": 9080}"#).unwrap().port(), 9080);
        assert!(question("{}").is_err());
    }
}
