//! The mistakes that real files have most, and what is said about each: where it is, and how to mend it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use mesh_config::{Diagnostic, Severity, parse};

/// The only finding of a text.
fn only(text: &str) -> Diagnostic {
    let (_, report) = parse("f", text);
    assert_eq!(report.len(), 1, "{report}{text}");
    report.iter().next().cloned().unwrap()
}

/// The finding of a code. What else is found, such as fields that the object needs, is of no interest.
fn expect(text: &str, code: &str, line: u32, help: &str) {
    let (_, report) = parse("f", text);
    let finding = report.iter().find(|finding| finding.code.as_str() == code);
    let finding = finding.unwrap_or_else(|| panic!("no {code}: {report}{text}"));
    assert_eq!(finding.origin.line, line, "{finding}\n{text}");
    let said = finding.help.as_deref().unwrap_or_default();
    assert!(said.contains(help), "{said:?} does not say {help:?}\n{text}");
}

fn spec_of(kind: &str, spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata:\n  name: orders\nspec:\n{spec}\n")
}

fn virtual_service(spec: &str) -> String {
    spec_of("VirtualService", spec)
}

#[test]
fn a_placeholder_is_called_one() {
    for (line, placeholder) in [
        ("  hosts: [\"${HOST}\"]", "${HOST}"),
        ("  hosts: [$(host)]", "$(host)"),
        ("  hosts: ['<HOST>']", "<HOST>"),
        ("  hosts: [PATCH_ME]", "PATCH_ME"),
        ("  hosts: ['{{ .Values.host }}']", "{{ .Values.host }}"),
        ("  hosts: [x]\n  http:\n  - timeout: ${TIMEOUT}", "${TIMEOUT}"),
        ("  hosts: {{ .Values.hosts }}", "{{ .Values.hosts }}"),
    ] {
        let finding = only(&virtual_service(line));
        assert_eq!(finding.code.as_str(), "MESH0008", "{finding}");
        assert!(finding.message.contains(&format!("the placeholder `{placeholder}` was never filled in")), "{finding}");
    }
}

#[test]
fn braces_without_quotes_are_told_to_be_a_placeholder() {
    expect(&virtual_service("  hosts:\n  - {host}"), "MESH0005", 7, "`{host}` is a placeholder");
}

#[test]
fn a_list_where_a_mapping_belongs_and_the_reverse() {
    expect(&virtual_service("  hosts: [x]\n  http:\n    route: []"), "MESH0005", 8, "begin it with `- `");
    expect(&virtual_service("  hosts: x"), "MESH0005", 6, "a list of one: [x]");
    expect(
        &virtual_service("  hosts: [x]\n  http:\n  - route:\n    - destination:\n      - host: x"),
        "MESH0005",
        10,
        "take the `- ` away",
    );
    expect(
        &virtual_service("  hosts: [x]\n  http:\n  - route:\n    - destination:\n      - host: x\n      - subset: y"),
        "MESH0005",
        10,
        "take each `- ` away",
    );
    expect(
        &virtual_service("  hosts: [x]\n  http:\n  - route: [{destination: {host: x, port: 80}}]"),
        "MESH0005",
        8,
        "write {number: 80}",
    );
    expect(
        &virtual_service("  hosts: [x]\n  http:\n  - route: [{destination: x}]"),
        "MESH0005",
        8,
        "its fields are host, subset, port",
    );
}

#[test]
fn a_value_that_yaml_takes_for_something_else_needs_quotes() {
    expect(&virtual_service("  hosts: [x]\n  exportTo: [no]"), "MESH0005", 7, "quote it: \"no\"");
    expect(
        &spec_of("DestinationRule", "  host: x\n  subsets:\n  - name: v1\n    labels: {version: 1.0}"),
        "MESH0005",
        9,
        "quote it: \"1.0\"",
    );
    expect(&virtual_service("  hosts: [x]\n  http:\n  - timeout: 10"), "MESH0005", 8, "as in 10s");
}

#[test]
fn a_name_of_a_single_letter_is_read_and_a_cluster_refuses_it() {
    let text = virtual_service("  hosts: [x]").replace("name: orders", "name: y");
    let finding = only(&text);
    assert_eq!((finding.code.as_str(), finding.severity, finding.origin.line), ("MESH0005", Severity::Warning, 4));
    assert_eq!(finding.help.as_deref(), Some("quote it: \"y\""));
    assert_eq!(parse("f", &text).0.len(), 1);
}

#[test]
fn a_field_of_another_case_or_place_is_told_its_own() {
    let route = |destination: &str| {
        virtual_service(&format!("  hosts: [x]\n  http:\n  - route:\n    - destination: {{host: x, {destination}}}"))
    };
    expect(&route("Port: {number: 80}"), "MESH0001", 9, "did you mean `port`?");
    expect(&route("timeout: 1s"), "MESH0001", 9, "`timeout` belongs under `spec.http[]`");
    expect(
        &spec_of("Gateway", "  servers:\n  - tls: {httpsredirect: true}"),
        "MESH0001",
        7,
        "did you mean `httpsRedirect`?",
    );
    expect(
        &spec_of("DestinationRule", "  host: x\n  trafficPolicy:\n    connectionPool:\n      http: {interval: 1s}"),
        "MESH0001",
        9,
        "belongs under",
    );
    let outside =
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nhosts: [x]\nspec: {}\n";
    expect(outside, "MESH0001", 4, "`hosts` belongs under `spec`");
}

