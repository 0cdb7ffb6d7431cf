//! Reading by example: whole texts, and what becomes of them.

use super::*;
use crate::api::mesh_config::MeshConfig;
use crate::diagnostic::Severity;

/// The findings as `line:column CODE path: message`.
fn findings_with(text: &str, options: &ParseOptions) -> Vec<String> {
    let print = |d: &Diagnostic| format!("{}:{} {} {}: {}", d.origin.line, d.origin.column, d.code, d.path, d.message);
    parse_with("f", text, options).1.iter().map(print).collect()
}

fn findings(text: &str) -> Vec<String> {
    findings_with(text, &ParseOptions::default())
}

fn names(text: &str) -> Vec<String> {
    parse("f", text).0.iter().map(|document| document.resource.id().to_string()).collect()
}

const SERVICE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: x}
spec: {hosts: [x]}
";

fn service(spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: x}}\nspec:\n{spec}\n")
}

#[test]
fn several_documents_keep_their_lines_and_order() {
    let (documents, report) = parse("f", &format!("# c\n{SERVICE}---\n---\n# d\n\n{SERVICE}"));
    assert!(report.is_empty(), "{report}");
    let places: Vec<_> = documents.iter().map(|document| (document.origin.line, document.origin.doc_index)).collect();
    assert_eq!(places, [(2, 0), (10, 1)]);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_taken() {
    let text = format!("\u{feff}{}", SERVICE.replace('\n', "\r\n"));
    assert_eq!((names(&text), findings(&text)), (vec!["VirtualService default/x".to_owned()], vec![]));
    let text = format!("{}---\r\n{}", SERVICE.replace('\n', "\r\n"), service("  hots: [x]").replace('\n', "\r\n"));
    assert_eq!(findings(&text), ["10:3 MESH0001 spec.hots: unknown field \"hots\""]);
}

#[test]
fn json_is_taken_with_tabs_and_surrogate_pairs() {
    let text = "{\n\t\"apiVersion\": \"networking.istio.io/v1\",\n\t\"kind\": \"VirtualService\",\n\t\"metadata\": \
                {\"name\": \"x\", \"annotations\": {\"a\": \"\\ud83d\\ude00\"}},\n\t\"spec\": {\"hosts\": [\"x\"], \"hops\": 1}\n}";
    assert_eq!(findings(text), ["5:27 MESH0001 spec.hops: unknown field \"hops\""]);
    let lone = text.replace("\\ude00", "");
    assert!(findings(&lone)[0].contains("MESH0004"), "{:?}", findings(&lone));
}

#[test]
fn lists_are_taken_apart_and_keep_their_places() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: {name: a}\n  \
                spec: {hosts: [a]}\n- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: {name: b}\n  spec:\n    \
                hots: [b]\nmetadata: {}\n";
    assert_eq!(names(list), ["VirtualService default/a"]);
    assert_eq!(findings(list), ["12:5 MESH0001 spec.hots: unknown field \"hots\""]);
    let (documents, _) = parse("f", list);
    assert_eq!((documents[0].origin.line, documents[0].origin.column), (4, 3));
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n {\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \
                \"metadata\": {\"name\": \"n\"}},\n {\"apiVersion\": \"apps/v1\", \"kind\": \"StatefulSet\"}]}";
    assert_eq!(names(json), ["Namespace n"]);
    assert!(findings(json)[0].starts_with("3:"), "{:?}", findings(json));
    assert_eq!(findings("apiVersion: v1\nkind: List\nitems: []"), [""; 0]);
}

#[test]
fn of_very_many_unknown_fields_the_rest_is_counted() {
    let found = |count: usize| {
        let fields: String = (0..count).map(|number| format!("  zq{number}: 1\n")).collect();
        let head =
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec:\n  hosts: [a]\n";
        let (_, report) = parse("f", &format!("{head}{fields}"));
        let unknown = report.iter().filter(|finding| finding.code == Code::UNKNOWN_FIELD);
        unknown.map(|finding| (finding.origin.line, finding.message.clone())).collect::<Vec<_>>()
    };
    assert_eq!(found(200).len(), 200);
    assert_eq!(found(201)[200], (206, "1 more unknown field from here on".to_owned()));
    assert_eq!(found(8000)[200], (206, "7800 more unknown fields from here on".to_owned()));
    assert_eq!(found(8000).len(), 201);
}

#[test]
fn unknown_fields_are_errors_or_warnings_and_name_the_nearest() {
    let text = service(
        "  hosts: [x]\n  http:\n  - match:\n    - sourcelabels: {a: b}\n    route:\n    - destination: {host: x, Port: {number: 1}}",
    );
    let (documents, report) = parse("f", &text);
    assert!(documents.is_empty());
    let helps: Vec<_> =
        report.iter().map(|d| (d.severity, d.origin.line, d.help.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        helps,
        [(Severity::Error, 8, "did you mean `sourceLabels`?"), (Severity::Error, 10, "did you mean `port`?")]
    );
    let (documents, report) = parse_with("f", &text, &ParseOptions::default().lenient());
    assert_eq!((documents.len(), report.count(Severity::Warning)), (1, 2));
}

#[test]
fn a_misplaced_field_is_told_where_it_belongs() {
    let text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\nspec:\n  host: x\n  trafficPolicy:\n    \
                connectionPool:\n      http: {baseEjectionTime: 1s}\n";
    let (_, report) = parse("f", text);
    let help = report.iter().next().and_then(|finding| finding.help.clone());
    assert_eq!(help.as_deref(), Some("`baseEjectionTime` belongs under `spec.trafficPolicy.outlierDetection`"));
    let text = service("  hosts: [x]\n  http:\n  - route:\n    - destination: {host: x, timeout: 1s}");
    let (_, report) = parse("f", &text);
    let help = report.iter().next().and_then(|finding| finding.help.clone());
    assert_eq!(help.as_deref(), Some("`timeout` belongs under `spec.http[]`"));
}

#[test]
fn keys_at_the_top_and_in_the_metadata_are_known() {
    let text = format!("{SERVICE}$patch: delete\n");
    assert_eq!(findings(&text), ["5:1 MESH0001 $patch: unknown field \"$patch\""]);
    let text = SERVICE
        .replace("{name: x}", "{name: x, uid: u, managedFields: [{a: {b: {}}}], ownerReferences: [], lables: {}}");
    let (documents, report) = parse("f", &format!("{text}status: {{conditions: [{{x: 1}}]}}\n"));
    assert_eq!(documents.len(), 1);
    assert_eq!(
        report.iter().map(|d| (d.severity, d.path.to_string())).collect::<Vec<_>>(),
        [(Severity::Warning, "metadata.lables".to_owned())]
    );
}

#[test]
fn wrong_types_name_the_field_and_what_was_found() {
    assert_eq!(
        findings(&service("  hosts: [x]\n  http:\n  - timeout: 10")),
        ["7:14 MESH0005 spec.http[0].timeout: `10` is a number in YAML, and a string is needed here"]
    );
    assert_eq!(findings(&service("  hosts: x")), ["5:10 MESH0005 spec.hosts: expected a list, found `x`"]);
    assert_eq!(
        findings(&SERVICE.replace("name: x", "name: no")),
        ["3:18 MESH0005 metadata.name: `no` is a boolean in YAML, and a string is needed here"]
    );
}

#[test]
fn a_duration_without_a_unit_is_told_what_is_missing() {
    let (_, report) = parse("f", &service("  hosts: [x]\n  http:\n  - timeout: 10"));
    let helps: Vec<_> = report.iter().filter_map(|finding| finding.help.clone()).collect();
    assert_eq!(helps, ["a duration has a unit, as in 10s"]);
}

#[test]
fn duplicates_are_refused_in_every_kind() {
    assert_eq!(
        findings(&service("  hosts: [x]\n  hosts: [y]")),
        ["6:3 MESH0006 spec.hosts: key \"hosts\" is there twice"]
    );
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels: {a: b, a: c}\n";
    assert_eq!(findings(deployment), ["4:18 MESH0006 metadata.labels.a: key \"a\" is there twice"]);
}

#[test]
fn foreign_kinds_are_notes_and_istios_unknown_versions_are_errors() {
    let kind = |version: &str, kind: &str| {
        let (documents, report) =
            parse("f", &format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n"));
        assert!(documents.is_empty());
        report.iter().map(|finding| (finding.code, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(kind("apps/v1", "StatefulSet"), [(Code::FOREIGN_KIND, Severity::Info)]);
    assert_eq!(kind("gateway.networking.k8s.io/v1", "HTTPRoute"), [(Code::FOREIGN_KIND, Severity::Info)]);
    assert_eq!(kind("networking.istio.io/v1alpha9", "Gateway"), [(Code::UNKNOWN_VERSION, Severity::Error)]);
    assert_eq!(kind("networking.istio.io/v1", "PeerAuthentication"), [(Code::FOREIGN_KIND, Severity::Warning)]);
    assert_eq!(kind("networking.istio.io/v1alpha3", "EnvoyFilter"), [(Code::SKIPPED_KIND, Severity::Warning)]);
}

#[test]
fn documents_of_json_may_follow_each_other() {
    let one = |name: &str| {
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {{\"name\": \"{name}\"}}}}")
    };
    let lines = format!("{}\n{}\n", one("a"), one("b"));
    assert_eq!((names(&lines), findings(&lines)), (vec!["Namespace a".to_owned(), "Namespace b".to_owned()], vec![]));
    let printed = lines.replace(", ", ",\n  ").replace("}}\n", "}\n}\n");
    assert_eq!(names(&printed).len(), 2, "{printed}");
    let list = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{},\n{}\n]}}\n# end\n",
        one("a"),
        one("b")
    );
    assert_eq!((names(&list).len(), findings(&list)), (2, vec![]));
    for text in [format!("{} {}", one("a"), one("b")), format!("{}\nmore: here\n", one("a"))] {
        assert_eq!(names(&text), [""; 0]);
        assert!(findings(&text)[0].contains("MESH0004 : the document has ended"), "{:?}", findings(&text));
    }
}

#[test]
fn what_is_no_object_is_told_apart() {
    assert!(findings("This is how\nit works: fine\n")[0].contains("MESH0004"));
    assert!(findings("just some prose\nin two lines\n")[0].contains("MESH0009 : plain text"));
    assert!(findings("- a\n- b\n")[0].contains("MESH0009 : a list"));
    assert!(findings("replicas: 1\nimage: x\n")[0].contains("MESH0009 : no `kind`"));
    assert_eq!(
        findings("{}\n---\nnull\n---\n# only a comment\n"),
        ["0:0 MESH0037 : no objects: only comments and empty documents"]
    );
    assert_eq!(findings(&format!("{{}}\n---\nnull\n---\n{SERVICE}")), [""; 0]);
}

#[test]
fn a_fragment_and_a_null_spec_are_pointed_out() {
    let fragment = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n";
    let codes: Vec<_> = parse("f", fragment).1.iter().map(|finding| (finding.code, finding.severity)).collect();
    assert_eq!(codes, [(Code::EMPTY_SPEC, Severity::Warning), (Code::FRAGMENT, Severity::Warning)]);
    let null = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: x}\nspec:\n";
    assert_eq!(findings(null), ["4:1 MESH0017 spec: the object has no spec; it is read as an empty one"]);
    assert_eq!(names(null), ["PeerAuthentication default/x"]);
}

#[test]
fn a_quoted_boolean_is_a_string() {
    let text = service(
        "  hosts: [x]\n  http:\n  - match: [{uri: {exact: 'true'}, ignoreUriCase: 'true'}]\n    route: [{destination: {host: x}}]",
    );
    assert_eq!(
        findings(&text),
        ["7:51 MESH0005 spec.http[0].match[0].ignoreUriCase: expected true or false, found the string \"true\""]
    );
    assert_eq!(findings(&text.replace("ignoreUriCase: 'true'", "ignoreUriCase: yes")), [""; 0]);
}

#[test]
fn patches_and_objects_without_a_version_are_told_apart() {
    assert_eq!(
        parse("f", "kind: VirtualService\nmetadata: {name: x}\n").1.iter().map(|d| d.code).collect::<Vec<_>>(),
        [Code::FRAGMENT]
    );
    let (_, report) = parse("f", &format!("$patch: delete\n{SERVICE}"));
    assert!(report.to_string().contains("patch of Kustomize"), "{report}");
}

#[test]
fn placeholders_are_found_where_they_parse_and_where_they_do_not() {
    assert_eq!(
        findings(&service("  hosts: ['${HOST}', x]")),
        ["5:11 MESH0008 spec.hosts[0]: the placeholder `${HOST}` was never filled in"]
    );
    let text = service("  hosts: [x]\n  http:\n  - timeout: ${TIMEOUT}");
    assert_eq!(
        parse("f", &text).1.iter().map(|d| (d.code, d.severity, d.origin.line)).collect::<Vec<_>>(),
        [(Code::PLACEHOLDER, Severity::Error, 7)]
    );
    let text = service("  hosts:\n  - {{ .Values.host }}");
    assert!(
        findings(&text)[0].starts_with("6:5 MESH0008 spec.hosts[0]: the placeholder `{{ .Values.host }}`"),
        "{:?}",
        findings(&text)
    );
    let text = service("{{- if .Values.on }}\n  hosts: [x]\n{{- end }}");
    assert!(findings(&text)[0].contains("MESH0008"), "{:?}", findings(&text));
    assert_eq!(
        findings(&service(
            "  hosts: [x]\n  http: [{match: [{uri: {regex: '/a/.*$'}}], route: [{destination: {host: x}}]}]"
        )),
        [""; 0]
    );
}

#[test]
fn namespaces_default_as_told() {
    let options = ParseOptions::default().default_namespace("shop");
    let (documents, _) = parse_with("f", SERVICE, &options);
    assert_eq!(documents[0].resource.id().to_string(), "VirtualService shop/x");
    assert_eq!(names("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}"), ["Namespace shop"]);
}

#[test]
fn a_mesh_config_is_found_in_all_its_forms() {
    for text in [
        "rootNamespace: root\nenableAutoMtls: true\n",
        "meshConfig:\n  rootNamespace: root\nother: 1\n",
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig:\n    rootNamespace: root\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |-\n    rootNamespace: root\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-canary}\ndata: {mesh: 'rootNamespace: root'}\n",
    ] {
        let (documents, report) = parse("f", text);
        assert!(report.is_empty(), "{report}{text}");
        let mesh: Vec<&MeshConfig> = documents
            .iter()
            .filter_map(|document| match &document.resource {
                Resource::MeshConfig(object) => Some(&object.spec),
                _ => None,
            })
            .collect();
        assert_eq!(mesh.iter().map(|mesh| mesh.root_namespace()).collect::<Vec<_>>(), ["root"], "{text}");
    }
}

#[test]
fn findings_in_an_embedded_mesh_config_have_their_place() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: |-\n    # c\n    rootNamespce: root\n    \
                accessLogFile: x\n";
    let (documents, report) = parse("f", text);
    assert_eq!(documents.len(), 1);
    let finding = report.iter().next().unwrap();
    assert_eq!((finding.severity, finding.origin.line, finding.origin.column), (Severity::Warning, 7, 5));
    assert_eq!(finding.help.as_deref(), Some("did you mean `rootNamespace`?"));
}

