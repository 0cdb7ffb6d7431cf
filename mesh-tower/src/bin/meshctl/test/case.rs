//! The file of cases.

use std::collections::BTreeMap;

use http::uri::Authority;
use mesh_core::Scheme;
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
    pub(super) delegate: Option<DelegateWanted>,
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
    /// Where it is asked: `mesh`, or a Gateway (`name`, `namespace/name`). Without, in the mesh and, where no rule takes
    /// it there, at the Gateways.
    pub(super) gateway: Option<String>,
    /// The client, `namespace` or `namespace/account`, where it is not that of the command line.
    pub(super) from: Option<String>,
    /// The client's labels, where they are not those of the command line.
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// The VirtualService that a rule delegates to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DelegateWanted {
    pub(super) name: String,
    /// None for that of the rule.
    pub(super) namespace: Option<String>,
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

/// One request of a case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'c> {
    pub(super) authority: &'c str,
    method: &'c str,
    uri: &'c str,
    headers: &'c BTreeMap<String, String>,
    /// None, where the case does not say.
    pub(super) scheme: Option<Scheme>,
    /// That of the case, else that of the authority.
    pub(super) port: Option<u16>,
}

impl Requests {
    /// One request for each combination of authority, method and URI.
    pub(super) fn each(&self) -> Result<Vec<Asked<'_>>, String> {
        if self.authority.is_empty() {
            return Err("a request needs an `authority`".to_owned());
        }
        let scheme = match self.scheme.as_deref() {
            None => None,
            Some("http") => Some(Scheme::Http),
            Some("https") => Some(Scheme::Https),
            Some(other) => return Err(format!("the scheme `{other}` is not http or https")),
        };
        let mut all = Vec::new();
        for authority in &self.authority {
            for method in or_else(&self.method, "GET") {
                for uri in or_else(&self.uri, "/") {
                    if !uri.starts_with('/') {
                        return Err(format!("the uri `{uri}` does not begin with a slash"));
                    }
                    let named = authority.parse::<Authority>().ok().and_then(|authority| authority.port_u16());
                    let port = self.port.or(named);
                    all.push(Asked { authority, method, uri, headers: &self.headers, scheme, port });
                }
            }
        }
        Ok(all)
    }
}

impl Asked<'_> {
    /// The request by a scheme, where the case does not say one.
    pub(super) fn question(&self, default: Scheme) -> Result<Question, String> {
        let Self { authority, method, uri, headers, scheme, port } = self;
        let scheme = scheme.unwrap_or(default).as_str();
        let question = Question::new(method, &format!("{scheme}://{authority}{uri}"));
        let mut question = question.map_err(|error| error.to_string())?;
        for (name, value) in *headers {
            question = question.header(name, value).map_err(|error| error.to_string())?;
        }
        Ok(port.map_or(question.clone(), |port| question.on_port(port)))
    }
}

fn or_else<'c>(given: &'c [String], default: &'c str) -> Vec<&'c str> {
    match given {
        [] => vec![default],
        given => given.iter().map(String::as_str).collect(),
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
        let asked = file.test_cases[0].request.each().unwrap();
        assert_eq!((asked.len(), asked[0].scheme, asked[0].port), (8, None, None));
        assert_eq!(asked[0].question(Scheme::Https).unwrap().port(), 443);
        let error = CaseFile::read("f", &text.replace("wantMatch", "wantmatch")).unwrap_err();
        assert!(error.contains("wantmatch"), "{error}");
    }
}
