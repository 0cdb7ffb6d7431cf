//! `meshctl explain --batch`: one question a line, one answer a line.

use std::collections::{BTreeMap, HashMap};

use mesh_core::explain::{Action, Explainer, Explanation, Question};
use serde::{Deserialize, Serialize};

use super::gateways::{Gateways, Like};
use super::lines;
use super::output::Outcome;
use super::world::{DEFAULT, World, site};

/// A line that asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    config: Vec<String>,
    #[serde(default)]
    client: Client,
    request: Asked,
    #[serde(default)]
    roll: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Client {
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u32>,
    /// Whether a mesh refuses the configuration; the answer is what its good documents come to.
    #[serde(skip_serializing_if = "is_false")]
    refused: bool,
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

fn is_false(value: &bool) -> bool {
    !value
}

/// Answers every line. A line that cannot be answered gets `{"error": ..}`, one about a configuration that a mesh refuses
/// says so; with either, the exit status is 1.
pub(crate) fn run(file: &str) -> Result<Outcome, String> {
    let lines: Vec<_> = lines::read(file)?.iter().map(|line| Line::read(line)).collect();
    // The lines of a file mostly share a configuration and a client, and so what it takes to explain.
    let mut worlds: HashMap<&str, Result<World, String>> = HashMap::new();
    for (key, line) in lines.iter().flatten() {
        worlds.entry(key).or_insert_with(|| line.load());
    }
    let mut served: HashMap<_, _> = worlds.iter().map(|(key, world)| (*key, world.as_ref().map(Served::by))).collect();
    lines::answer(lines.iter().map(|line| {
        let (key, line) = line.as_ref().map_err(Clone::clone)?;
        match served.get_mut(key.as_str()) {
            Some(Ok(served)) => line.answer(served),
            Some(Err(problem)) => Err((*problem).clone()),
            None => Err("the configuration was not read".to_owned()),
        }
    }))
}

impl Line {
    /// A line, and what it shares with others: its configuration and its client.
    fn read(line: &[u8]) -> Result<(String, Self), String> {
        let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8 text".to_owned())?;
        let line: Self = serde_json::from_str(line).map_err(|error| error.to_string())?;
        Ok((format!("{:?} {:?}", line.config, line.client), line))
    }

    fn load(&self) -> Result<World, String> {
        if self.config.is_empty() {
            return Err("`config` names no files".to_owned());
        }
        let namespace = self.client.namespace.as_deref().unwrap_or(DEFAULT);
        World::load(&self.config, site(namespace, self.client.labels.clone()))
    }

    fn answer(&self, served: &mut Served<'_>) -> Result<serde_json::Value, String> {
        let question = self.request.question()?.with_roll(self.roll);
        let found = if self.request.gateway {
            let like =
                Like { namespace: self.client.namespace.clone(), account: None, labels: self.client.labels.clone() };
            served.at_gateway(question, &like)?
        } else {
            served.explainer.explain(&question)
        };
        let answer = Answer { refused: served.world.refused, ..Answer::of(found) };
        serde_json::to_value(answer).map_err(|error| error.to_string())
    }
}

/// What it takes to answer by one configuration for one client.
struct Served<'w> {
    world: &'w World,
    explainer: Explainer<'w>,
    /// Only for lines that ask there.
    gateways: Option<Gateways>,
}

impl<'w> Served<'w> {
    fn by(world: &'w World) -> Self {
        Self { world, explainer: world.explainer().without_lines(), gateways: None }
    }

    fn at_gateway(&mut self, question: Question, like: &Like) -> Result<Explanation, String> {
        let gateways = self.gateways.get_or_insert_with(|| Gateways::of(&self.world.set));
        let door = gateways.answering("", &question, like)?;
        let put = gateways.at(&door, question, like);
        let found = put.map(|(world, question)| world.explainer().without_lines().explain(&question));
        found.ok_or_else(|| format!("{door} does not answer"))
    }
}

impl Asked {
    fn question(&self) -> Result<Question, String> {
        let url = match (&self.url, &self.authority) {
            (Some(url), _) => url.clone(),
            (None, Some(authority)) => {
                let scheme = self.scheme.as_deref().unwrap_or("http");
                let path = self.path.as_deref().unwrap_or("/");
                if !path.starts_with('/') {
                    return Err(format!("the path `{path}` does not begin with a slash"));
                }
                format!("{scheme}://{authority}{path}")
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
        Ok(question)
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
            grpc_status: found.grpc_status,
            refused: false,
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
