//! What a workload sees under a Sidecar, asked of a compiled set.

use mesh_config::Code;

use crate::Site;
use crate::compile::tests::World;

/// `NAME.NAMESPACE.svc.cluster.local` on port 80 with one endpoint.
fn service(namespace: &str, name: &str) -> String {
    entry(namespace, &format!("{name}.{namespace}.svc.cluster.local"), "[{number: 80, name: http, protocol: HTTP}]")
}

fn entry(namespace: &str, host: &str, ports: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: e-{}, namespace: {namespace}}}
spec: {{hosts: [\"{host}\"], resolution: STATIC, ports: {ports}, endpoints: [{{address: 10.0.0.1}}]}}
",
        host.replace('*', "any")
    )
}

fn sidecar(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"
    )
}

fn rules(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"
    )
}

fn site(labels: &[(&str, &str)]) -> Site {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Site { labels, ..Site::default() }
}

const REGISTRY_ONLY: &str = "---\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n";

fn cluster(port: u16, host: &str) -> String {
    format!("outbound|{port}||{host}")
}

#[test]
fn a_host_that_the_sidecar_does_not_import_is_unknown() {
    let text = [
        service("default", "near"),
        service("prod", "far"),
        sidecar("default", "own", "{egress: [{hosts: [./*]}]}"),
        REGISTRY_ONLY.into(),
    ]
    .concat();
    let world = World::new(&text);
    assert_eq!(world.to(80, "near", "/"), cluster(80, "near.default.svc.cluster.local"));
    assert_eq!(world.to(80, "far.prod", "/"), "blocked");
    let hidden = world.findings(Code::OUTSIDE_SCOPE);
    assert_eq!(hidden, ["this workload does not see far.prod.svc.cluster.local"]);
}

#[test]
fn the_sidecar_that_selects_the_workload_outranks_that_of_its_namespace_and_that_of_the_root() {
    let text = [
        service("default", "a"),
        service("default", "b"),
        service("default", "c"),
        sidecar("istio-system", "root", "{egress: [{hosts: [default/a.default.svc.cluster.local]}]}"),
        sidecar(
            "default",
            "chosen",
            "{workloadSelector: {labels: {app: x}}, egress: [{hosts: [./c.default.svc.cluster.local]}]}",
        ),
        REGISTRY_ONLY.into(),
    ]
    .concat();
    let of_namespace = sidecar("default", "plain", "{egress: [{hosts: [./b.default.svc.cluster.local]}]}");
    let seen = |text: &str, site: &Site| {
        let world = World::at(text, site);
        ["a", "b", "c"].into_iter().filter(|name| world.to(80, name, "/") != "blocked").collect::<String>()
    };
    assert_eq!(seen(&text, &site(&[("app", "x")])), "c");
    assert_eq!(seen(&text, &site(&[("app", "y")])), "a");
    assert_eq!(seen(&(of_namespace.clone() + &text), &site(&[("app", "y")])), "b");
    assert_eq!(seen(&(of_namespace + &text), &site(&[("app", "x")])), "c");
}

#[test]
fn a_selector_in_the_root_namespace_is_for_workloads_of_that_namespace_only() {
    let root = "{workloadSelector: {labels: {app: x}}, egress: [{hosts: [~/*]}]}";
    let text = [service("default", "a"), sidecar("istio-system", "root", root), REGISTRY_ONLY.into()].concat();
    assert_ne!(World::at(&text, &site(&[("app", "x")])).to(80, "a", "/"), "blocked");
    let inside = Site { namespace: "istio-system".into(), ..site(&[("app", "x")]) };
    assert_eq!(World::at(&text, &inside).to(80, "a.default", "/"), "blocked");
}

#[test]
fn a_port_with_a_listener_of_its_own_offers_only_that_listeners_hosts() {
    let both = "[{number: 80, name: http, protocol: HTTP}, {number: 8080, name: alt, protocol: HTTP}]";
    let text = [
        entry("default", "a.example.com", both),
        entry("prod", "b.example.com", both),
        sidecar(
            "default",
            "own",
            "{egress: [{port: {number: 8080, name: alt, protocol: HTTP}, hosts: [prod/*]}, {hosts: [./*]}]}",
        ),
        REGISTRY_ONLY.into(),
    ]
    .concat();
    let world = World::new(&text);
    assert_eq!(world.to(80, "a.example.com", "/"), cluster(80, "a.example.com"));
    assert_eq!(world.to(80, "b.example.com", "/"), "blocked");
    assert_eq!(world.to(8080, "a.example.com", "/"), "blocked");
    assert_eq!(world.to(8080, "b.example.com", "/"), cluster(8080, "b.example.com"));
}

