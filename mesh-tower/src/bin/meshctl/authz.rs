//! `meshctl authz check`: who may do what at a workload.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};
use http::header::HeaderMap;
use http::{HeaderName, HeaderValue, Method};
use mesh_core::authz::{AccessAnswer, AccessQuestion};
use mesh_core::jwt::Claims;
use mesh_core::{Profile, Site};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lines;
use super::output::{Outcome, print};
use super::world::{DEFAULT, World, label, site};

/// Say who may do what, by the AuthorizationPolicies in files.
#[derive(Debug, Args)]
pub(crate) struct Authz {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
}

impl Authz {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        match &self.command {
            Command::Check(check) => check.run(),
        }
    }
}

/// Decide about one request to a workload, with the code that decides in a process.
///
/// --on is needed unless --batch is given; a name without a namespace is in `default`. --as is what mutual TLS would prove.
/// A policy with the action CUSTOM denies here, since nobody can be asked. The exit status is 0 if the request is let in,
/// 1 if it is not, and 2 if the configuration is one that a mesh refuses; with --batch 1 only stands for lines that could
/// not be answered, or not for certain.
#[derive(Debug, Args)]
struct Check {
    /// The method, such as GET
    #[arg(required_unless_present = "batch")]
    method: Option<String>,

    /// The path, with or without a query, such as /admin
    #[arg(required_unless_present = "batch")]
    path: Option<String>,

    /// The workload that is called, as namespace/name; its label `app` is its name unless --labels says otherwise
    #[arg(long, value_name = "NAMESPACE/WORKLOAD", required_unless_present = "batch")]
    on: Option<String>,

    /// The workload's labels
    #[arg(long, value_name = "KEY=VALUE,..", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,

    /// The workload's port
    #[arg(long, value_name = "PORT", default_value_t = 80)]
    port: u16,

    /// Who calls, as proved by mutual TLS: td/ns/NAMESPACE/sa/ACCOUNT, with or without spiffe://; without it, plaintext
    #[arg(long = "as", value_name = "ID")]
    principal: Option<String>,

    /// The caller's address
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,

    /// A header line
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,

    /// The claims of a token that is valid, as a JSON object
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,

    /// Files, directories or patterns with the configuration; may be given several times
    #[arg(short, long, value_name = "FILES|DIR|GLOB|-", default_value = "mesh")]
    config: Vec<String>,

    /// As a mesh decides unless told otherwise, or request for request as Istio
    #[arg(long, value_enum, default_value_t = Like::Safe)]
    profile: Like,

    /// Decide about the requests of a file, one of JSON a line (- for standard input), with one line each
    ///
    /// {"config": ["a.yaml"], "workload": {"namespace", "labels", "port"}, "peer": {"principal", "address"},
    /// "request": {"method", "path", "host", "headers"}, "jwt_claims": {..}} gets {"decision": "allow|deny|reject",
    /// "policy", "rule", "reason"}.
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["method", "path", "on"])]
    batch: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Like {
    Safe,
    Istio,
}

impl Like {
    fn profile(self) -> Profile {
        match self {
            Self::Safe => Profile::Safe,
            Self::Istio => Profile::Istio,
        }
    }
}

/// A line that asks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    config: Vec<String>,
    #[serde(default)]
    workload: Workload,
    #[serde(default)]
    peer: Peer,
    request: Asked,
    #[serde(default)]
    jwt_claims: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Workload {
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Peer {
    principal: Option<String>,
    address: Option<IpAddr>,
    #[serde(alias = "server_name")]
    sni: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    method: Option<String>,
    #[serde(alias = "authority")]
    host: Option<String>,
    #[serde(alias = "target")]
    path: Option<String>,
    headers: Headers,
}

/// Pairs, or an object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Headers {
    Pairs(Vec<(String, String)>),
    Map(BTreeMap<String, String>),
}

impl Default for Headers {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

/// A line that answers.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Answer {
    decision: &'static str,
    policy: Option<String>,
    rule: Option<usize>,
    reason: String,
    /// Whether a mesh refuses the configuration; the answer is what its good documents come to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
}

impl From<AccessAnswer<'_>> for Answer {
    fn from(answer: AccessAnswer<'_>) -> Self {
        let AccessAnswer { decision, rule, reason, .. } = answer;
        let policy = rule.as_ref().map(|rule| format!("{}/{}", rule.namespace, rule.policy));
        Self { decision, policy, rule: rule.map(|rule| rule.rule), reason, refused: false }
    }
}

impl Check {
    fn run(&self) -> Result<Outcome, String> {
        if let Some(file) = &self.batch {
            return batch(file, self.profile.profile());
        }
        let line = self.line()?;
        let world = line.load(self.profile.profile())?;
        let answer = line.answer(&world)?;
        let by = answer.policy.as_ref().zip(answer.rule).map(|(policy, rule)| format!(" by {policy}, rule {rule}"));
        print(&format!("{}{}: {}\n", answer.decision, by.unwrap_or_default(), answer.reason))?;
        Ok(match answer.decision {
            // A policy that could not be read may be the one that denies.
            _ if world.refused => Outcome::CouldNotRun,
            "allow" => Outcome::Clean,
            _ => Outcome::Findings,
        })
    }

