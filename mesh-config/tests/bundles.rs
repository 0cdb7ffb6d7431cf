//! Files that hold many objects, as `kubectl` and Helm write them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use mesh_config::{ConfigSet, Report, Severity, parse};

/// The objects that were read, with their lines.
fn objects(text: &str) -> Vec<(String, u32)> {
    let (documents, _) = parse("f", text);
    documents.iter().map(|document| (document.resource.id().to_string(), document.origin.line)).collect()
}

/// Everything that is found, validation included.
fn report(text: &str) -> Report {
    let (documents, mut report) = parse("f", text);
    report.extend(ConfigSet::from_documents(documents).0.validate());
    report
}

fn places(report: &Report) -> Vec<(&str, u32, u32)> {
    report.iter().map(|finding| (finding.code.as_str(), finding.origin.line, finding.origin.column)).collect()
}

/// As `kubectl get virtualservices -o yaml` prints it.
const DUMP: &str = r#"apiVersion: v1
items:
- apiVersion: networking.istio.io/v1
  kind: VirtualService
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"orders"},"spec":{"hosts":["${X}"]}}
    creationTimestamp: "2024-05-01T10:00:00Z"
    generation: 3
    managedFields:
    - apiVersion: networking.istio.io/v1
      fieldsType: FieldsV1
      fieldsV1:
        f:metadata:
          f:annotations:
            .: {}
            f:kubectl.kubernetes.io/last-applied-configuration: {}
        f:spec:
          .: {}
          f:hosts: {}
      manager: kubectl-client-side-apply
      operation: Update
      time: "2024-05-01T10:00:00Z"
    name: orders
    namespace: store
    resourceVersion: "123456"
    uid: 5f0c8a1e-0000-4000-8000-000000000001
  spec:
    hosts:
    - orders
    http:
    - route:
      - destination:
          host: orders
      retries: {attempts: 1, retryOn: never}
  status:
    conditions:
    - lastTransitionTime: "2024-05-01T10:00:00Z"
      status: "True"
      type: Reconciled
    observedGeneration: "3"
    validationMessages: []
- apiVersion: networking.istio.io/v1
  kind: VirtualService
  metadata:
    creationTimestamp: null
    name: carts
    namespace: store
  spec:
    hosts: [carts]
    http:
    - route:
      - destination: {host: carts}
      retrys: {attempts: 2}
kind: List
metadata:
  resourceVersion: ""
"#;

#[test]
fn what_kubectl_prints_is_read_and_findings_have_their_lines() {
    assert_eq!(objects(DUMP), [("VirtualService store/orders".to_owned(), 3)]);
    let found = report(DUMP);
    assert_eq!(places(&found), [("MESH0001", 55, 7), ("IST0106", 36, 39)], "{found}");
}

#[test]
fn what_kubectl_prints_on_windows_is_the_same() {
    let text = DUMP.replace('\n', "\r\n");
    assert_eq!(objects(&text), objects(DUMP));
    assert_eq!(places(&report(&text)), places(&report(DUMP)));
}

#[test]
fn the_elements_of_a_list_of_one_kind_need_not_say_it() {
    let json = "{\"kind\": \"VirtualServiceList\", \"apiVersion\": \"networking.istio.io/v1\", \"metadata\": \
                {\"continue\": \"\"},\n \"items\": [\n  {\"metadata\": {\"name\": \"orders\", \"namespace\": \"store\"},\n   \
                \"spec\": {\"hosts\": [\"orders\"], \"http\": [{\"retries\": {\"attempts\": 1, \"retryOn\": \"never\"}, \"route\": [{\"destination\": {\"host\": \
                \"orders\"}}]}]}},\n  {\"metadata\": {\"name\": \"carts\", \"namespace\": \"store\"}, \"spec\": {\"hots\": 1}}\n ]}\n";
    assert_eq!(objects(json), [("VirtualService store/orders".to_owned(), 3)]);
    let found = report(json);
    let lines: Vec<_> = found.iter().map(|finding| (finding.code.as_str(), finding.origin.line)).collect();
    assert_eq!(lines, [("MESH0001", 5), ("IST0106", 4)], "{found}");

    let yaml = "apiVersion: security.istio.io/v1beta1\nkind: PeerAuthenticationList\nitems:\n- metadata: {name: a}\n  \
                spec: {mtls: {mode: STRICT}}\n- apiVersion: security.istio.io/v1\n  kind: PeerAuthentication\n  metadata: \
                {name: b}\n";
    let names: Vec<_> = objects(yaml).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["PeerAuthentication default/a", "PeerAuthentication default/b"]);

    let services =
        "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: orders}\n  spec: {ports: [{port: 80}]}\n";
    assert_eq!(objects(services), [("Service default/orders".to_owned(), 4)]);
}

