//! What documents come to, by asking the snapshot.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, parse};

use super::*;
use crate::cluster::EndpointSource;
use crate::route::{Action, Routed};
use crate::{Failure, PeerView, RequestView, Scheme, SplitMix64};

/// A compiled set, to ask questions.
pub(super) struct World {
    pub(super) compiled: Compiled,
}

impl World {
    pub(super) fn new(text: &str) -> Self {
        Self::at(text, &Site::default())
    }

    pub(super) fn at(text: &str, site: &Site) -> Self {
        let (documents, report) = parse("test.yaml", text);
        assert!(!report.has_errors(), "{report}");
        let (set, _) = ConfigSet::from_documents(documents);
        let mesh = set.mesh_config().cloned().unwrap_or_default();
        Self { compiled: compile(&set, &mesh, site) }
    }

    pub(super) fn route(&self, port: u16, authority: &str, path: &str) -> Result<Routed, Failure> {
        self.route_with(port, authority, path, &[])
    }

    fn route_with(&self, port: u16, authority: &str, path: &str, lines: &[(&str, &str)]) -> Result<Routed, Failure> {
        let headers = headers(lines);
        self.compiled.snapshot.route(&view(port, authority, path, &headers), &mut SplitMix64::new(1))
    }

    /// The cluster a request goes to, or `NR`, `NC`, `blocked`, `passthrough`, `answered`.
    pub(super) fn to(&self, port: u16, authority: &str, path: &str) -> String {
        self.to_with(port, authority, path, &[])
    }

    pub(super) fn to_with(&self, port: u16, authority: &str, path: &str, lines: &[(&str, &str)]) -> String {
        self.describe(self.route_with(port, authority, path, lines))
    }

    fn describe(&self, routed: Result<Routed, Failure>) -> String {
        let snapshot = &self.compiled.snapshot;
        let routed = match routed {
            Ok(routed) => routed,
            Err(failure) => return failure.flags().to_string(),
        };
        match &snapshot.rule(routed.route).action {
            Action::Blocked => "blocked".into(),
            Action::Passthrough(_) => "passthrough".into(),
            Action::Forward(_) => match &snapshot.destination(routed).unwrap().cluster {
                cluster if cluster.id.is_none() => "NC".into(),
                cluster => cluster.name.to_string(),
            },
            _ => "answered".into(),
        }
    }

    pub(super) fn gateway(&self, port: u16, authority: &str, path: &str) -> String {
        let server = self.compiled.snapshot.gateway_servers().iter().find(|server| server.port == port);
        let Some(server) = server else { return "closed".into() };
        let headers = HeaderMap::new();
        let view = view(port, authority, path, &headers);
        self.describe(self.compiled.snapshot.route_in(server.table, &view, &mut SplitMix64::new(1)))
    }

    pub(super) fn endpoints(&self, cluster: &str) -> Vec<String> {
        let spec = self.compiled.snapshot.clusters().iter().find(|spec| &*spec.name == cluster).unwrap();
        match &spec.endpoints {
            EndpointSource::Static(endpoints) => endpoints.iter().map(|e| e.address.to_string()).collect(),
            EndpointSource::Dns { targets, .. } => targets.iter().map(|t| format!("{}:{}", t.host, t.port)).collect(),
            EndpointSource::OriginalDestination { port: None } => vec!["original".into()],
            EndpointSource::OriginalDestination { port: Some(port) } => vec![format!("original:{port}")],
        }
    }

    pub(super) fn findings(&self, code: mesh_config::Code) -> Vec<String> {
        let found = self.compiled.report.iter().filter(|finding| finding.code == code);
        found.map(|finding| finding.message.clone()).collect()
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
        .collect()
}

fn view<'a>(port: u16, authority: &'a str, path: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority,
        path,
        query: None,
        headers,
        peer: PeerView::default(),
        port,
    }
}

const REVIEWS: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.0.1.1, labels: {version: v1}}
  - {address: 10.0.2.1, labels: {version: v2}, ports: {http: 8080}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v9, labels: {version: v9}}
---
";

