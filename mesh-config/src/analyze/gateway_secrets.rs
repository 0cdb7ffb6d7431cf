//! Secrets of the servers of Gateways: whether they are there, and hold a certificate.

use std::time::{SystemTime, UNIX_EPOCH};

use super::gateway_ports::report_no_pods;
use super::{Analyzer, Context, certificate};
use crate::api::Gateway;
use crate::api::kubernetes::Secret;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};

/// `IST0161`, and `IST0101` for credentials and selectors.
pub(super) struct GatewaySecrets;

impl Analyzer for GatewaySecrets {
    fn name(&self) -> &'static str {
        "gateway.SecretAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REFERENCE_NOT_FOUND, Code::INVALID_CREDENTIAL]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        for gateway in context.set.gateways() {
            let cx = &mut Checker::new(Kind::Gateway, &gateway.meta, &gateway.origin, out);
            // The secrets are those of the namespace in which the pods run.
            match context.workloads().selected(&gateway.spec.selector).next() {
                Some(pod) => check(cx, context, gateway, pod.namespace),
                None => report_no_pods(cx, &gateway.spec.selector),
            }
        }
    }
}

fn check(cx: &mut Checker<'_>, context: &Context<'_>, gateway: &Object<Gateway>, namespace: &str) {
    let spec = At::top("spec");
    for (index, server) in gateway.spec.servers.iter().enumerate() {
        let Some(tls) = &server.tls else { continue };
        let at = spec.field("servers");
        let at = at.index(index);
        let at = at.field("tls");
        if !tls.credential_name.is_empty() {
            check_secret(cx, context, &at.field("credentialName"), gateway, namespace, &tls.credential_name);
        }
        for (index, name) in tls.credential_names.iter().enumerate() {
            check_secret(cx, context, &at.field("credentialNames").index(index), gateway, namespace, name);
        }
    }
}

fn check_secret(
    cx: &mut Checker<'_>,
    context: &Context<'_>,
    at: &At<'_>,
    gateway: &Object<Gateway>,
    namespace: &str,
    name: &str,
) {
    let (scope, short) = name.strip_prefix("kubernetes://").unwrap_or(name).split_once('/').unwrap_or((namespace, name));
    let short = short.strip_prefix("kubernetes://").unwrap_or(short);
    let Some(secret) = context.secret(scope, short) else {
        let finding =
            Diagnostic::error(Code::REFERENCE_NOT_FOUND, format!("Referenced credentialName not found: {name:?}"))
                .effect("the server has no certificate: TLS connections to it fail")
                .help(format!("the pods of the gateway read the secret {scope}/{short}"));
        return cx.push(at, finding);
    };
    if let Some(problem) = problem(&secret.spec, context.options().now) {
        let message = format!(
            "The credential referenced by the Gateway {} in namespace {namespace} is invalid, which can cause the traffic not \
             to work as expected.",
            gateway.meta.name
        );
        let finding = Diagnostic::error(Code::INVALID_CREDENTIAL, message)
            .effect("TLS connections to the server fail")
            .help(format!("the secret {scope}/{short} {problem}"));
        cx.push(at, finding);
    }
}

/// The keys under which a secret holds certificate and private key.
const KEYS: [(&str, &str); 2] = [("cert", "key"), ("tls.crt", "tls.key")];

/// What is wrong with a secret.
fn problem(secret: &Secret, now: Option<SystemTime>) -> Option<&'static str> {
    let has = |key: &str| secret.value(key).is_some_and(|value| !value.is_empty());
    let Some((certificate, _)) = KEYS.iter().find(|(certificate, key)| has(certificate) && has(key)) else {
        return Some("lacks `tls.crt` and `tls.key`");
    };
    let chain = secret.value(certificate).unwrap_or_default();
    let Some(validity) = certificate::validity(chain) else {
        return Some("holds no certificate in PEM");
    };
    let now = now.and_then(|now| i64::try_from(now.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok())?;
    if now > validity.not_after {
        return Some("holds a certificate that has expired");
    }
    (now < validity.not_before).then_some("holds a certificate that is not valid yet")
}
