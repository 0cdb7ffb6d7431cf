//! Policies and requests, and a second reading of what they mean: over the text of the policy, without compiling it.

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use mesh_config::api::AuthorizationPolicy;
use mesh_config::{Object, ObjectMeta};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use serde_json::{Map, Value, json};

const SOURCE: &[&str] = &["principals", "namespaces"];
const OPERATION: &[&str] = &["paths", "methods", "hosts", "ports"];

/// What is asked about.
#[derive(Debug)]
struct Asked {
    identity: Option<String>,
    path: String,
    method: Method,
    host: String,
    port: u16,
    lines: Vec<HeaderValue>,
}

/// Makes policies and a request of bytes, and compares two readings.
pub fn authorization(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok((policies, asked)) = draw(&mut bytes) else { return };
    let mut headers = HeaderMap::new();
    for line in &asked.lines {
        headers.append("x-h", line.clone());
    }
    let view = RequestView {
        method: &asked.method,
        scheme: Scheme::Http,
        authority: &asked.host,
        path: &asked.path,
        query: None,
        headers: &headers,
        peer: PeerView { principal: asked.identity.as_deref(), ..PeerView::default() },
        port: asked.port,
    };
    let allows = |profile| {
        let objects: Vec<_> = policies.iter().map(object).collect();
        let trust_domains = &TrustDomains::new(["td"]);
        let setting = Setting { trust_domains, protocol: Protocol::Http, profile };
        Authorization::new(&objects, setting).decide(&Access::request(&view)).is_allowed()
    };
    let (istio, safe) = (allows(Profile::Istio), allows(Profile::Safe));
    assert_eq!(istio, naive(&policies, &asked), "{policies:?} {asked:?}");
    assert!(istio || !safe, "{policies:?} {asked:?}");
}

fn object(spec: &Value) -> Object<AuthorizationPolicy> {
    Object::new(ObjectMeta::default(), serde_json::from_value(spec.clone()).expect("it is an AuthorizationPolicy"))
}

/// Whether the policies let a request in, as the documentation says it.
fn naive(policies: &[Value], asked: &Asked) -> bool {
    let of = |action: &str| policies.iter().filter(|policy| policy["action"] == action).collect::<Vec<_>>();
    let some_matches = |policies: &[&Value]| {
        policies.iter().any(|policy| list(&policy["rules"]).any(|rule| rule_matches(rule, asked)))
    };
    let (deny, allow) = (of("DENY"), of("ALLOW"));
    !some_matches(&deny) && (allow.is_empty() || some_matches(&allow))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn rule_matches(rule: &Value, asked: &Asked) -> bool {
    let any = |name: &str, inner: &str| {
        list(&rule[name]).count() == 0
            || list(&rule[name]).any(|one| {
                let fields = one[inner].as_object();
                fields.into_iter().flatten().all(|(field, values)| match field.strip_prefix("not") {
                    Some(field) => !field_matches(&field.to_lowercase(), values, asked),
                    None => field_matches(field, values, asked),
                })
            })
    };
    let when = list(&rule["when"]).all(|one| {
        (one["values"].is_null() || field_matches("x-h", &one["values"], asked))
            && (one["notValues"].is_null() || !field_matches("x-h", &one["notValues"], asked))
    });
    any("from", "source") && any("to", "operation") && when
}

fn field_matches(field: &str, values: &Value, asked: &Asked) -> bool {
    list(values).filter_map(Value::as_str).any(|pattern| {
        let path = &*asked.path;
        let identity = asked.identity.as_deref();
        match field {
            "principals" if pattern == "*" => identity.is_some_and(|identity| !identity.is_empty()),
            "principals" => {
                identity.and_then(|own| own.strip_prefix("spiffe://")).is_some_and(|own| text(pattern, own.as_bytes()))
            }
            "namespaces" => identity.is_some_and(|own| own.contains(&format!("/ns/{pattern}/"))),
            "paths" => text(pattern, path.as_bytes()),
            "methods" => text(pattern, asked.method.as_str().as_bytes()),
            "hosts" => text(&pattern.to_ascii_lowercase(), asked.host.to_ascii_lowercase().as_bytes()),
            "ports" => pattern == asked.port.to_string(),
            _ => asked.lines.iter().any(|line| pattern == "*" || text(pattern, line.as_bytes())),
        }
    })
}

fn text(pattern: &str, value: &[u8]) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        _ if pattern == "*" => !value.is_empty(),
        (Some(end), _) => value.ends_with(end.as_bytes()),
        (None, Some(start)) => value.starts_with(start.as_bytes()),
        (None, None) => value == pattern.as_bytes(),
    }
}