const REVIEWS_V1: &str = "outbound|9080|v1|reviews.default.svc.cluster.local";

fn with_rules(http: &str) -> String {
    format!(
        "{REVIEWS}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [reviews]
  http: {http}
"
    )
}

#[test]
fn a_service_without_rules_is_reached_by_every_name_of_its_namespace() {
    let world = World::new(REVIEWS);
    let all = "outbound|9080||reviews.default.svc.cluster.local";
    for authority in [
        "reviews",
        "reviews:9080",
        "reviews.default",
        "reviews.default.svc",
        "Reviews.Default.svc.cluster.local",
        "reviews.default.svc.cluster.local.",
    ] {
        assert_eq!(world.to(9080, authority, "/"), all, "{authority}");
    }
    assert_eq!(world.endpoints(all), ["10.0.1.1:9080", "10.0.2.1:8080"]);
    assert_eq!(&*world.compiled.snapshot.rule(world.route(9080, "reviews", "/").unwrap().route).name, "default");
}

#[test]
fn another_namespace_has_no_short_name_for_it() {
    let world = World::at(REVIEWS, &Site { namespace: "away".into(), ..Site::default() });
    assert_eq!(world.to(9080, "reviews", "/"), "passthrough");
    assert_eq!(world.to(9080, "reviews.default", "/"), "outbound|9080||reviews.default.svc.cluster.local");
}

#[test]
fn headers_choose_a_subset() {
    let world = World::new(&with_rules(
        "
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]",
    ));
    let v2 = "outbound|9080|v2|reviews.default.svc.cluster.local";
    assert_eq!(world.to_with(9080, "reviews", "/", &[("end-user", "jason")]), v2);
    assert_eq!(world.to(9080, "reviews", "/"), REVIEWS_V1);
    assert_eq!(world.endpoints(v2), ["10.0.2.1:8080"]);
}

#[test]
fn a_subset_of_weight_0_keeps_its_cluster_and_gets_nothing() {
    let world = World::new(&with_rules(
        "[{route: [{destination: {host: reviews, subset: v1}, weight: 100}, {destination: {host: reviews, subset: v2}, weight: 0}]}]",
    ));
    let names: Vec<_> = world.compiled.snapshot.clusters().iter().map(|cluster| cluster.name.to_string()).collect();
    assert!(names.iter().any(|name| name.contains("|v2|")), "{names:?}");
    assert!(world.to(9080, "reviews", "/").contains("|v1|"));
}

#[test]
fn what_is_missing_is_503_for_its_share_and_reported() {
    let world = World::new(&with_rules(
        "
  - match: [{uri: {prefix: /subset}}]
    route: [{destination: {host: reviews, subset: nope}}]
  - match: [{uri: {prefix: /host}}]
    route: [{destination: {host: elsewhere}}]
  - match: [{uri: {prefix: /port}}]
    route: [{destination: {host: reviews, port: {number: 1}}}]
  - match: [{uri: {prefix: /empty}}]
    route: [{destination: {host: reviews, subset: v9}}]
  - match: [{uri: {exact: /only}}]
    route: [{destination: {host: reviews}}]",
    ));
    for path in ["/subset", "/host", "/port"] {
        assert_eq!(world.to(9080, "reviews", path), "NC", "{path}");
    }
    assert_eq!(world.to(9080, "reviews", "/else"), "NR");
    assert_eq!(world.findings(mesh_config::Code::UNKNOWN_DESTINATION).len(), 3);
    assert_eq!(world.findings(mesh_config::Code::SUBSET_WITHOUT_ENDPOINTS).len(), 1);
}

#[test]
fn unknown_hosts_pass_or_are_blocked_as_the_mesh_says() {
    assert_eq!(World::new(REVIEWS).to(9080, "example.com", "/"), "passthrough");
    assert_eq!(World::new(REVIEWS).to(1234, "reviews", "/"), "passthrough");
    let blocked = format!("{REVIEWS}\noutboundTrafficPolicy: {{mode: REGISTRY_ONLY}}\n");
    assert_eq!(World::new(&blocked).to(9080, "example.com", "/"), "blocked");
}