#[test]
fn without_a_listener_for_all_ports_the_others_have_none() {
    let both = "[{number: 80, name: http, protocol: HTTP}, {number: 8080, name: alt, protocol: HTTP}]";
    let listener = "{egress: [{port: {number: 8080, name: alt, protocol: HTTP}, hosts: [./*]}]}";
    let text = [entry("default", "a.example.com", both), sidecar("default", "own", listener)].concat();
    let world = World::new(&text);
    assert_eq!(world.to(8080, "a.example.com", "/"), cluster(8080, "a.example.com"));
    assert_eq!(world.to(80, "a.example.com", "/"), "passthrough");
}

#[test]
fn hosts_of_a_proxy_port_or_a_socket_are_reached_by_any_port_and_the_report_says_so() {
    let listener = "{egress: [{port: {number: 7443, name: p, protocol: HTTP_PROXY}, bind: 127.0.0.1, hosts: [./*]}]}";
    let text = [service("default", "a"), sidecar("default", "own", listener), REGISTRY_ONLY.into()].concat();
    let world = World::new(&text);
    assert_eq!(world.to(80, "a", "/"), cluster(80, "a.default.svc.cluster.local"));
    let ignored = world.findings(Code::IGNORED_FIELD);
    assert_eq!(ignored, ["`bind` has no effect in process", "`port` has no effect in process"]);
}

#[test]
fn rules_are_imported_from_their_own_namespace_and_not_from_that_of_their_host() {
    let text = [
        service("prod", "far"),
        rules("traffic", "far", "{hosts: [far.prod.svc.cluster.local], http: [{directResponse: {status: 418}}]}"),
        sidecar("default", "own", "{egress: [{hosts: [prod/*]}]}"),
    ]
    .concat();
    let world = World::new(&text);
    assert_eq!(world.to(80, "far.prod", "/"), cluster(80, "far.prod.svc.cluster.local"));
    let left_out = world.findings(Code::OUTSIDE_SCOPE);
    assert!(left_out.len() == 1 && left_out[0].contains("Sidecar default/own does not import them"), "{left_out:?}");
    let imported = World::new(&text.replace("[prod/*]", "[prod/*, traffic/*]"));
    assert_eq!(imported.to(80, "far.prod", "/"), "answered");
    assert_eq!(imported.findings(Code::OUTSIDE_SCOPE), [""; 0]);
}

#[test]
fn what_imported_rules_send_requests_to_is_there_for_them_alone() {
    let text = [
        service("default", "front"),
        service("prod", "far"),
        rules(
            "default",
            "front",
            "{hosts: [front], http: [{route: [{destination: {host: far.prod.svc.cluster.local}}]}]}",
        ),
        sidecar("default", "own", "{egress: [{hosts: [./*]}]}"),
        REGISTRY_ONLY.into(),
    ]
    .concat();
    let world = World::new(&text);
    assert_eq!(world.to(80, "front", "/"), cluster(80, "far.prod.svc.cluster.local"));
    assert_eq!(world.to(80, "far.prod", "/"), "blocked");
}

#[test]
fn a_destination_without_the_port_of_its_listener_is_missing_and_the_report_names_the_sidecar() {
    let far = entry("prod", "far.example.com", "[{number: 8080, name: http, protocol: HTTP}]");
    let to_far = "{hosts: [front], http: [{route: [{destination: {host: far.example.com, port: {number: 8080}}}]}]}";
    let listener = "{egress: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [./*]}]}";
    let text =
        [service("default", "front"), far, rules("default", "front", to_far), sidecar("default", "own", listener)];
    let world = World::new(&text.concat());
    assert_eq!(world.to(80, "front", "/"), "NC");
    let missing = world.findings(Code::UNKNOWN_DESTINATION);
    assert!(missing.len() == 1 && missing[0].contains("is not imported by Sidecar default/own"), "{missing:?}");
}