#[test]
fn a_kind_that_is_misspelt_is_no_foreign_kind() {
    let text = |api_version: &str, kind: &str| {
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n")
    };
    for kind in ["virtualservice", "VirtualServices", "Virtualservice", "VirtualServise"] {
        expect(&text("networking.istio.io/v1", kind), "MESH0035", 2, "did you mean `VirtualService`?");
    }
    let finding = only(&text("security.istio.io/v1", "AuthorisationPolicy"));
    assert_eq!(finding.severity, Severity::Error, "a policy that is passed over lets everybody in");
    for (api_version, kind) in [
        ("rbac.istio.io/v1alpha1", "ServiceRole"),
        ("apps/v1", "StatefulSet"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ] {
        let finding = only(&text(api_version, kind));
        assert_eq!((finding.code.as_str(), finding.severity), ("MESH0011", Severity::Info));
    }
}

#[test]
fn a_kind_of_the_wrong_group_is_told_the_right_one() {
    let text = |api_version: &str, kind: &str| {
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n")
    };
    for (api_version, kind, help) in [
        ("networking.istio.io/v1", "AuthorizationPolicy", "did you mean `security.istio.io/v1`?"),
        ("network.istio.io/v1", "VirtualService", "did you mean `networking.istio.io/v1`?"),
        ("v1", "VirtualService", "did you mean `networking.istio.io/v1`?"),
    ] {
        expect(&text(api_version, kind), "MESH0011", 1, help);
    }
    expect(&text("networking.istio.io/v2", "VirtualService"), "MESH0012", 1, "v1, v1beta1, v1alpha3");
}

#[test]
fn an_object_that_does_not_say_what_it_is() {
    let rest = "metadata: {name: x}\nspec:\n  hosts: [x]\n  http: []\n";
    let istio = "apiVersion: networking.istio.io/v1\n";
    expect(&format!("{istio}{rest}"), "MESH0009", 1, "add `kind: VirtualService`");
    assert_eq!(only(&format!("{istio}{rest}")).severity, Severity::Error);
    expect(&format!("{istio}Kind: VirtualService\n{rest}"), "MESH0009", 2, "did you mean `kind`?");
    expect(
        &format!("apiversion: networking.istio.io/v1\nkind: VirtualService\n{rest}"),
        "MESH0010",
        1,
        "did you mean `apiVersion`?",
    );
    expect(&format!("kind: VirtualService\n{rest}"), "MESH0010", 1, "a patch or a reference");
    expect(rest, "MESH0010", 1, "a patch or a reference");
    expect("hosts: [x]\nhttp:\n- route: []\n", "MESH0010", 1, "`kind: VirtualService`");
}

#[test]
fn files_of_other_tools_are_told_apart() {
    let passed_over = |text: &str| {
        let finding = only(text);
        assert!(finding.severity < Severity::Error, "{finding}");
        finding.help.unwrap_or_default()
    };
    assert!(passed_over("replicaCount: 2\nimage: {tag: v1}\n").contains("helm template"));
    assert!(passed_over("apiVersion: v2\nname: shop\nversion: 0.1.0\n").contains("helm template"));
    assert!(passed_over("resources: [a.yaml]\nnamePrefix: x-\n").contains("kubectl kustomize"));
    assert!(passed_over("nameReference:\n- kind: Gateway\n  fieldSpecs: []\n").contains("kubectl kustomize"));
}

#[test]
fn what_is_no_object_is_refused_with_a_reason() {
    expect("- op: replace\n  path: /spec/hosts/0\n  value: x\n", "MESH0010", 1, "kubectl kustomize");
    expect("- apiVersion: v1\n  kind: Namespace\n", "MESH0009", 1, "`kind: List`");
    expect("Some words about the mesh\nand more of them\n", "MESH0009", 1, "");
    expect("cat <<EOF | kubectl apply -f -\nsome: thing\nEOF\n", "MESH0004", 2, "commands around it");
    expect("```yaml\nkind: x\n```\n", "MESH0004", 1, "Markdown");
    expect(
        "apiVersion: v1\n<<<<<<< HEAD\nkind: A\n=======\nkind: B\n>>>>>>> main\n",
        "MESH0004",
        2,
        "settle the merge conflict",
    );
}

#[test]
fn tabs_are_named() {
    expect("apiVersion: v1\nkind: Namespace\nmetadata:\n\tname: x\n", "MESH0004", 4, "spaces");
}

#[test]
fn a_name_that_no_cluster_takes_is_refused() {
    let text = |name: &str| virtual_service("  hosts: [x]").replace("name: orders", &format!("name: {name}"));
    for name in ["Orders", "my_orders", "../../orders", "orders."] {
        let finding = only(&text(name));
        assert_eq!((finding.code.as_str(), finding.origin.line), ("MESH0036", 4));
    }
    assert_eq!(parse("f", &text("orders.v2-x")).1.len(), 0);
}

#[test]
fn a_text_without_objects_is_remarked_upon_once() {
    let finding = only(&"---\n{}\n# nothing\n".repeat(1_000));
    assert_eq!((finding.code.as_str(), finding.severity), ("MESH0037", Severity::Info));
    assert!(parse("f", "").1.is_empty());
}

#[test]
fn a_tag_may_say_that_a_value_is_a_text_and_not_that_it_is_base64() {
    assert!(parse("f", &virtual_service("  hosts: [!!str 123]")).1.is_empty());
    expect(&virtual_service("  hosts: [!!binary YQ==]"), "MESH0005", 6, "without `!!binary`");
}