#[test]
fn lists_may_hold_lists_and_foreign_kinds() {
    let text = "kind: List\napiVersion: v1\nitems:\n- kind: List\n  apiVersion: v1\n  items:\n  - apiVersion: v1\n    kind: \
                Namespace\n    metadata: {name: store}\n- apiVersion: apps/v1\n  kind: DaemonSet\n  metadata: {name: agent}\n";
    assert_eq!(objects(text), [("Namespace store".to_owned(), 7)]);
    let found = report(text);
    assert_eq!(
        found.iter().map(|d| (d.severity, d.origin.line)).collect::<Vec<_>>(),
        [(Severity::Info, 11)],
        "{found}"
    );
}

/// As `helm template` and `helm install --dry-run` print it.
const RENDERED: &str = "\
NAME: shop
LAST DEPLOYED: Mon Jan  1 00:00:00 2024
NAMESPACE: store
STATUS: pending-install
REVISION: 1
HOOKS:
MANIFEST:
---
# Source: shop/templates/empty.yaml
---
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: orders
  labels:
    helm.sh/chart: shop-0.1.0
spec:
  ports:
  - {name: http, port: 80, targetPort: http}
---
# Source: shop/templates/deployment.yaml
apiVersion: batch/v1
kind: Job
metadata: {name: orders}
---
# Source: shop/templates/route.yaml

apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: orders
spec:
  hosts: [orders]
  http:
  - retries: {attempts: 1, retryOn: never}
    route:
    - destination: {host: orders}
NOTES:
1. Get the address: run
   $ kubectl get svc: orders
";

#[test]
fn what_helm_prints_is_read_and_its_prose_passed_over() {
    assert_eq!(
        objects(RENDERED),
        [("Service default/orders".to_owned(), 12), ("VirtualService default/orders".to_owned(), 29)]
    );
    let found = report(RENDERED);
    let lines: Vec<_> = found.iter().map(|d| (d.code.as_str(), d.severity, d.origin.line)).collect();
    assert_eq!(
        lines,
        [
            ("MESH0009", Severity::Info, 1),
            ("MESH0011", Severity::Info, 24),
            ("MESH0009", Severity::Info, 39),
            ("IST0106", Severity::Error, 36),
        ],
        "{found}"
    );
}

#[test]
fn the_kinds_of_kubernetes_that_a_mesh_needs_are_read() {
    let text = "\
apiVersion: v1
kind: Namespace
metadata: {name: store, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: store}
spec: {clusterIP: 10.0.0.1, selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}
status: {loadBalancer: {}}
---
apiVersion: v1
kind: Endpoints
metadata: {name: orders, namespace: store}
subsets: [{addresses: [{ip: 10.1.0.1, nodeName: a}], ports: [{name: http, port: 8080}]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: orders-abc, namespace: store, labels: {kubernetes.io/service-name: orders}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.1], conditions: {ready: true, serving: true, terminating: false}}]
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: v1
kind: Pod
metadata: {name: orders-1, namespace: store, labels: {app: orders}}
spec: {containers: [{name: app, image: orders, ports: [{containerPort: 8080}]}], tolerations: []}
status: {phase: Running, podIP: 10.1.0.1}
";
    let names: Vec<_> = objects(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "Namespace store",
            "Service store/orders",
            "Endpoints store/orders",
            "EndpointSlice store/orders-abc",
            "Pod store/orders-1"
        ]
    );
    assert!(report(text).is_empty(), "{}", report(text));
}

#[test]
fn an_envoy_filter_is_skipped_and_its_shape_is_looked_at() {
    let text = |patch: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: x}}\nspec:\n  configPatches:\n  - \
             applyTo: HTTP_FILTER\n    match: {{context: SIDECAR_INBOUND, listener: {{portNumber: 80, filterChain: {{filter: \
             {{name: a, subFilter: {{name: b}}}}}}}}}}\n    {patch}\n"
        )
    };
    let good = report(&text("patch: {operation: MERGE, value: {any: [thing, {of: Envoy}], \"@type\": x}}"));
    assert_eq!(good.iter().map(|d| d.severity).collect::<Vec<_>>(), [Severity::Warning], "{good}");
    let bad = report(&text("patches: {operation: MERGE}"));
    let error = bad.errors().next().expect("an error");
    assert_eq!(
        (error.code.as_str(), error.origin.line, error.help.as_deref()),
        ("MESH0001", 8, Some("did you mean `patch`?"))
    );
    let bad = report(&text("patch: [MERGE]"));
    assert_eq!(bad.errors().count(), 1, "{bad}");
}