#[test]
fn what_a_sidecar_says_about_unknown_hosts_replaces_what_the_mesh_says() {
    let policy = |policy: &str| {
        let own = format!("{{egress: [{{hosts: [./*]}}], outboundTrafficPolicy: {policy}}}");
        sidecar("default", "own", &own)
    };
    let unknown = |text: String| World::new(&text).to(80, "example.org", "/");
    assert_eq!(unknown(policy("{}")), "blocked");
    assert_eq!(unknown(policy("{mode: REGISTRY_ONLY}")), "blocked");
    assert_eq!(unknown(policy("{mode: ALLOW_ANY}") + REGISTRY_ONLY), "passthrough");
    let proxy = "{mode: ALLOW_ANY, egressProxy: {host: out.prod.svc.cluster.local, port: {number: 80}}}";
    let to_proxy = policy(proxy).replace("./*", "prod/*") + &service("prod", "out");
    assert_eq!(unknown(to_proxy), cluster(80, "out.prod.svc.cluster.local"));
}

#[test]
fn the_modes_of_the_mesh_pass_or_block() {
    let unknown = |mode: &str| {
        let world = World::new(&format!("outboundTrafficPolicy: {{mode: {mode}}}\n"));
        world.to(80, "example.org", "/")
    };
    assert_eq!(unknown("ALLOW_ANY"), "passthrough");
    assert_eq!(unknown("ALLOW_ANY_DYNAMIC_DNS"), "passthrough");
    assert_eq!(unknown("REGISTRY_ONLY"), "blocked");
}

#[test]
fn of_a_host_in_several_namespaces_the_callers_own_counts_else_kubernetes_else_the_first() {
    let host = "far.prod.svc.cluster.local";
    let at = |namespace: &str, port: u16| {
        entry(namespace, host, &format!("[{{number: {port}, name: http, protocol: HTTP}}]"))
    };
    let ports = |text: &str| {
        let world = World::new(text);
        [81, 82, 83].into_iter().filter(|port| world.to(*port, "far.prod", "/") != "passthrough").collect::<Vec<_>>()
    };
    let two = at("b", 82) + &at("a", 81);
    assert_eq!(ports(&two), [81]);
    assert_eq!(ports(&(two.clone() + &at("default", 83))), [83]);
    let kubernetes = "---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: prod}
spec: {ports: [{name: http, port: 83}]}
";
    assert_eq!(ports(&(two + kubernetes)), [83]);
}

#[test]
fn an_entry_of_the_egress_that_imports_nothing_is_named() {
    let own = "{egress: [{hosts: [./*, prod/nobody.example.com, ~prod/x.example.com]}]}";
    let world = World::new(&(service("default", "a") + &sidecar("default", "own", own)));
    let idle = world.findings(Code::IMPORTS_NOTHING);
    assert_eq!(idle, ["no service and no VirtualService is imported by \"prod/nobody.example.com\""]);
}

#[test]
fn a_gateway_is_under_no_sidecar() {
    let text = [
        service("prod", "far"),
        sidecar("default", "own", "{egress: [{hosts: [~/*]}]}"),
        "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec: {selector: {app: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
"
        .into(),
        rules(
            "prod",
            "far",
            "{hosts: [far.example.com], gateways: [default/edge], http: [{route: [{destination: {host: far}}]}]}",
        ),
    ]
    .concat();
    let world = World::at(&text, &site(&[("app", "edge")]));
    assert_eq!(world.gateway(80, "far.example.com", "/"), cluster(80, "far.prod.svc.cluster.local"));
    assert_eq!(world.to(80, "far.prod", "/"), "passthrough");
}

#[test]
fn the_defaults_of_the_mesh_decide_for_objects_without_export_to() {
    let away = Site { namespace: "away".into(), ..Site::default() };
    let text =
        service("default", "a") + &rules("default", "a", "{hosts: [a], http: [{directResponse: {status: 418}}]}");
    let seen = |mesh: &str| World::at(&format!("{text}---\n{mesh}\n"), &away).to(80, "a.default", "/");
    assert_eq!(seen("defaultVirtualServiceExportTo: ['*']"), "answered");
    assert_eq!(seen("defaultVirtualServiceExportTo: [.]"), cluster(80, "a.default.svc.cluster.local"));
    assert_eq!(seen("defaultServiceExportTo: [.]"), "passthrough");
    let listed = World::at(&format!("{text}---\ndefaultServiceExportTo: [.]\n"), &away);
    // What nobody defines in sight acts on port 80, under its full name.
    assert_eq!(listed.to(80, "a.default.svc.cluster.local", "/"), "answered");
}