#[test]
fn the_first_virtual_service_owns_a_mesh_host_and_the_report_names_the_loser() {
    let world = World::new(&format!(
        "{}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: zz-late, namespace: default}}
spec:
  hosts: [reviews]
  http: [{{route: [{{destination: {{host: reviews, subset: v2}}}}]}}]
",
        with_rules("[{route: [{destination: {host: reviews, subset: v1}}]}]")
    ));
    assert_eq!(world.to(9080, "reviews", "/"), REVIEWS_V1);
    let lost = world.findings(mesh_config::Code::OVERRULED);
    assert!(lost.len() == 1 && lost[0].contains("VirtualService default/reviews owns the host"), "{lost:?}");
}

#[test]
fn a_host_that_no_service_defines_acts_on_port_80() {
    let world = World::new(&format!(
        "{REVIEWS}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: my-app, namespace: default}}
spec:
  hosts: [my-app]
  http: [{{route: [{{destination: {{host: reviews, port: {{number: 9080}}, subset: v1}}}}]}}]
"
    ));
    assert_eq!(world.to(80, "my-app.default.svc.cluster.local", "/"), REVIEWS_V1);
    assert_eq!(world.to(80, "my-app", "/"), "passthrough");
    assert_eq!(world.to(9080, "my-app.default.svc.cluster.local", "/"), "passthrough");
    assert_eq!(world.findings(mesh_config::Code::LITERAL_HOST).len(), 1);
}

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: istio-ingress}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.com']}
  - {port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: c}, hosts: ['*.example.com']}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: my-app, namespace: default}
spec:
  hosts: [my-app.example.com]
  gateways: [istio-ingress/gateway]
  http: [{route: [{destination: {host: reviews}}]}]
";

fn ingress() -> Site {
    Site { namespace: "istio-ingress".into(), labels: [("istio".into(), "ingress".into())].into(), ..Site::default() }
}

#[test]
fn a_gateway_routes_what_is_bound_to_it_and_names_what_it_does_not_serve() {
    let world = World::at(&format!("{REVIEWS}{GATEWAY}"), &ingress());
    // The only port of the service counts, not the server's.
    assert_eq!(world.gateway(80, "my-app.example.com", "/"), "outbound|9080||reviews.default.svc.cluster.local");
    assert_eq!(world.gateway(80, "other.example.com", "/"), "NR");
    assert_eq!(world.gateway(80, "reviews", "/"), "NR");
    assert_eq!(world.gateway(443, "my-app.example.com", "/"), "outbound|9080||reviews.default.svc.cluster.local");
    let world = World::at(&format!("{REVIEWS}{}", GATEWAY.replace("protocol: HTTPS", "protocol: TLS")), &ingress());
    assert_eq!(world.gateway(443, "my-app.example.com", "/"), "closed");
    let open = world.findings(mesh_config::Code::NOT_ENFORCED);
    assert!(open.iter().any(|message| message.contains("TLS on port 443")), "{open:?}");
}

#[test]
fn a_server_that_redirects_to_https_does_so_for_every_domain_it_has_a_part_in() {
    let redirecting = GATEWAY.replace("protocol: HTTP}, hosts", "protocol: HTTP}, tls: {httpsRedirect: true}, hosts");
    let world = World::at(&format!("{REVIEWS}{redirecting}"), &ingress());
    for authority in ["my-app.example.com", "other.example.com"] {
        assert_eq!(world.gateway(80, authority, "/"), "answered", "{authority}");
    }
}

#[test]
fn a_destination_is_written_as_its_service_is() {
    let rule = |host: &str| {
        format!(
            "{REVIEWS}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec: {{hosts: [Reviews], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}
"
        )
    };
    // The hosts of a rule are compared with what callers write, where case does not count.
    let cluster = "outbound|9080||reviews.default.svc.cluster.local";
    assert_eq!(World::new(&rule("reviews")).to(9080, "REVIEWS", "/"), cluster);
    assert_eq!(World::new(&rule("Reviews")).to(9080, "reviews", "/"), "NC");
}

