//! One certificate for several Gateways of the same workloads.

use std::collections::{BTreeMap, HashMap};

use super::{Analyzer, Context, printed};
use crate::api::Gateway;
use crate::api::tls::ServerTlsSettings;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::labels::subset_of;

/// `IST0138`: a browser that has a connection for one host uses it for another one which the certificate is for too, and ends
/// up at the wrong server.
pub(super) struct GatewayCertificates;

impl Analyzer for GatewayCertificates {
    fn name(&self) -> &'static str {
        "gateway.CertificateAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::DUPLICATE_CERTIFICATE]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let mut users: HashMap<Certificate<'_>, BTreeMap<&Labels, Vec<&Object<Gateway>>>> = HashMap::new();
        for gateway in context.set.gateways() {
            for (_, certificate) in certificates(&gateway.spec) {
                let alike = users.entry(certificate).or_default().entry(&gateway.spec.selector).or_default();
                if !alike.last().is_some_and(|last| std::ptr::eq(*last, gateway)) {
                    alike.push(gateway);
                }
            }
        }
        for gateway in context.set.gateways() {
            let cx = &mut Checker::new(Kind::Gateway, &gateway.meta, &gateway.origin, out);
            let mut told: Vec<&Object<Gateway>> = vec![gateway];
            for (index, certificate) in certificates(&gateway.spec) {
                let by_selector = users.get(&certificate).into_iter().flatten();
                let alike = by_selector.filter(|(selector, _)| subset_of(&gateway.spec.selector, selector));
                let others = alike.flat_map(|(_, gateways)| gateways.iter().copied());
                let is_news = |other: &&Object<Gateway>| !told.iter().any(|known| std::ptr::eq(*known, *other));
                let others: Vec<_> = others.filter(is_news).take(MOST + 1).collect();
                if others.len() > MOST {
                    report(cx, gateway, index, &others);
                } else {
                    others.iter().for_each(|other| report(cx, gateway, index, std::slice::from_ref(other)));
                }
                told.extend(others);
            }
        }
    }
}

/// With how many others a gateway is reported one by one.
const MOST: usize = 20;

/// What makes a certificate the same: the name of its secret, or its files.
type Certificate<'a> = (&'a str, &'a str, &'a str);

fn certificates(gateway: &Gateway) -> impl Iterator<Item = (usize, Certificate<'_>)> {
    let settings = gateway.servers.iter().enumerate().filter_map(|(index, server)| Some((index, server.tls.as_ref()?)));
    settings.filter_map(|(index, tls)| Some((index, certificate(tls)?)))
}

fn certificate(tls: &ServerTlsSettings) -> Option<Certificate<'_>> {
    match tls.credential_name.as_str() {
        "" if tls.server_certificate.is_empty() || tls.private_key.is_empty() => None,
        "" => Some(("", &tls.server_certificate, &tls.private_key)),
        name => Some((name, "", "")),
    }
}

fn report(cx: &mut Checker<'_>, gateway: &Object<Gateway>, index: usize, others: &[&Object<Gateway>]) {
    let named = others.iter().take(MOST).map(|other| other.meta.namespaced_name());
    let names = printed(std::iter::once(gateway.meta.namespaced_name()).chain(named));
    let more = if others.len() > MOST { " and more" } else { "" };
    let message = format!(
        "Duplicate certificate in multiple gateways {names}{more} may cause 404s if clients re-use HTTP2 connections."
    );
    let finding = Diagnostic::warning(Code::DUPLICATE_CERTIFICATE, message)
        .effect("a request that comes over a connection to a host of the other gateway gets 404 NR")
        .help("put the hosts into one gateway, or give each its own certificate");
    cx.push(&At::top("spec").field("servers").index(index).field("tls"), finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn gateway(name: &str, selector: &str, tls: &str) -> String {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: a}}, \
             spec: {{selector: {{{selector}}}, servers: [{{hosts: ['*'], tls: {{{tls}}}}}]}}}}\n"
        )
    }

    fn of(one: &str, two: &str) -> Vec<String> {
        found(&GatewayCertificates, &format!("{one}{two}"))
    }

    #[test]
    fn a_certificate_is_for_one_gateway_of_the_same_workloads() {
        let one = gateway("one", "app: x", "credentialName: c");
        let both = ["IST0138 Gateway a/one spec.servers[0].tls", "IST0138 Gateway a/two spec.servers[0].tls"];
        assert_eq!(of(&one, &gateway("two", "app: x", "credentialName: c")), both);
        assert_eq!(of(&one, &gateway("two", "app: x", "credentialName: d")), [""; 0]);
        assert_eq!(of(&one, &gateway("two", "app: z", "credentialName: c")), [""; 0]);
        // The workloads of the second are some of those of the first.
        assert_eq!(of(&one, &gateway("two", "app: x, tier: front", "credentialName: c")), both[..1]);
    }

    #[test]
    fn of_very_many_gateways_each_is_reported_once() {
        let many: String = (0..30).map(|n| gateway(&format!("g{n}"), "app: x", "credentialName: c")).collect();
        assert_eq!(found(&GatewayCertificates, &many).len(), 30);
    }

    #[test]
    fn files_are_the_same_by_both_names_and_servers_without_certificate_have_none() {
        let files = "serverCertificate: /c, privateKey: /k";
        assert_eq!(of(&gateway("one", "", files), &gateway("two", "", files)).len(), 2);
        let other = "serverCertificate: /c, privateKey: /l";
        assert_eq!(of(&gateway("one", "", files), &gateway("two", "", other)), [""; 0]);
        let none = "mode: PASSTHROUGH";
        assert_eq!(of(&gateway("one", "", none), &gateway("two", "", none)), [""; 0]);
    }
}
