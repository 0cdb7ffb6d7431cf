//! Documents with something wrong, and where that is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use mesh_tower::mesh_config::{Code, Diagnostic, Report};

/// A file that makes the set it belongs to an error.
pub(crate) struct Bad {
    pub(crate) what: &'static str,
    pub(crate) content: &'static [u8],
    /// What is found.
    code: Code,
    /// At which line; 0: the file as a whole.
    line: u32,
    /// What the finding also says.
    says: &'static str,
}

pub(crate) const NAME: &str = "x-bad.yaml";

impl Bad {
    pub(crate) fn write(&self, folder: &Path) {
        if self.code == Code::UNREADABLE && self.content.is_empty() {
            return symlink("nowhere", folder.join(NAME)).unwrap();
        }
        fs::write(folder.join(NAME), self.content).unwrap();
    }

    /// Whether a report holds the finding, with its place, and an error at that place: a placeholder is only pointed
    /// out, the field that it stands in refuses it.
    pub(crate) fn is_in(&self, report: &Report) -> bool {
        let is_here = |finding: &&Diagnostic| finding.origin.file.ends_with(NAME) && finding.origin.line == self.line;
        let says = |finding: &Diagnostic| finding.code == self.code && finding.to_string().contains(self.says);
        report.iter().filter(is_here).any(says) && report.errors().any(|finding| is_here(&finding))
    }

    /// How the finding begins when it is printed.
    pub(crate) fn place(&self) -> String {
        if self.line == 0 { format!("{NAME}: error[") } else { format!("{NAME}:{}:", self.line) }
    }
}

macro_rules! rules {
    ($rest:literal) => {
        concat!(
            "apiVersion: networking.istio.io/v1\n",
            "kind: VirtualService\n",
            "metadata: {name: x, namespace: default}\n",
            "spec:\n",
            $rest
        )
        .as_bytes()
    };
}

pub(crate) const BAD: &[Bad] = &[
    Bad { what: "not YAML", content: b"a: [1, 2\nb: }\n", code: Code::SYNTAX, line: 2, says: "" },
    Bad { what: "plain text", content: b"hello\n", code: Code::NOT_AN_OBJECT, line: 1, says: "plain text" },
    Bad { what: "not text", content: b"a: 1\nb: \xff\n", code: Code::UNREADABLE, line: 2, says: "not UTF-8" },
    Bad { what: "UTF-16", content: b"\xff\xfea\0:\0", code: Code::UNREADABLE, line: 1, says: "UTF-16" },
    Bad { what: "a link to nowhere", content: b"", code: Code::UNREADABLE, line: 0, says: "cannot be read" },
    Bad {
        what: "half of a list",
        content: rules!("  hosts: [app]\n  http: [{route: [{destination: {host: ap"),
        code: Code::SYNTAX,
        line: 6,
        says: "",
    },
    Bad {
        what: "half of a key",
        content: rules!("  hosts: [app]\n  http:\n  - route:\n    - destination: {host: app}\n      wei"),
        code: Code::SYNTAX,
        line: 9,
        says: "",
    },
    Bad {
        what: "half of the rules",
        content: rules!("  hosts: [app]\n"),
        code: Code::SCHEMA_ERROR,
        line: 5,
        says: "http, tcp or tls must be provided",
    },
    Bad {
        what: "a Helm placeholder",
        content: rules!("  hosts: [app]\n  http:\n  - route:\n    - destination: {host: '{{ .Values.host }}'}\n"),
        code: Code::PLACEHOLDER,
        line: 8,
        says: "{{ .Values.host }}",
    },
    Bad {
        what: "a Helm placeholder without quotes",
        content: rules!(
            "  hosts: [app]\n  http:\n  - route:\n    - destination: {host: app}\n      weight: {{ .Values.weight }}\n"
        ),
        code: Code::PLACEHOLDER,
        line: 9,
        says: "{{ .Values.weight }}",
    },
    Bad {
        what: "a shell placeholder",
        content: rules!("  hosts: [app]\n  http:\n  - route:\n    - destination:\n        host: ${HOST}\n"),
        code: Code::PLACEHOLDER,
        line: 9,
        says: "${HOST}",
    },
    Bad {
        what: "a shell placeholder for a number",
        content: rules!(
            "  hosts: [app]\n  http:\n  - route:\n    - destination: {host: app}\n      weight: ${WEIGHT}\n"
        ),
        code: Code::PLACEHOLDER,
        line: 9,
        says: "${WEIGHT}",
    },
    Bad {
        what: "a placeholder of a manual",
        content: rules!("  hosts: [<YOUR_HOST>]\n  http:\n  - route:\n    - destination: {host: app}\n"),
        code: Code::PLACEHOLDER,
        line: 5,
        says: "<YOUR_HOST>",
    },
    Bad {
        what: "a misspelt field",
        content: rules!("  hosts: [app]\n  http:\n  - route:\n    - destination: {host: app}\n      wieght: 1\n"),
        code: Code::UNKNOWN_FIELD,
        line: 9,
        says: "did you mean `weight`",
    },
    Bad {
        what: "a key that stands twice",
        content: rules!("  hosts: [app]\n  hosts: [app]\n"),
        code: Code::DUPLICATE_KEY,
        line: 6,
        says: "hosts",
    },
    Bad {
        what: "a value that Istio refuses",
        content: rules!("  hosts: [app]\n  http:\n  - timeout: 0s\n    route:\n    - destination: {host: app}\n"),
        code: Code::SCHEMA_RULE,
        line: 7,
        says: "1ms",
    },
];

/// A good set: a service with one endpoint and a rule that marks its answers.
pub(crate) fn good(upstream: std::net::SocketAddr, mark: &str) -> String {
    let rule = format!("headers: {{response: {{set: {{x-mark: {mark}}}}}}}, route: [{{destination: {{host: app}}}}]");
    crate::support::documents::service("app", 80, &[("v1", upstream)])
        + &crate::support::documents::virtual_service("app", &[&rule])
}