#[test]
fn rules_of_a_gateway_are_not_the_meshs() {
    let world = World::at(&format!("{REVIEWS}{GATEWAY}"), &ingress());
    assert_eq!(world.to(80, "my-app.example.com", "/"), "passthrough");
    assert!(World::new(&format!("{REVIEWS}{GATEWAY}")).compiled.snapshot.gateway_servers().is_empty());
}

#[test]
fn of_two_policies_for_a_host_the_first_counts() {
    let rule = |name: &str, most: u32| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: default}}
spec: {{host: plain.example, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {most}}}}}}}}}
"
        )
    };
    let world = World::new(&format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: plain, namespace: default}}
spec:
  hosts: [plain.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}]
{}{}",
        rule("my-app-cb", 1),
        rule("my-app", 2)
    ));
    let spec = &world.compiled.snapshot.clusters().iter().find(|c| c.name.contains("plain.example")).unwrap();
    assert_eq!(spec.limits.connections, 2);
    let lost = world.findings(mesh_config::Code::OVERRULED);
    assert!(lost.len() == 1 && lost[0].contains("DestinationRule default/my-app "), "{lost:?}");
}

#[test]
fn a_kubernetes_service_without_endpoints_is_looked_up_by_its_name() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: default}
spec: {ports: [{name: grpc, port: 9080}]}
";
    let world = World::new(service);
    let cluster = world.to(9080, "ratings", "/");
    assert_eq!(cluster, "outbound|9080||ratings.default.svc.cluster.local");
    assert_eq!(world.endpoints(&cluster), ["ratings:9080"]);
}

