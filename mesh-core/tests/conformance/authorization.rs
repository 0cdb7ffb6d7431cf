//! Who may do what: requests against policies, and the parts of a policy.

use std::net::IpAddr;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_config::{ConfigSet, ParseOptions, parse_with};
use mesh_core::authz::{
    self, Access, AccountMatch, Authorization, DomainMatch, NamespaceMatch, PathMatch, PrincipalMatch, Protocol,
    RequestPrincipalMatch, Setting, TextMatch,
};
use mesh_core::identity::TrustDomains;
use mesh_core::jwt::Claims;
use mesh_core::path_normalization::normalize;
use mesh_core::selection::Selection;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use serde_json::{Value, json};

use crate::world::{files, read};
use crate::{differs, table};

/// Requests of Istio's end-to-end tests, on every port that a case names.
pub(crate) fn requests(folder: &Path, case: &Value) -> Option<String> {
    let destination = &case["input"]["destination"];
    let namespace = destination["namespace"].as_str()?;
    let options = ParseOptions::default().default_namespace(namespace);
    let (documents, _) = parse_with("case", &files(folder, case).join("\n---\n"), &options);
    let (set, _) = ConfigSet::from_documents(documents);
    let labels = read(&destination["labels"]);
    let selection = Selection {
        namespace,
        labels: &labels,
        root_namespace: "istio-system",
        waypoint: false,
        services: &[],
        selects_gateways: true,
    };
    let policies = selection.of_policies(set.authorization_policies());
    let ports = match case["input"]["request"]["ports"].as_array() {
        Some(ports) => ports.iter().filter_map(Value::as_str).collect(),
        None => vec!["HTTP"],
    };
    ports.into_iter().find_map(|port| {
        let protocol = if port == "TCP" { Protocol::Tcp } else { Protocol::Http };
        let domains = TrustDomains::new(["cluster.local"]);
        let setting = Setting { trust_domains: &domains, protocol, profile: Profile::Istio };
        let policy = Authorization::new(policies.iter().copied(), setting);
        differs(Some(allows(&policy, case, port)), case["expect"]["allow"].as_bool())
            .map(|why| format!("{port}: {why}"))
    })
}

fn allows(policy: &Authorization, case: &Value, port: &str) -> bool {
    let (request, source) = (&case["input"]["request"], &case["input"]["source"]);
    let destination = &case["input"]["destination"];
    let address = |place: &Value| place["ip"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
    let principal = source["principal"].as_str().filter(|_| source["mtls"] == true);
    let principal = principal.map(|principal| format!("spiffe://{principal}"));
    let peer = PeerView {
        address: address(source),
        principal: principal.as_deref(),
        sni: source["sni"].as_str(),
        local_address: address(destination),
        claims: None,
    };
    let number = destination["ports"][port.to_lowercase()].as_u64().expect("a port") as u16;
    if port == "TCP" {
        return policy.decide(&Access::connection(peer, number)).is_allowed();
    }
    let (method, target) = match port {
        "GRPC" => ("POST", "/proto.EchoTestService/Echo"),
        _ => (request["method"].as_str().unwrap_or("GET"), request["path"].as_str().unwrap_or("/")),
    };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let normal = normalize(path, Default::default()).expect("a path").unwrap_or_else(|| path.to_owned());
    let mut headers = HeaderMap::new();
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().expect("a text").parse::<HeaderValue>().expect("a value");
        headers.append(name.parse::<HeaderName>().expect("a name"), value);
    }
    let view = RequestView {
        method: &method.parse::<Method>().expect("a method"),
        scheme: Scheme::Http,
        authority: request["host"].as_str().unwrap_or("b.ns1.svc.cluster.local"),
        path: &normal,
        query,
        headers: &headers,
        peer,
        port: number,
    };
    policy.decide(&Access::request(&view)).is_allowed()
}