#[test]
fn secrets_are_read_and_never_shown() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: Opaque\ndata: {key: aHVzaGh1c2g=}\nstringData: {other: hushhush}\n";
    let (documents, report) = parse("f", text);
    assert!(report.is_empty(), "{report}");
    let shown = format!("{documents:?}");
    assert!(!shown.contains("hushhush") && !shown.contains("aHVzaGh1c2g"), "{shown}");
    assert!(documents[0].origin.source().is_none());
    for text in [text.replace("aHVzaGh1c2g=", "'hush hush'"), text.replace("other: hushhush", "other: {hushhush: 1}")] {
        let (documents, report) = parse("f", &text);
        assert!(documents.is_empty() && report.has_errors());
        assert!(!report.to_string().contains("hush hush") && !report.to_string().contains("aHVzaGh1c2g"), "{report}");
    }
}

#[test]
fn kubernetes_objects_may_have_fields_that_are_not_declared() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {sessionAffinity: None, ports: [{port: 80, nodePort: 1}]}\n---\n\
                apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {volumes: [{emptyDir: {}}], containers: []}\nstatus: {podIP: 1.2.3.4}\n";
    assert_eq!(findings(text), [""; 0]);
    assert_eq!(names(text), ["Service default/s", "Pod default/p"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn hostile_texts_are_refused_in_bounded_time() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..30 {
        let nine = vec![format!("*a{}", level - 1); 9].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{nine}]\n"));
    }
    let indented = bomb.replace('\n', "\n  ");
    for (text, code) in [
        (service(&format!("  {indented}")), Code::LIMIT),
        (service(&format!("  hosts: {}", "[".repeat(10_000))), Code::LIMIT),
        (service(&format!("  x:\n  {}", "- ".repeat(10_000))), Code::LIMIT),
        (format!("apiVersion: apps/v1\nkind: X\nx: {}", "[".repeat(10_000)), Code::LIMIT),
        (service(&format!("  hosts: [{}]", "x".repeat(5 << 20))), Code::LIMIT),
        ("a: 1\n---\n".repeat(4 << 20), Code::LIMIT),
        (service("  hosts: [\"a\u{0}b\"]"), Code::SYNTAX),
        (service("  hosts: *nothing"), Code::SYNTAX),
        (service("  hosts: &a [*a]"), Code::LIMIT),
    ] {
        let started = std::time::Instant::now();
        let (documents, report) = parse("f", &text);
        assert!(documents.is_empty());
        assert!(report.iter().any(|finding| finding.code == code), "{report}");
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }
}