#[test]
fn endpoint_slices_and_pods_give_endpoints_with_labels() {
    let world = World::new(
        "
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: default}
spec: {selector: {app: ratings}, ports: [{name: http, port: 9080, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ratings-1, namespace: default, labels: {kubernetes.io/service-name: ratings}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.1.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: ratings-a}}
- {addresses: [10.1.0.2], conditions: {ready: false}}
---
apiVersion: v1
kind: Pod
metadata: {name: ratings-a, namespace: default, labels: {app: ratings, version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ratings, namespace: default}
spec: {host: ratings, subsets: [{name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: default}
spec: {hosts: [ratings], http: [{route: [{destination: {host: ratings, subset: v2}}]}]}
",
    );
    assert_eq!(world.endpoints(&world.to(9080, "ratings", "/")), ["10.1.0.1:8080"]);
}

#[test]
fn a_policy_with_a_selector_needs_a_workload_with_labels() {
    let policy = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow, namespace: default}
spec: {selector: {matchLabels: {app: a}}, action: ALLOW, rules: [{}]}
";
    assert!(World::new(policy).compiled.report.has_errors());
    let labelled = |app: &str| Site { labels: [("app".into(), app.into())].into(), ..Site::default() };
    let selected = World::at(policy, &labelled("a"));
    assert!(!selected.compiled.report.has_errors());
    assert!(!selected.compiled.snapshot.authorization().is_empty());
    let other = World::at(policy, &labelled("b")).compiled;
    assert!(other.report.is_empty() && other.snapshot.authorization().is_empty());
}

#[test]
fn what_is_exported_only_elsewhere_does_not_exist_here() {
    let world = World::new(&REVIEWS.replacen("location:", "exportTo: [away]\n  location:", 1));
    assert_eq!(world.to(9080, "reviews", "/"), "passthrough");
}

#[test]
fn an_empty_set_passes_everything_through() {
    let compiled = compile(&ConfigSet::new(), &MeshConfig::default(), &Site::default());
    assert!(compiled.report.is_empty());
    assert_eq!(World { compiled }.to(80, "example.com", "/"), "passthrough");
}

/// A VirtualService with these hosts that sends to a subset of reviews.
fn hosts_to(name: &str, hosts: &str, http: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec: {{hosts: {hosts}, http: {http}}}
"
    )
}

const TO_V1: &str = "[{route: [{destination: {host: reviews, port: {number: 9080}, subset: v1}}]}]";
const TO_V2: &str = "[{route: [{destination: {host: reviews, port: {number: 9080}, subset: v2}}]}]";

#[test]
fn where_the_first_owner_of_a_host_has_no_rule_the_next_one_has_it() {
    let elsewhere = "[{match: [{port: 1}], route: [{destination: {host: reviews, subset: v2}}]}]";
    let world =
        World::new(&format!("{REVIEWS}{}{}", hosts_to("a", "[reviews]", elsewhere), hosts_to("b", "[reviews]", TO_V1)));
    assert_eq!(world.to(9080, "reviews", "/"), REVIEWS_V1);
    assert!(world.findings(mesh_config::Code::OVERRULED).is_empty());
}

#[test]
fn a_host_without_service_acts_on_the_ports_of_the_services_beside_it() {
    let world = World::new(&format!("{REVIEWS}{}", hosts_to("a", "[reviews, made.up]", TO_V1)));
    assert_eq!(world.to(9080, "made.up", "/"), REVIEWS_V1);
    assert_eq!(world.to(80, "made.up", "/"), REVIEWS_V1);
    assert_eq!(world.to(1234, "made.up", "/"), "passthrough");
    let literal = world.findings(mesh_config::Code::LITERAL_HOST);
    assert!(literal.len() == 1 && literal[0].ends_with("ports 80, 9080 only"), "{literal:?}");
}

#[test]
fn a_service_that_is_called_on_port_80_by_mistake_meets_its_rules_without_a_word() {
    let world =
        World::new(&format!("{REVIEWS}{}", hosts_to("a", "[reviews]", "[{route: [{destination: {host: reviews}}]}]")));
    assert_eq!(world.to(80, "reviews.default.svc.cluster.local", "/"), "NC");
    assert_eq!(world.to(80, "reviews", "/"), "passthrough");
    assert!(world.compiled.report.is_empty(), "{}", world.compiled.report);
}

#[test]
fn of_two_wildcards_the_more_specific_takes_a_service() {
    let (wide, narrow) = ("['*.cluster.local']", "['*.default.svc.cluster.local']");
    let world = World::new(&format!("{REVIEWS}{}{}", hosts_to("a", wide, TO_V2), hosts_to("b", narrow, TO_V1)));
    assert_eq!(world.to(9080, "reviews", "/"), REVIEWS_V1);
    assert_eq!(world.to(9080, "other.default.svc.cluster.local", "/"), "passthrough");
}

#[test]
fn a_short_form_belongs_to_the_service_that_has_it_in_full() {
    let named = REVIEWS.replacen("reviews.default.svc.cluster.local", "reviews.default", 1);
    let named = named.replacen("name: reviews,", "name: plain,", 1);
    let world = World::new(&format!("{REVIEWS}{named}"));
    assert_eq!(world.to(9080, "reviews.default", "/"), "outbound|9080||reviews.default");
    assert_eq!(world.to(9080, "reviews", "/"), "outbound|9080||reviews.default.svc.cluster.local");
}

fn kubernetes(name: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\nspec: {spec}\n")
}

#[test]
fn an_external_name_that_is_a_service_is_another_name_of_it() {
    let alias = kubernetes("old", "{type: ExternalName, externalName: reviews.default.svc.cluster.local}");
    let world = World::new(&format!(
        "{REVIEWS}{alias}{}",
        hosts_to("a", "[made.up]", "[{route: [{destination: {host: old, port: {number: 9080}}}]}]")
    ));
    let reviews = "outbound|9080||reviews.default.svc.cluster.local";
    for authority in ["old", "old.default", "old.default.svc.cluster.local", "reviews"] {
        assert_eq!(world.to(9080, authority, "/"), reviews, "{authority}");
    }
    assert_eq!(world.to(80, "made.up", "/"), reviews);
    let circle =
        kubernetes("a", "{type: ExternalName, externalName: b.default.svc.cluster.local, ports: [{port: 80}]}")
            + &kubernetes("b", "{type: ExternalName, externalName: a.default.svc.cluster.local, ports: [{port: 80}]}");
    assert_eq!(World::new(&circle).to(80, "a", "/"), "outbound|80||a.default.svc.cluster.local");
}

#[test]
fn an_endpoint_of_a_headless_service_is_called_by_its_own_name() {
    let world = World::new(&kubernetes("db", "{clusterIP: None, ports: [{name: http, port: 80}]}"));
    assert_eq!(world.to(80, "db", "/"), "outbound|80||db.default.svc.cluster.local");
    for authority in ["db-0.db", "db-0.db.default", "db-0.db.default.svc.cluster.local"] {
        assert_eq!(world.to(80, authority, "/"), "outbound|80||*.db.default.svc.cluster.local", "{authority}");
    }
    assert_eq!(world.endpoints("outbound|80||*.db.default.svc.cluster.local"), ["original"]);
}

fn entry(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: default}}\nspec: {spec}\n"
    )
}