/// Some policies, at times so many rules that they are searched and not asked one by one, and a request.
fn draw(bytes: &mut Unstructured<'_>) -> Result<(Vec<Value>, Asked)> {
    let identity = match bytes.int_in_range(0..=3)? {
        0 => None,
        1 => Some(format!("spiffe://td/ns/{}/sa/{}", word(bytes)?, word(bytes)?)),
        2 => Some(format!("spiffe://td/{}", word(bytes)?)),
        _ => Some(word(bytes)?),
    };
    let path = format!("/{}", word(bytes)?);
    let method = Method::from_bytes(word(bytes)?.as_bytes()).unwrap_or(Method::GET);
    let (host, port) = (word(bytes)?, 80 + bytes.int_in_range(0..=2)?);
    let lines = (0..bytes.int_in_range(0..=2)?).map(|_| word(bytes)).collect::<Result<Vec<_>>>()?;
    let lines = lines.iter().filter_map(|line| HeaderValue::from_str(line).ok()).collect();
    let policies = (0..bytes.int_in_range(1..=3)?).map(|_| policy(bytes)).collect::<Result<_>>()?;
    Ok((policies, Asked { identity, path, method, host, port, lines }))
}

fn policy(bytes: &mut Unstructured<'_>) -> Result<Value> {
    let action = bytes.choose(&["ALLOW", "DENY", "AUDIT"])?;
    let rules = (0..bytes.int_in_range(0..=12)?).map(|_| rule(bytes)).collect::<Result<Vec<_>>>()?;
    Ok(json!({"action": action, "rules": rules}))
}

fn rule(bytes: &mut Unstructured<'_>) -> Result<Value> {
    let mut some = |fields: &[&str], name: &str| -> Result<Vec<Value>> {
        (0..bytes.int_in_range(0..=2)?).map(|_| Ok(json!({name: object_of(bytes, fields)?}))).collect()
    };
    let (from, to) = (some(SOURCE, "source")?, some(OPERATION, "operation")?);
    let mut when = Vec::new();
    if bytes.ratio(1, 3)? {
        let field = bytes.choose(&["values", "notValues"])?;
        when.push(json!({"key": "request.headers[x-h]", *field: words(bytes)?}));
    }
    Ok(json!({"from": from, "to": to, "when": when}))
}

fn object_of(bytes: &mut Unstructured<'_>, fields: &[&str]) -> Result<Value> {
    let mut object = Map::new();
    for _ in 0..bytes.int_in_range(0..=2)? {
        let field = *bytes.choose(fields)?;
        let values = match field {
            "ports" => vec![(80 + bytes.int_in_range(0..=2)?).to_string()],
            // Stars within a namespace are another matter.
            "namespaces" => words(bytes)?.into_iter().map(|word| word.replace('*', "n")).collect(),
            // The trust domain is ours: it stands for itself.
            "principals" => words(bytes)?.into_iter().map(|word| format!("td/{word}")).collect(),
            _ => words(bytes)?,
        };
        let name = if bytes.ratio(1, 4)? {
            format!("not{}{}", field[..1].to_uppercase(), &field[1..])
        } else {
            field.to_owned()
        };
        object.insert(name, json!(values));
    }
    Ok(Value::Object(object))
}

fn words(bytes: &mut Unstructured<'_>) -> Result<Vec<String>> {
    (0..bytes.int_in_range(1..=2)?).map(|_| word(bytes)).collect()
}

/// A short text of few characters, so that many are alike.
fn word(bytes: &mut Unstructured<'_>) -> Result<String> {
    (0..bytes.int_in_range(0..=4)?).map(|_| bytes.choose(&['a', 'b', 'A', '/', '*', 'n', 's', '1']).copied()).collect()
}