    fn line(&self) -> Result<Line, String> {
        let on = self.on.as_deref().unwrap_or_default();
        let (namespace, name) = on.split_once('/').unwrap_or((DEFAULT, on));
        let mut labels: BTreeMap<String, String> = self.labels.iter().cloned().collect();
        if labels.is_empty() {
            labels.insert("app".to_owned(), name.to_owned());
        }
        let pair = |line: &String| {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("the header `{line}` is not written name:value"))?;
            Ok::<_, String>((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = self.headers.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        let claims = self.claims.as_deref().map(serde_json::from_str).transpose();
        Ok(Line {
            config: self.config.clone(),
            workload: Workload { namespace: Some(namespace.to_owned()), labels, port: Some(self.port) },
            peer: Peer { principal: self.principal.clone(), address: self.address, sni: None },
            request: Asked {
                method: self.method.clone(),
                host: Some(name.to_owned()),
                path: self.path.clone(),
                headers: Headers::Pairs(headers),
            },
            jwt_claims: claims.map_err(|error| format!("--claims: {error}"))?,
        })
    }
}

/// Answers every line. A line that cannot be answered gets `{"error": ..}`, one about a configuration that a mesh refuses
/// says so; with either, the exit status is 1.
fn batch(file: &str, profile: Profile) -> Result<Outcome, String> {
    let lines = lines::read(file)?;
    let mut worlds: HashMap<String, Result<World, String>> = HashMap::new();
    lines::answer(lines.iter().map(|line| {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        // The lines of a file mostly share a configuration and a workload.
        let key = format!("{:?} {:?}", line.config, line.workload);
        let world = worlds.entry(key).or_insert_with(|| line.load(profile)).as_ref().map_err(Clone::clone)?;
        let answer = Answer { refused: world.refused, ..line.answer(world)? };
        serde_json::to_value(answer).map_err(|error| error.to_string())
    }))
}

impl Line {
    fn load(&self, profile: Profile) -> Result<World, String> {
        if self.config.is_empty() {
            return Err("`config` names no files".to_owned());
        }
        let namespace = self.workload.namespace.as_deref().unwrap_or(DEFAULT);
        World::load(&self.config, Site { profile, ..site(namespace, self.workload.labels.clone()) })
    }

    fn answer(&self, world: &World) -> Result<Answer, String> {
        let asked = &self.request;
        let method = asked.method.as_deref().unwrap_or("GET");
        let method: Method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
        let question = AccessQuestion {
            authority: asked.host.clone(),
            headers: asked.headers.read()?,
            principal: self.peer.principal.clone(),
            address: self.peer.address,
            sni: self.peer.sni.clone(),
            port: self.workload.port.unwrap_or(80),
            claims: self.jwt_claims.clone().map(|claims| Claims::with_lists(claims, &[])),
            ..AccessQuestion::new(method, asked.path.as_deref().unwrap_or("/"))
        };
        Ok(question.answer(world.snapshot(), world.site.profile).into())
    }
}

impl Headers {
    fn read(&self) -> Result<HeaderMap, String> {
        let pairs: Vec<(&String, &String)> = match self {
            Self::Pairs(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
            Self::Map(map) => map.iter().collect(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let parsed = name.parse::<HeaderName>().ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
            let (name, value) = parsed.ok_or_else(|| format!("`{name}` and its value are no header"))?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use mesh_config::{ConfigSet, parse};

    use super::*;

    const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: default}\n\
                          spec: {selector: {matchLabels: {app: a}}, rules: [{from: [{source: {namespaces: [x]}}]}]}\n";

    fn answer(line: &str) -> Answer {
        let line: Line = serde_json::from_str(line).unwrap();
        let (set, _) = ConfigSet::from_documents(parse("f", POLICY).0);
        line.answer(&World::of(set, site(DEFAULT, line.workload.labels.clone()))).unwrap()
    }

    #[test]
    fn a_line_is_answered_with_policy_and_rule() {
        let asks = |peer: &str, request: &str| {
            answer(&format!(
                r#"{{"config": ["f"], "workload": {{"labels": {{"app": "a"}}}}, "peer": {peer}, "request": {request}}}"#
            ))
        };
        let friend = r#"{"principal": "td/ns/x/sa/y"}"#;
        let allowed = asks(friend, r#"{"path": "/"}"#);
        assert_eq!((allowed.decision, allowed.policy.as_deref(), allowed.rule), ("allow", Some("default/p"), Some(0)));
        assert_eq!(asks(r#"{"principal": null}"#, "{}").decision, "deny");
        assert_eq!(asks(friend, r#"{"path": "/%00"}"#).decision, "reject");
        assert_eq!(asks(friend, r#"{"method": "get"}"#).decision, "reject");
        assert_eq!(asks(friend, r#"{"headers": [["host", "a"], ["host", "b"]]}"#).decision, "reject");
        assert_eq!(asks(friend, r#"{"headers": [["connection", "upgrade"], ["upgrade", "irc"]]}"#).decision, "reject");
    }
}