#[test]
fn limits_can_be_set() {
    let limits = Limits { max_document_bytes: 10, ..Limits::default() };
    let found = findings_with(SERVICE, &ParseOptions::default().limits(limits));
    assert!(found[0].contains("MESH0007 : the document has"), "{found:?}");
    let limits = Limits { max_documents: 1, ..Limits::default() };
    let (documents, report) =
        parse_with("f", &format!("{SERVICE}---\n{SERVICE}"), &ParseOptions::default().limits(limits));
    assert_eq!((documents.len(), report.len()), (1, 1));
}

#[test]
fn a_good_document_survives_bad_neighbours() {
    let text = format!("a: [\n---\n{SERVICE}---\nb: 1: 2\n---\n{}", service("  hots: 1"));
    assert_eq!(names(&text), ["VirtualService default/x"]);
    assert_eq!(parse("f", &text).1.count(Severity::Error), 3);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = parse("f", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(
        lines in proptest::collection::vec("[ ]{0,4}(- )?(spec|hosts|http|kind|items|x)?(: )?([&*]a|\\[|\\{|\\}|\\]|\\$\\{|'|\"|\\||>|#|no|1|<<: )?", 0..24)
    ) {
        let _ = parse("f", &service(&lines.join("\n")));
        let _ = parse("f", &lines.join("\n"));
    }

    #[test]
    fn cutting_a_document_short_never_panics(at in 0..200_usize) {
        let text = service("  hosts: [x]\n  http:\n  - match: [{uri: {prefix: /é}}]\n    route: [{destination: {host: \"x\\u00e9\"}}]");
        let end = text.char_indices().map(|(end, _)| end).nth(at).unwrap_or(text.len());
        let _ = parse("f", &text[..end]);
    }
}
