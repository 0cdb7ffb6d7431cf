//! Ports that a Gateway opens and no Service leads to.

use std::collections::{HashMap, HashSet};

use super::workloads::{INGRESS_GATEWAY, Workload};
use super::{Analyzer, Context};
use crate::api::kubernetes::{IntOrString, Service, ServicePort};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::labels::{subset_of, to_line};

/// `IST0162`, and `IST0101` for selectors.
pub(super) struct GatewayPorts;

impl Analyzer for GatewayPorts {
    fn name(&self) -> &'static str {
        "gateway.IngressGatewayPortAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REFERENCE_NOT_FOUND, Code::GATEWAY_PORT_WITHOUT_SERVICE]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let mut services: Services<'_> = HashMap::new();
        for service in context.set.services() {
            services.entry(&service.meta.namespace).or_default().push(service);
        }
        let mut known: HashMap<&Labels, Option<HashSet<u32>>> = HashMap::new();
        for gateway in context.set.gateways() {
            let selector = &gateway.spec.selector;
            let cx = &mut Checker::new(Kind::Gateway, &gateway.meta, &gateway.origin, out);
            let Some(ports) = known.entry(selector).or_insert_with(|| ports(context, &services, selector)) else {
                report_no_pods(cx, selector);
                continue;
            };
            for (index, server) in gateway.spec.servers.iter().enumerate() {
                if let Some(port) = server.port.as_ref().filter(|port| !ports.contains(&port.number)) {
                    let at = At::top("spec");
                    report_port(
                        cx,
                        &at.field("servers").index(index).field("port").field("number"),
                        port.number,
                        selector,
                    );
                }
            }
        }
    }
}

/// Reports a selector that no pod has the labels of.
pub(super) fn report_no_pods(cx: &mut Checker<'_>, selector: &Labels) {
    let message = format!("Referenced selector not found: {:?}", to_line(selector));
    let finding = Diagnostic::error(Code::REFERENCE_NOT_FOUND, message)
        .effect("no workload opens the ports of the gateway")
        .help("no pod of any namespace has these labels");
    cx.push(&At::top("spec").field("selector"), finding);
}

fn report_port(cx: &mut Checker<'_>, at: &At<'_>, port: u32, selector: &Labels) {
    let message = format!(
        "The gateway is listening on a target port (port {port}) that is not defined in the Service associated with its \
         workload instances (Pod selector {}). If you need to access the gateway port through the gateway Service, it will not \
         be available.",
        to_line(selector)
    );
    let finding = Diagnostic::warning(Code::GATEWAY_PORT_WITHOUT_SERVICE, message)
        .effect("nobody reaches the port through the service of the gateway")
        .help(format!("give the service a port with targetPort: {port}"));
    cx.push(at, finding);
}

/// Services by namespace.
type Services<'a> = HashMap<&'a str, Vec<&'a Object<Service>>>;

/// The ports through which services lead to the pods with these labels; nothing where there is no such pod.
fn ports(context: &Context<'_>, services: &Services<'_>, selector: &Labels) -> Option<HashSet<u32>> {
    let mut found = None;
    let mut seen = HashSet::new();
    for pod in context.workloads().selected(selector) {
        let open = found.get_or_insert_with(HashSet::new);
        // Pods of one workload are alike.
        if !seen.insert((pod.namespace, pod.labels)) {
            continue;
        }
        if pod.pod.is_none() {
            open.extend(INGRESS_PORTS);
        }
        let of_pod = services.get(pod.namespace).into_iter().flatten();
        let leading = of_pod.filter(|service| subset_of(&service.spec.selector, pod.labels));
        leading.flat_map(|service| &service.spec.ports).for_each(|port| open_port(open, pod, port));
        let is_installed = pod.namespace == context.root_namespace() && subset_of(&INGRESS_GATEWAY, pod.labels);
        if context.options().ingress_gateway && is_installed {
            open.extend(INGRESS_PORTS);
        }
    }
    found
}

/// The ports of the service of the ingress gateway that Istio installs.
const INGRESS_PORTS: [u32; 4] = [80, 443, 15443, 31400];

/// A Gateway may name the port of the service, which is translated, or the one of the pod.
fn open_port(open: &mut HashSet<u32>, pod: &Workload<'_>, port: &ServicePort) {
    if !matches!(port.protocol.as_str(), "" | "TCP") {
        return;
    }
    open.insert(port.port);
    match &port.target_port {
        Some(IntOrString::Int(number)) => drop(open.insert(*number)),
        Some(IntOrString::String(name)) => {
            let containers = pod.pod.iter().flat_map(|pod| &pod.spec.spec.containers);
            let named = containers.flat_map(|container| &container.ports).filter(|port| port.name == *name);
            open.extend(named.map(|port| port.container_port));
            open.extend(name.parse::<u32>().ok());
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    const POD: &str = "
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: b, labels: {app: edge}}
spec: {containers: [{name: proxy, ports: [{name: web, containerPort: 8082}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: b}
spec:
  selector: {app: edge}
  ports:
  - {port: 80, targetPort: 8080}
  - {port: 81}
  - {port: 82, targetPort: web}
  - {port: 83, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: c}
spec: {selector: {app: edge}, ports: [{port: 90}]}
";

    fn port(selector: &str, number: u32) -> Vec<String> {
        let gateway = format!(
            "{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: g, namespace: a}}, \
             spec: {{selector: {{{selector}}}, servers: [{{hosts: ['*'], port: {{number: {number}, name: p, protocol: HTTP}}}}]}}}}\n"
        );
        found(&GatewayPorts, &(gateway + POD))
    }

    #[test]
    fn a_service_has_to_lead_to_the_port_by_its_own_number_or_that_of_the_pods() {
        for open in [80, 8080, 81, 82, 8082] {
            assert_eq!(port("app: edge", open), [""; 0], "{open}");
        }
        for shut in [83, 90, 8081] {
            assert_eq!(port("app: edge", shut), ["IST0162 Gateway a/g spec.servers[0].port.number"], "{shut}");
        }
    }

    #[test]
    fn a_selector_has_to_select_some_pod() {
        assert_eq!(port("app: nothing", 80), ["IST0101 Gateway a/g spec.selector"]);
    }

    #[test]
    fn the_gateway_that_istio_installs_is_taken_to_be_there() {
        assert_eq!(port("istio: ingressgateway", 443), [""; 0]);
        assert_eq!(port("istio: ingressgateway", 444), ["IST0162 Gateway a/g spec.servers[0].port.number"]);
    }
}
