//! Who may do what at this workload, decided by the policies that are in use.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_config::value::dry_run;
use mesh_config::{FieldPath, Kind, ResourceId};
use mesh_core::authn::MtlsMode;
use mesh_core::authz::{Access, AccessQuestion, Authorization, Protocol, RuleName, Setting, Trial};
use mesh_core::identity::TrustDomains;
use mesh_core::selection::Selection;
use serde_json::{Value, json};

use super::ask::Ask;
use crate::explained::Compiled;
use crate::inbound::DryRunCounts;
use crate::live::Live;

/// What becomes of a request, and by what.
///
/// # Errors
/// A sentence, for a question that is none.
pub(super) fn authz(live: &Live, counts: DryRunCounts, ask: &Ask) -> Result<Value, String> {
    let question = question(ask)?;
    let (port, is_proved) = (question.port, question.principal.is_some());
    let compiled = live.compiled();
    let mode = live.snapshot().peer_modes().served_at(port);
    let profile = compiled.map(|compiled| compiled.site.profile).unwrap_or_default();
    // Nothing of such a connection gets as far as a policy.
    let is_refused = mode == MtlsMode::Strict && !is_proved;
    let trace = compiled.map(|compiled| {
        let asked = Some(question.clone()).filter(|_| !is_refused);
        let look = |access: &Access<'_>| policies(compiled, Some(access));
        let said = asked.and_then(|question| question.look(live.snapshot(), profile, look).ok());
        said.unwrap_or_else(|| policies(compiled, None))
    });
    let answer = question.answer(live.snapshot(), profile);
    let named = |rule: &RuleName| of_rule(compiled, rule);
    let trial = |trial: Option<Trial<'_>>| {
        trial.map(|trial| json!({ "would_allow": trial.allowed, "by": trial.rule.map(named) }))
    };
    let (decision, reason) = match is_refused {
        true => ("reject", "STRICT takes mutual TLS only, and the caller proves nothing: ?as= names who it would be"),
        false => (answer.decision, &*answer.reason),
    };
    Ok(json!({
        "decision": decision,
        "reason": reason,
        "by": answer.rule.as_ref().filter(|_| !is_refused).map(named),
        "audited_by": answer.audit.map(named),
        "mode": mode.as_str(),
        "policies": trace,
        "dry_run": { "deny": trial(answer.dry_run.deny), "allow": trial(answer.dry_run.allow) },
        "dry_run_counts": {
            "allow_allowed": counts.allow_allowed,
            "allow_denied": counts.allow_denied,
            "deny_allowed": counts.deny_allowed,
            "deny_denied": counts.deny_denied,
        },
    }))
}

fn question(ask: &Ask) -> Result<AccessQuestion, String> {
    let method = ask.get("method").unwrap_or("GET");
    let method: Method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
    let mut headers = HeaderMap::new();
    for line in ask.all("h").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is not name:value"))?;
        let parsed = name.trim().parse::<HeaderName>().ok().zip(HeaderValue::from_str(value.trim()).ok());
        let (name, value) = parsed.ok_or_else(|| format!("`{line}` is no header"))?;
        headers.append(name, value);
    }
    let number = |name: &str, default: u16| match ask.get(name) {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no port")),
        None => Ok(default),
    };
    let address = ask.get("address").map(|text| text.parse().map_err(|_| format!("`{text}` is no address")));
    Ok(AccessQuestion {
        authority: ask.get("host").map(ToOwned::to_owned),
        headers,
        principal: ask.get("as").map(ToOwned::to_owned),
        address: address.transpose()?,
        port: number("port", 80)?,
        ..AccessQuestion::new(method, ask.get("path").unwrap_or("/"))
    })
}

/// The policies that select this workload, and the first rule of each that matches.
fn policies(compiled: &Compiled, access: Option<&Access<'_>>) -> Vec<Value> {
    let Compiled { set, mesh, site } = compiled;
    let trust_domains = &TrustDomains::of(mesh);
    let setting = Setting { trust_domains, protocol: Protocol::Http, profile: site.profile };
    let chosen = Selection::of(site, mesh).of_policies(set.authorization_policies());
    let of_policy = |policy: &mesh_config::Object<mesh_config::api::AuthorizationPolicy>| {
        let alone = access.map(|access| Authorization::new([policy], setting).any_match(access).map(|rule| rule.rule));
        json!({
            "policy": format!("{}/{}", policy.meta.namespace, policy.meta.name),
            "matching_rule": alone.flatten(),
            "action": policy.spec.action.as_str(),
            "rules": policy.spec.rules.len(),
            "dry_run": is_on_trial(&policy.meta),
            "at": format!("{}:{}", policy.origin.file, policy.origin.line),
        })
    };
    chosen.into_iter().map(of_policy).collect()
}

fn is_on_trial(meta: &mesh_config::ObjectMeta) -> bool {
    meta.annotations.get(dry_run::ANNOTATION).and_then(|value| dry_run::parse(value)) == Some(true)
}

fn of_rule(compiled: Option<&Compiled>, rule: &RuleName) -> Value {
    let id = ResourceId::new(Kind::AuthorizationPolicy, &*rule.namespace, &*rule.policy);
    let at = compiled.and_then(|compiled| {
        let field = format!("spec.rules[{}]", rule.rule);
        let at = compiled.set.get(&id)?.origin.of_field(&FieldPath::from(&*field));
        Some(format!("{}:{}", at.file, at.line))
    });
    json!({ "policy": format!("{}/{}", rule.namespace, rule.policy), "rule": rule.rule, "at": at })
}