/// Tables about the parts of a policy. Those that give Envoy's configuration are asked what it would match.
pub(crate) fn parts(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    match table(case) {
        "RequestPrincipal" => request_principal(text("in"), &expect["want"]),
        "Generator" => generator(input, &expect["want"]),
        "ServiceAccount" => {
            let found = AccountMatch::parse(text("Input"), "my-ns").map(|account| account.matches(text("Identity")));
            differs(found, expect["Match"].as_bool())
        }
        "NamespaceMatcherRegex_Match" => {
            let namespace = NamespaceMatch::parse(text("v"));
            let matches = |name: &str| expect[name].as_str().is_some_and(|identity| namespace.matches(identity));
            differs((matches("match"), matches("noMatch")), (true, false))
        }
        "ConvertToPort" => {
            let expected = match expect["Err"].as_str() {
                Some("") | None => Ok(expect["Expect"].as_u64().unwrap_or_default() as u16),
                Some(error) => Err(error.to_owned()),
            };
            differs(authz::port(text("V")), expected)
        }
        "ExtractNameInBrackets" => {
            let expected = expect["want"].as_str().filter(|_| expect["err"] == false);
            differs(authz::name_in_brackets(text("s")), expected)
        }
        "ExtractNameInNestedBrackets" => {
            let names: Vec<&str> = expect["want"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            differs(authz::names_in_brackets(text("s")), (expect["err"] == false).then_some(names))
        }
        "ReplaceTrustDomainAliases" => {
            let bundle = &input["trustDomainBundle"];
            let aliases = bundle["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let domains = TrustDomains::new(bundle["trust_domain"].as_str().into_iter().chain(aliases));
            let principals = input["principals"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let found: Vec<String> = principals.flat_map(|principal| domains.expand_principal(principal)).collect();
            differs(json!(found), expect["expect"].clone())
        }
        "GetTrustDomainFromSpiffeIdentity" => {
            let found = authz::domain_of(text("principal")).map_or("", |(domain, _)| domain);
            differs(Some(found), expect["out"].as_str())
        }
        "IsTrustDomainBeingEnforced" => {
            let found = authz::domain_of(text("principal")).is_some_and(|(domain, _)| domain != "*");
            differs(Some(found), expect["want"].as_bool())
        }
        "StringMatch" => {
            let element = TextMatch::parse(text("element"));
            let mut list = input["list"].as_array().into_iter().flatten().filter_map(Value::as_str);
            differs(Some(list.any(|item| element.matches(item.as_bytes()))), expect["expected"].as_bool())
        }
        other => Some(format!("unknown table {other}")),
    }
}

/// Tokens of issuers and subjects around what the principal names.
fn request_principal(principal: &str, want: &Value) -> Option<String> {
    let parts = &want["and_ids"]["ids"];
    let (issuer, subject) = (&parts[0]["metadata"]["value"], &parts[1]["metadata"]["value"]);
    let matcher = RequestPrincipalMatch::parse(principal);
    let samples = ["foo", "foo2", "xfoo", "bar", "bar2", "xbar", "x"];
    samples.iter().flat_map(|iss| samples.map(|sub| (*iss, sub))).find_map(|(iss, sub)| {
        let Value::Object(claims) = json!({"iss": iss, "sub": sub}) else { return None };
        let expected = envoy_matches(&issuer["string_match"], iss) && envoy_matches(&subject["string_match"], sub);
        differs(matcher.matches(&Claims::new(claims)), expected).map(|why| format!("{iss}/{sub}: {why}"))
    })
}

/// What a matcher of Envoy's configuration says about a text.
fn envoy_matches(matcher: &Value, text: &str) -> bool {
    let Some((kind, value)) = matcher.as_object().and_then(|matcher| matcher.iter().next()) else { return false };
    let regex = value["regex"].as_str().unwrap_or_default();
    match (kind.as_str(), value.as_str().unwrap_or_default()) {
        ("exact", value) => text == value,
        ("prefix", value) => text.starts_with(value),
        ("suffix", value) => text.ends_with(value),
        _ => regex::Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(text)),
    }
}

/// One attribute with one value.
fn generator(input: &Value, want: &Value) -> Option<String> {
    let (key, value) = (input["key"].as_str().unwrap_or_default(), input["value"].as_str().unwrap_or_default());
    let peer = &want["filter_state"]["string_match"];
    let identity = |matches: &dyn Fn(&str) -> bool| {
        let rule = if peer["exact"].is_null() { json!({"regex": peer["safeRegex"]}) } else { peer.clone() };
        let samples = ["spiffe://foo", "spiffe://cluster.local/ns/foo/sa/a", "spiffe://cluster/ns/foo2/sa/a", "x"];
        samples.into_iter().find_map(|sample| {
            differs(matches(sample), envoy_matches(&rule, sample)).map(|why| format!("{sample}: {why}"))
        })
    };
    let text = TextMatch::parse(value);
    match input["g"].as_str()? {
        "destPortGenerator" => differs(authz::port(value).ok().map(u64::from), want["destinationPort"].as_u64()),
        "srcIPGenerator" | "remoteIPGenerator" => {
            let block = mesh_core::network::Network::parse(value)?;
            let written = want["directRemoteIp"].as_object().or(want["remoteIp"].as_object())?;
            let found = (block.first_address().to_string(), u64::from(block.prefix()));
            differs(
                Some(found),
                written["addressPrefix"].as_str().map(str::to_owned).zip(written["prefixLen"].as_u64()),
            )
        }
        "srcNamespaceGenerator" => identity(&|id| NamespaceMatch::parse(value).matches(id)),
        "srcTrustDomainGenerator" => identity(&|id| DomainMatch::parse(value).matches(id)),
        "srcPrincipalGenerator" => identity(&|id| PrincipalMatch::parse(value).matches(id)),
        "requestHeaderGenerator" | "methodGenerator" => {
            let rule = &want["header"]["stringMatch"];
            ["foo", "GET", "x", ""]
                .into_iter()
                .find_map(|sample| differs(text.matches(sample.as_bytes()), envoy_matches(rule, sample)))
        }
        "pathGenerator" => {
            let path = PathMatch::parse(value)?;
            let template = want["uriTemplate"]["typedConfig"]["pathTemplate"].as_str();
            let expected = match template {
                Some(template) => json!({"regex": {"regex": template.replace('*', "[^/]+")}}),
                None => want["urlPath"]["path"].clone(),
            };
            ["/abc", "/abc/", "/abc/d", "/abc/d/e"]
                .into_iter()
                .find_map(|sample| differs(path.matches(sample), envoy_matches(&expected, sample)))
        }
        // A process has no metadata of a proxy: only whether there would be a condition can be told.
        "envoyFilterGenerator" => {
            let name = key.strip_prefix("experimental.").and_then(|rest| rest.split_once('['));
            differs(name.is_some_and(|(_, name)| name.ends_with(']')), !want.is_null())
        }
        other => Some(format!("unknown generator {other}")),
    }
}
