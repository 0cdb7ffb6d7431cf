//! The file of cases.

use std::collections::BTreeMap;

use mesh_core::explain::Question;
use serde::Deserialize;
use serde_json::Value;

/// A file: `testCases`, as istio-config-validator has them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CaseFile {
    pub(super) test_cases: Vec<Case>,
}

/// One case: requests, and what should become of each.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Case {
    pub(super) description: String,
    pub(super) request: Requests,
    /// Whether the parts below are what the requests get (default), or just what they must not get.
    pub(super) want_match: Option<bool>,
    /// The destinations of the rule, all of them.
    pub(super) route: Option<Vec<RouteWanted>>,
    pub(super) redirect: Option<Value>,
    pub(super) rewrite: Option<Value>,
    pub(super) fault: Option<Value>,
    pub(super) headers: Option<Value>,
    pub(super) delegate: Option<Value>,
    /// What this tool can expect beyond the validator's format.
    pub(super) want: Option<Want>,
}

/// Requests: one for each combination.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Requests {
    authority: Vec<String>,
    method: Vec<String>,
    uri: Vec<String>,
    headers: BTreeMap<String, String>,
    scheme: Option<String>,
    port: Option<u16>,
    /// The client, `namespace` or `namespace/account`, where it is not that of the command line.
    pub(super) from: Option<String>,
    /// The client's labels, where they are not those of the command line.
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// A destination as a rule names it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RouteWanted {
    pub(super) destination: DestinationWanted,
    pub(super) weight: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DestinationWanted {
    pub(super) host: String,
    pub(super) subset: Option<String>,
    pub(super) port: Option<PortWanted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PortWanted {
    pub(super) number: u16,
}

/// What should become of a request; what is not named is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Want {
    /// The name of the route.
    pub(super) route: Option<String>,
    /// The share of each destination in percent, by subset or by host.
    pub(super) share: Option<BTreeMap<String, f64>>,
    pub(super) retries: Option<RetriesWanted>,
    /// As in YAML, `1s`; `none` for no limit.
    pub(super) timeout: Option<String>,
    /// The status that the mesh answers with.
    pub(super) status: Option<u16>,
    pub(super) location: Option<String>,
    /// What the destination sees.
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    /// The share of the requests that is copied, in percent, by host.
    pub(super) mirrors: Option<BTreeMap<String, f64>>,
    /// `route`, `redirect`, `direct`, `passthrough`, `none`.
    pub(super) action: Option<String>,
    /// Envoy's response flags.
    pub(super) flags: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RetriesWanted {
    pub(super) attempts: Option<u32>,
    pub(super) retry_on: Option<String>,
    pub(super) per_try_timeout: Option<String>,
}

impl CaseFile {
    /// Reads a file. An unknown field is an error: a test that is not looked at proves nothing.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, String> {
        mesh_config::document::from_yaml(name, text).map_err(|report| report.to_string())
    }
}

impl Requests {
    /// One question for each combination of authority, method and URI.
    pub(super) fn questions(&self) -> Result<Vec<Question>, String> {
        let any = |given: &[String], default: &str| match given {
            [] => vec![default.to_owned()],
            given => given.to_vec(),
        };
        if self.authority.is_empty() {
            return Err("a request needs an `authority`".to_owned());
        }
        let scheme = self.scheme.as_deref().unwrap_or("http");
        let mut questions = Vec::new();
        for authority in &self.authority {
            for method in any(&self.method, "GET") {
                for uri in any(&self.uri, "/") {
                    if !uri.starts_with('/') {
                        return Err(format!("the uri `{uri}` does not begin with a slash"));
                    }
                    let mut question = Question::new(&method, &format!("{scheme}://{authority}{uri}"))
                        .map_err(|error| error.to_string())?;
                    for (name, value) in &self.headers {
                        question = question.header(name, value).map_err(|error| error.to_string())?;
                    }
                    questions.push(match self.port {
                        Some(port) => question.on_port(port),
                        None => question,
                    });
                }
            }
        }
        Ok(questions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_of_the_validator_is_read_and_multiplied_out() {
        let text = "
testCases:
- description: users
  wantMatch: true
  request:
    authority: [www.example.com, example.com]
    method: [GET, POST]
    uri: [/users, /users/]
    headers: {x-user-type: qa}
  route:
  - destination: {host: users.users.svc.cluster.local, port: {number: 80}}
";
        let file = CaseFile::read("f", text).unwrap();
        assert_eq!(file.test_cases[0].request.questions().unwrap().len(), 8);
        let error = CaseFile::read("f", &text.replace("wantMatch", "wantmatch")).unwrap_err();
        assert!(error.contains("wantmatch"), "{error}");
    }
}
