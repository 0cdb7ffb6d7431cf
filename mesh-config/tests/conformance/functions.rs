//! Tables about single values: names, durations, localities, conditions, paths.
//!
//! A row about a value asks the function in `mesh_config::value` that checks it. A row about a part of an object puts the
//! part into an object and asks for what validation finds.

use std::path::Path;

use mesh_config::value::{
    JwksUri, Protocol, condition, duration, export_to, header, host, http_status, locality, path_template, port,
    trust_domain, wildcard,
};
use mesh_config::{ConfigSet, Report, Severity, parse};
use serde_json::{Map, Value, json};

pub(crate) fn function(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let id = case["id"].as_str().unwrap_or_default();
    let table = id.split('/').nth(1).unwrap_or_default();
    let answer = of_value(table, input)
        .or_else(|| of_list(table, input))
        .or_else(|| of_object(table, input))
        .unwrap_or_else(|| vec![("table", json!("unknown"))]);
    let wrong = answer.iter().find(|(name, found)| !agrees(found, &expect[*name]));
    wrong.map(|(name, found)| format!("{name}: found {found}, expected {}", expect[*name]))
}

/// What is found, by the name that the expectation has.
type Answer = Vec<(&'static str, Value)>;

/// Of the text of a problem a part is expected; an empty one stands for no problem.
fn agrees(found: &Value, expected: &Value) -> bool {
    match (found["problem"].as_str(), expected.as_str()) {
        (Some(found), Some("")) => found.is_empty(),
        (Some(found), Some(part)) => found.contains(part),
        _ => found == expected,
    }
}

fn problem(checked: Result<(), String>) -> Value {
    json!({"problem": checked.err().unwrap_or_default()})
}

/// Tables about one value.
fn of_value(table: &str, input: &Value) -> Option<Answer> {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let valid = |checked: Result<(), String>| vec![("valid", json!(checked.is_ok()))];
    Some(match table {
        "Parse" => {
            let protocol = text("name").parse().ok().filter(|protocol| *protocol != Protocol::Unspecified);
            vec![("out", json!(protocol.map_or("UnsupportedProtocol", Protocol::as_str)))]
        }
        "StrictValidateHTTPHeaderName" => valid(header::check_strict_name(text("name"))),
        "ValidateHTTPHeaderName" => valid(header::check_match_name(text("name"))),
        "ValidateHTTPStatus" => valid(http_status::check_status(input["in"].as_i64().unwrap_or_default())),
        "ValidatePortName" => valid(port::check_port_name(text("name"))),
        "ValidateFQDN" => valid(host::check_fqdn(text("fqdn"))),
        "ValidateHTTPHeaderValue" => {
            // The text of a problem differs from what is asked: Istio's own test only looks whether there is one.
            let checked = header::check_value(text("input"));
            let expected = checked.map_err(|_| format!("header value configuration {} is invalid", text("input")));
            vec![("expected", expected.err().map_or(Value::Null, |error| json!({ "error": error })))]
        }
        "ValidateDuration" | "ValidateConnectTimeout" => {
            let check =
                if table == "ValidateDuration" { duration::check_duration } else { duration::check_connect_timeout };
            let checked = text("duration").parse().map_err(|_| String::new()).and_then(check);
            vec![("isValid", json!(checked.is_ok()))]
        }
        "ValidateWildcardDomain" => vec![("out", problem(host::check_wildcard_domain(text("in"))))],
        "ValidateWildcardDomainForVirtualServiceBoundToGateway" => {
            let by_server_name = input["sni"].as_bool().unwrap_or_default();
            vec![("out", problem(host::check_gateway_domain(text("in"), by_server_name)))]
        }
        "ValidateTrustDomain" => vec![("err", problem(trust_domain::check_trust_domain(text("in"))))],
        "GetVisibleNamespacesFromExportToAnno" => {
            vec![("Want", json!(export_to::of_annotation(text("Annotation"), text("ResourceNamespace"))))]
        }
        "IsValidLiteral" => vec![("expected", json!(path_template::is_literal(text("glob"))))],
        "ContainsPathTemplate" => vec![("isPathTemplate", json!(path_template::has_operator(text("path"))))],
        "ParseJwksURI" => jwks_uri(text("in")),
        _ => return None,
    })
}

fn jwks_uri(text: &str) -> Answer {
    let parsed: Result<JwksUri, _> = text.parse();
    let expected = parsed.as_ref().map_or(Value::Null, |JwksUri { host, port, tls }| {
        json!({"Hostname": host, "Port": port, "UseSSL": tls, "Scheme": if *tls { "https" } else { "http" }})
    });
    vec![("expectedError", json!(parsed.is_err())), ("expected", expected)]
}

/// Tables about a list of values.
fn of_list(table: &str, input: &Value) -> Option<Answer> {
    let list = |name: &str| input[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    let each = |check: fn(&str, &str) -> Result<(), String>| {
        let is_wrong = list("values").into_iter().any(|value| check(value, "Field").is_err());
        vec![("wantError", json!(is_wrong))]
    };
    Some(match table {
        "ValidateCondition" => {
            let key = input["key"].as_str().unwrap_or_default();
            vec![("wantError", json!(condition::check(key, &list("values")).is_err()))]
        }
        "CheckValidPathTemplate" => each(path_template::check_path),
        "CheckWildcardValues" => each(wildcard::check_affix),
        "CheckTrustDomainValues" => each(trust_domain::check_pattern),
        "CheckServiceAccount" => each(condition::check_account),
        "ValidateLocalities" => {
            vec![("valid", json!(locality::check_localities(list("localities")).is_ok()))]
        }
        _ => return None,
    })
}

/// Tables about a part of an object.
fn of_object(table: &str, input: &Value) -> Option<Answer> {
    let balancer = |setting: &str| {
        let mut policy = json!({"loadBalancer": {"simple": "ROUND_ROBIN"}});
        set(&mut policy["loadBalancer"], setting, &input["in"]);
        set(&mut policy, "outlierDetection", &input["outlier"]);
        errors_and_warnings(&destination_rule(&policy), ["err", "warn"])
    };
    let mesh = |field: &str, value: &Value| {
        let mut mesh = json!({"rootNamespace": "istio-system"});
        set(&mut mesh, field, value);
        validate(&mesh)
    };
    Some(match table {
        "ValidateTLS" => {
            let report = destination_rule(&json!({"tls": input["tls"]}));
            vec![("valid", json!(!report.has_errors()))]
        }
        "ValidateLocalityLbSetting" => balancer("localityLbSetting"),
        "ValidateZoneAwareLbSetting" => balancer("zoneAwareLbSetting"),
        "ValidateMeshConfigDefaultTrafficPolicy" => {
            vec![("wantErr", json!(mesh("defaultTrafficPolicy", &input["dtp"]).has_errors()))]
        }
        "ValidateMeshConfigDefaultInboundHTTPRetryPolicy" => {
            errors_and_warnings(&mesh("defaultInboundHttpRetryPolicy", &input["retry"]), ["wantErr", "wantWarn"])
        }
        _ => return None,
    })
}

fn set(object: &mut Value, field: &str, value: &Value) {
    if let (Value::Object(fields), false) = (object, value.is_null()) {
        fields.insert(field.to_owned(), value.clone());
    }
}

fn destination_rule(policy: &Value) -> Report {
    let mut spec = Map::new();
    spec.insert("host".to_owned(), json!("a.example"));
    spec.insert("trafficPolicy".to_owned(), policy.clone());
    validate(&json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "a"}, "spec": spec,
    }))
}

fn validate(object: &Value) -> Report {
    let (documents, mut report) = parse("case", &object.to_string());
    let (set, _) = ConfigSet::from_documents(documents);
    report.extend(set.validate());
    report
}

/// Errors of any code, and warnings that Istio has too.
fn errors_and_warnings(report: &Report, names: [&'static str; 2]) -> Answer {
    let warns =
        report.iter().any(|finding| finding.severity == Severity::Warning && finding.code.as_str().starts_with("IST"));
    vec![(names[0], json!(report.has_errors())), (names[1], json!(warns))]
}
