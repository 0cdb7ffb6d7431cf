//! `meshctl` as a shell sees it: arguments, standard input, output, exit status.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "meshctl/asking.rs"]
mod asking;
#[path = "meshctl/certs.rs"]
mod certs;
#[path = "meshctl/routing.rs"]
mod routing;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const GOOD: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: books}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews}
";

/// Refused, and warned about.
const BAD: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
  - fault:
      abort: {percentage: {value: 10}}
    route:
    - destination: {host: ratings}
    retries: {attempts: 2, retryOn: sometimes}
";

const MISSPELT: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {server: []}
";

const NAMESPACE: &str = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "books"}}"#;

const FOREIGN: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: reviews}\n";

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn run_with(directory: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_meshctl"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(directory: &Path, arguments: &[&str]) -> Ran {
    run_with(directory, arguments, "")
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

#[test]
fn the_status_is_0_where_nothing_is_found_and_1_where_something_is() {
    let files = folder(&[("good.yaml", GOOD), ("bad.yaml", BAD)]);
    for command in ["validate", "analyze"] {
        let good = run(files.path(), &[command, "good.yaml"]);
        assert_eq!((good.status, good.err.as_str()), (0, ""), "{}", good.out);
        assert_eq!(good.out, "1 document in 1 file: nothing found\n");
        let bad = run(files.path(), &[command, "good.yaml", "bad.yaml"]);
        assert_eq!((bad.status, bad.err.as_str()), (1, ""));
        assert!(bad.out.contains("2 documents in 2 files: 1 error, 1 warning\n"), "{}", bad.out);
    }
}

#[test]
fn the_status_is_2_where_the_command_cannot_run() {
    let files = folder(&[("good.yaml", GOOD), ("empty/note.txt", "")]);
    for (arguments, said) in [
        (&["validate", "none.yaml"][..], "meshctl: none.yaml: "),
        (&["validate", "*.yml"], "meshctl: *.yml: there is no *.yaml, *.yml or *.json\n"),
        (&["analyze", "empty"], "meshctl: empty: there is no *.yaml, *.yml or *.json\n"),
        (&["analyze"], "error: "),
        (&["analyze", "-o", "xml", "good.yaml"], "error: "),
        (&["validate", "--strict", "--lenient", "good.yaml"], "error: "),
        (&["codes", "MESH9999"], "meshctl: there is no code MESH9999"),
        (&["format"], "error: "),
    ] {
        let ran = run(files.path(), arguments);
        assert_eq!(ran.status, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.starts_with(said), "{arguments:?}: {}", ran.err);
    }
    let ran = run(files.path(), &["validate", "good.yaml", "none.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, "1 document in 1 file: nothing found\n"));
}

#[test]
fn the_level_to_fail_on_can_be_chosen() {
    let warned = BAD.replace("    retries: {attempts: 2, retryOn: sometimes}\n", "");
    let files = folder(&[("warned.yaml", warned.as_str()), ("noted.yaml", FOREIGN)]);
    for (file, level, status) in [
        ("warned.yaml", "error", 0),
        ("warned.yaml", "warning", 1),
        ("warned.yaml", "info", 1),
        ("noted.yaml", "warning", 0),
        ("noted.yaml", "info", 1),
    ] {
        assert_eq!(run(files.path(), &["validate", "--fail-on", level, file]).status, status, "{file} {level}");
    }
}

#[test]
fn unknown_fields_are_warnings_to_the_lenient() {
    let files = folder(&[("a.yaml", MISSPELT)]);
    assert_eq!(run(files.path(), &["validate", "a.yaml"]).status, 1);
    assert_eq!(run(files.path(), &["validate", "--strict", "a.yaml"]).status, 1);
    let ran = run(files.path(), &["validate", "--lenient", "a.yaml"]);
    assert!(ran.out.contains("warning[MESH0001]"), "{}", ran.out);
}

#[test]
fn a_person_sees_the_line_the_help_and_the_change() {
    let files = folder(&[("mesh/edge.yaml", MISSPELT), ("mesh/deployment.yaml", FOREIGN)]);
    let ran = run(files.path(), &["validate", "mesh"]);
    assert_eq!(
        ran.out,
        "\
error[MESH0001]: unknown field \"server\"
 --> mesh/edge.yaml:4:8
  |
4 | spec: {server: []}
  |        ^^^^^^
  |
  = in: Gateway default/edge spec.server
  = help: did you mean `servers`?
  |
4 | spec: {servers: []}
  |              +

2 documents in 2 files: 1 error; 1 of other kinds passed over
What a code means, and how to mend it: meshctl codes MESH0001
"
    );
}

#[test]
fn directories_patterns_and_files_are_read_once_each() {
    let files =
        folder(&[("a/one.yaml", GOOD), ("a/b/two.json", NAMESPACE), ("a/note.txt", "x"), ("a/.hidden.yaml", "x: [")]);
    for arguments in [&["a"][..], &["a/**/*"], &["a/*.yaml", "a/b/*.json"], &["a", "a/one.yaml", "a//one.yaml", "./a"]]
    {
        let arguments: Vec<_> = ["validate"].iter().chain(arguments).copied().collect();
        let ran = run(files.path(), &arguments);
        assert_eq!((ran.status, ran.out.as_str()), (0, "2 documents in 2 files: nothing found\n"), "{arguments:?}");
    }
}

#[test]
fn standard_input_is_read_with_a_dash() {
    let ran = run_with(Path::new("."), &["validate", "-o", "json", "-"], BAD);
    assert_eq!(ran.status, 1);
    assert_eq!(ran.json()[0]["file"], "stdin");
    let ran = run_with(Path::new("."), &["analyze", "-"], "");
    assert_eq!((ran.status, ran.out.as_str()), (0, "0 documents in 1 file: nothing found\n"));
}

#[test]
fn validation_as_json_has_an_object_for_each_document() {
    let text = format!("{GOOD}---\n# nothing\n---\n{BAD}---\n{FOREIGN}---\na: [\n");
    let files = folder(&[("a.yaml", text.as_str())]);
    let json = run(files.path(), &["validate", "-o", "json", "a.yaml"]).json();
    let document = |index: u32, kind: &str, namespace: &str, name: &str| {
        json!({"file": "a.yaml", "doc_index": index, "kind": kind, "namespace": namespace, "name": name,
               "valid": true, "errors": [], "warnings": []})
    };
    assert_eq!(json[0], document(0, "VirtualService", "books", "reviews"));
    assert_eq!(
        json[1],
        json!({
            "file": "a.yaml", "doc_index": 1, "kind": "VirtualService", "namespace": "", "name": "ratings", "valid": false,
            "errors": [{"code": "IST0106", "message": "\"sometimes\" is not a valid retryOn policy", "line": 22, "column": 37,
                        "path": "spec.http[0].retries.retryOn"}],
            "warnings": [{"code": "IST0133", "message": "abort configured, but error type not set", "line": 19,
                          "column": 14, "path": "spec.http[0].fault.abort"}],
        })
    );
    assert_eq!(json[2], document(2, "StatefulSet", "", "reviews"));
    assert_eq!((&json[3]["valid"], &json[3]["errors"][0]["code"]), (&json!(false), &json!("MESH0004")));
    assert_eq!(json.as_array().unwrap().len(), 4);
}

#[test]
fn analysis_as_json_has_an_object_for_each_finding() {
    let files = folder(&[("a.yaml", GOOD.replace("{host: reviews}", "{host: reviews, subset: v2}").as_str())]);
    let ran = run(files.path(), &["analyze", "-o", "json", "a.yaml"]);
    assert_eq!(
        (ran.status, ran.json()),
        (
            1,
            json!([{
                "code": "IST0101", "level": "Error", "resource": "VirtualService books/reviews",
                "message": "Referenced host+subset in destinationrule not found: \"reviews+v2\"",
                "file": "a.yaml", "line": 8, "column": 44,
                "help": "no DestinationRule defines subsets of `reviews.books.svc.cluster.local`",
            }])
        )
    );
    let files = folder(&[("a.yaml", GOOD)]);
    assert_eq!(run(files.path(), &["analyze", "-o", "json", "a.yaml"]).json(), json!([]));
}

#[test]
fn objects_without_a_namespace_are_in_the_one_that_is_named() {
    let files = folder(&[("a.yaml", BAD)]);
    for (arguments, resource) in
        [(&[][..], "VirtualService default/ratings"), (&["--namespace", "shop"], "VirtualService shop/ratings")]
    {
        let arguments: Vec<_> = ["analyze", "-o", "json", "a.yaml"].iter().chain(arguments).copied().collect();
        assert_eq!(run(files.path(), &arguments).json()[0]["resource"], resource);
    }
}

/// Selects no pod.
const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: api, namespace: books}
spec: {selector: {matchLabels: {app: api}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: api}}
spec: {containers: [{name: web, image: web}, {name: istio-proxy, image: proxyv2}]}
";

#[test]
fn the_root_namespace_can_be_named() {
    let files = folder(&[("a.yaml", POLICY)]);
    let codes = |arguments: &[&str]| {
        let arguments: Vec<_> =
            ["analyze", "--cluster", "-o", "json", "a.yaml"].iter().chain(arguments).copied().collect();
        let found = run(files.path(), &arguments).json();
        found.as_array().unwrap().iter().any(|finding| finding["code"] == "IST0127")
    };
    assert!(codes(&[]));
    assert!(!codes(&["--root-namespace", "books"]));
}

#[test]
fn every_document_is_validated_even_if_another_has_its_name() {
    let files = folder(&[("a.yaml", BAD), ("b.yaml", GOOD.replace("reviews, namespace: books", "ratings").as_str())]);
    let json = run(files.path(), &["validate", "-o", "json", "."]).json();
    assert_eq!((&json[0]["valid"], &json[1]["valid"]), (&json!(false), &json!(true)));
    let out = run(files.path(), &["analyze", "."]).out;
    assert!(out.contains("MESH0014"), "{out}");
}

#[test]
fn sarif_has_the_structure_that_the_standard_asks_for() {
    let files = folder(&[("a b.yaml", BAD), ("edge.yaml", MISSPELT), ("broken.yaml", "a: [\n")]);
    let ran = run(files.path(), &["analyze", "-o", "sarif", "."]);
    let log = ran.json();
    assert_eq!((ran.status, &log["version"]), (1, &json!("2.1.0")));
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "meshctl");
    let rules = driver["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["id"].is_string() && rule["shortDescription"]["text"].is_string()));
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "{results:?}");
    for result in results {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(["a%20b.yaml", "edge.yaml", "broken.yaml"].iter().any(|name| uri.ends_with(name)), "{uri}");
        let number = |name: &str| place["region"][name].as_u64().unwrap();
        let (start, end) = ((number("startLine"), number("startColumn")), (number("endLine"), number("endColumn")));
        assert!(start.0 >= 1 && start.1 >= 1 && end > start, "{place}");
    }
    let fixes: Vec<_> = results.iter().filter_map(|result| result.get("fixes")).collect();
    let text = &fixes[0][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"];
    assert_eq!((fixes.len(), text), (1, &json!("servers")));
}

#[test]
fn github_gets_a_command_for_each_finding() {
    let files = folder(&[("a.yaml", MISSPELT)]);
    assert_eq!(
        run(files.path(), &["validate", "-o", "github", "a.yaml"]).out,
        "::error file=a.yaml,line=4,endLine=4,col=8,endColumn=14,title=MESH0001 unknown-field::Gateway default/edge \
         spec.server: unknown field \"server\"%0Ahelp: did you mean `servers`?\n"
    );
}

#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    let files = folder(&[]);
    let ran = run(files.path(), &["validate", "a\u{1b}]0;owned\u{7}.yaml"]);
    assert_eq!((ran.status, ran.err.contains('\u{1b}')), (2, false), "{:?}", ran.err);
}

#[test]
fn every_code_has_a_page_and_a_line() {
    let here = Path::new(".");
    let list = run(here, &["codes"]);
    assert_eq!(list.status, 0);
    for code in mesh_config::Code::all() {
        assert!(list.out.lines().any(|line| line.starts_with(code.as_str())));
        let page = run(here, &["codes", &code.as_str().to_lowercase()]);
        assert_eq!((page.status, page.out.as_str()), (0, code.page()));
    }
}

#[test]
fn the_version_and_completions_are_printed() {
    let here = Path::new(".");
    let version = run(here, &["version"]).out;
    assert_eq!(version, format!("meshctl {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(here, &["--version"]).out, version);
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(here, &["completion", shell]);
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("analyze") && ran.out.contains("fail-on"), "{}", ran.out);
    }
}

#[test]
fn ten_thousand_files_are_read_in_silence_where_nobody_watches() {
    let files = folder(&[]);
    for index in 0..10_000 {
        let name = format!("{index}.yaml");
        fs::write(files.path().join(name), GOOD.replace("name: reviews", &format!("name: r{index}"))).unwrap();
    }
    let ran = run(files.path(), &["validate", "."]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "10000 documents in 10000 files: nothing found\n");
}

#[test]
#[cfg(unix)]
fn a_pipe_that_is_named_is_read_and_a_file_of_two_names_once() {
    let files = folder(&[("a/one.yaml", GOOD)]);
    let ran = run_with(files.path(), &["validate", "/dev/stdin"], MISSPELT);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("did you mean `servers`?"), "{}", ran.out);
    std::os::unix::fs::symlink(".", files.path().join("a/self")).unwrap();
    let ran = run(files.path(), &["validate", "a/**/*.yaml", "a/one.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "1 document in 1 file: nothing found\n"));
}
