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
    let (scope, short) =
        name.strip_prefix("kubernetes://").unwrap_or(name).split_once('/').unwrap_or((namespace, name));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn gateway(selector: &str, credential: &str) -> String {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: g, namespace: a}}, \
             spec: {{selector: {{{selector}}}, servers: [{{hosts: ['*'], \
             port: {{number: 443, name: p, protocol: HTTPS}}, tls: {{mode: SIMPLE, credentialName: '{credential}'}}}}]}}}}\n"
        )
    }

    fn secret(data: &str) -> String {
        format!(
            "---\n{{apiVersion: v1, kind: Secret, metadata: {{name: s, namespace: istio-system}}, stringData: {{{data}}}}}\n"
        )
    }

    const PATH: &str = "Gateway a/g spec.servers[0].tls.credentialName";

    #[test]
    fn the_secret_is_one_of_the_namespace_of_the_pods() {
        let here = gateway("istio: ingressgateway", "s");
        assert_eq!(found(&GatewaySecrets, &here), [format!("IST0101 {PATH}")]);
        let pod = "---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: b, labels: {app: edge}}}\n";
        let there = gateway("app: edge", "s") + pod + &secret("tls.crt: a, tls.key: b");
        assert_eq!(found(&GatewaySecrets, &there), [format!("IST0101 {PATH}")]);
        assert_eq!(found(&GatewaySecrets, &gateway("app: nothing", "s")), ["IST0101 Gateway a/g spec.selector"]);
        assert_eq!(found(&GatewaySecrets, &gateway("istio: ingressgateway", "")), [""; 0]);
    }

    #[test]
    fn the_secret_has_to_hold_a_certificate() {
        for data in ["", "tls.crt: a", "tls.cert: a, tls.key: b", "cert: a, key: b"] {
            let text = gateway("istio: ingressgateway", "s") + &secret(data);
            assert_eq!(found(&GatewaySecrets, &text), [format!("IST0161 {PATH}")], "{data}");
        }
    }

    #[test]
    fn a_certificate_is_judged_by_the_time_that_is_given() {
        // Up to the validity: 1970-01-01 to 2000-03-01.
        let der = b"\x30\x2f\x30\x2d\x02\x01\x01\x30\x00\x30\x00\x30\x24\x17\x0d700101000001Z\x18\x13";
        let der = [&der[..], b"20000301000000.000Z"].concat();
        assert!(certificate::validity(&der).is_none());
        let pem = |der: &[u8]| {
            let text = crate::value::Bytes(der.to_vec()).to_base64();
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let der = b"\x30\x2b\x30\x29\x02\x01\x01\x30\x00\x30\x00\x30\x20\x17\x0d700101000001Z\x18\x0f20000301000000Z";
        let secret = Secret {
            string_data: [("tls.crt", pem(der)), ("tls.key", "k".to_owned())]
                .map(|(key, value)| (key.to_owned(), crate::value::SecretText(value)))
                .into(),
            ..Secret::default()
        };
        let at = |seconds: u64| problem(&secret, Some(UNIX_EPOCH + std::time::Duration::from_secs(seconds)));
        assert_eq!(problem(&secret, None), None);
        assert_eq!(at(951_868_800), None);
        assert_eq!(at(951_868_801), Some("holds a certificate that has expired"));
        assert_eq!(at(0), Some("holds a certificate that is not valid yet"));
    }
}