#[test]
fn where_only_connections_are_looked_at_a_service_is_found_by_its_blocks_of_addresses() {
    let wide =
        entry("wide", "{hosts: [wide], addresses: [10.0.0.0/8], ports: [{number: 99, name: tcp, protocol: TCP}]}");
    let narrow =
        entry("narrow", "{hosts: [narrow], addresses: [10.9.0.0/16], ports: [{number: 99, name: tcp, protocol: TCP}]}");
    let world = World::new(&format!("{wide}{narrow}"));
    assert_eq!(world.to(99, "10.1.1.1", "/"), "outbound|99||wide");
    assert_eq!(world.to(99, "10.9.1.1:99", "/"), "outbound|99||narrow");
    assert_eq!(world.to(99, "11.1.1.1", "/"), "passthrough");
    assert!(world.compiled.snapshot.rule(world.route(99, "10.1.1.1", "/").unwrap().route).carried);
    let http = World::new(&wide.replace("protocol: TCP", "protocol: HTTP"));
    assert_eq!(http.to(99, "10.1.1.1", "/"), "passthrough");
}

#[test]
fn a_service_of_connections_without_address_takes_every_host_on_its_port() {
    let entry = |protocol: &str| {
        entry(
            "mix",
            &format!(
                "{{hosts: [mix.example], resolution: STATIC, ports: [{{number: 99, name: p, protocol: {protocol}}}], endpoints: [{{address: 10.0.0.1}}]}}"
            ),
        )
    };
    for (protocol, other) in [("TCP", "outbound|99||mix.example"), ("TLS", "passthrough"), ("HTTP", "passthrough")] {
        assert_eq!(World::new(&entry(protocol)).to(99, "other", "/"), other, "{protocol}");
    }
}

#[test]
fn a_server_that_finds_its_port_taken_is_left_out_and_named() {
    let tcp = GATEWAY.replacen("protocol: HTTP}", "protocol: TCP}", 1).replacen("name: gateway,", "name: a-first,", 1);
    let world = World::at(&format!("{REVIEWS}{tcp}---{GATEWAY}"), &ingress());
    assert_eq!(world.gateway(80, "my-app.example.com", "/"), "closed");
    let refused = world.findings(mesh_config::Code::SERVER_CONFLICT);
    assert!(refused.iter().any(|message| message.contains("port 80 already serves TCP")), "{refused:?}");
}

#[test]
fn rules_of_a_delegate_act_in_the_mesh_and_tell_where_they_are_written() {
    let root = hosts_to(
        "root",
        "[reviews]",
        "[{match: [{uri: {prefix: /a}}], delegate: {name: part}}, {delegate: {name: none}}]",
    );
    let part = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: part, namespace: default}
spec: {http: [{route: [{destination: {host: reviews, subset: v1}}]}]}
";
    let world = World::new(&format!("{REVIEWS}{root}{part}"));
    assert_eq!(world.to(9080, "reviews", "/a/b"), REVIEWS_V1);
    assert_eq!(world.to(9080, "reviews", "/b"), "NR");
    let route = world.compiled.snapshot.rule(world.route(9080, "reviews", "/a").unwrap().route);
    let origin = "VirtualService default/part http[0], delegated to by VirtualService default/root http[0]";
    assert_eq!(route.origin.to_string(), origin);
    assert_eq!(world.findings(mesh_config::Code::DELEGATE_MISSING).len(), 1);
}
