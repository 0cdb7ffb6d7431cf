//! What Istio's CRDs object to, beside what the reader has found itself.

use super::object::mind_placeholder;
use super::{Piece, Reader};
use crate::crd::{self, Finding, Objection};
use crate::diagnostic::{Advice, Code, Diagnostic, Severity, Target};
use crate::locate::{Tree, camel_case};
use crate::resource::{Kind, ResourceId};

impl Reader<'_> {
    /// Adds to the reader's findings about a document those by its CRD, in the order of the text. A fact that both have
    /// found stays once: a wrong type as the reader says it, anything else in the words of the API server.
    pub(super) fn objections(
        &self,
        kind: Kind,
        piece: &Piece,
        tree: &Tree,
        id: Option<&ResourceId>,
        mut said: Vec<Diagnostic>,
    ) -> Vec<Diagnostic> {
        let objections = match tree.root() {
            Some(root) if self.options.crd_rules => crd::check(kind, tree, root),
            _ => Vec::new(),
        };
        if objections.is_empty() {
            return said;
        }
        for objection in objections {
            let Some(severity) = self.settle_with(&objection, &mut said) else { continue };
            let mut finding = self.finding(objection, severity, piece, tree);
            finding.resource = id.cloned();
            said.push(finding);
        }
        said.sort_by_key(|finding| (finding.origin.line, finding.origin.column));
        said
    }

    /// Compares an objection with what was said already: how bad it is and what helps, or nothing if it is known.
    fn settle_with(&self, objection: &Finding, said: &mut Vec<Diagnostic>) -> Option<(Severity, Option<Advice>)> {
        let own = if self.options.strict { Severity::Error } else { Severity::Warning };
        let by_reader = |finding: &Diagnostic| !matches!(finding.code, Code::SCHEMA_RULE | Code::SNAKE_CASE);
        let same = said.iter().position(|finding| {
            by_reader(finding) && finding.path.is_within(&objection.path) && objection.path.is_within(&finding.path)
        });
        match (objection.about, same) {
            (_, Some(at)) if said[at].code == Code::PLACEHOLDER => None,
            (Objection::Type, Some(at)) => {
                said[at].effect.get_or_insert_with(|| format!("the API server refuses it: {}", objection.message));
                None
            }
            // As istiod reads it, so that a mode by its number never counts as unset.
            (Objection::Number, None) => Some((Severity::Info, None)),
            (Objection::Number, Some(at)) => {
                said[at].effect.get_or_insert_with(|| format!("the API server refuses it: {}", objection.message));
                None
            }
            // The reader may have stopped further in, or not have come as far as this.
            (Objection::Type, None) => {
                let known = |finding: &Diagnostic| {
                    by_reader(finding)
                        && (finding.path.is_within(&objection.path) || objection.path.is_within(&finding.path))
                };
                (!said.iter().any(known)).then_some((own, None))
            }
            (_, Some(at)) => Some((Severity::Error, said.remove(at).into_advice())),
            (_, None) => Some((own, None)),
        }
    }

    fn finding(
        &self,
        objection: Finding,
        (severity, advice): (Severity, Option<Advice>),
        piece: &Piece,
        tree: &Tree,
    ) -> Diagnostic {
        let Finding { path, about, message, help, at_key } = objection;
        let code = if about == Objection::Name { Code::SNAKE_CASE } else { Code::SCHEMA_RULE };
        let place = tree.find(&path, if at_key { Target::Key } else { Target::Value });
        let advice = advice.or_else(|| match (about, path.segments().last().and_then(|field| field.name())) {
            (Objection::Name, Some(name)) => Some(Advice::Field { words: help?, name: camel_case(name).into_owned() }),
            _ => help.map(Advice::from),
        });
        let mut finding = Diagnostic::new(code, severity, message).path(path).effect(self.effect(about)).advise(advice);
        if at_key {
            finding = finding.at_key();
        } else {
            finding = mind_placeholder(finding, piece.text(), place);
        }
        piece.about_place(finding, place)
    }

    fn effect(&self, about: Objection) -> &'static str {
        match (about, self.options.strict) {
            (Objection::Name, true) => {
                "kubectl refuses the object; a client that does not ask for strict checks has the field dropped"
            }
            (Objection::Name, false) => "the mesh reads the field; an API server would have dropped it",
            (Objection::Number, _) => "the mesh reads the number; the API server refuses the object",
            (_, true) => "the API server refuses the object, so what was stored before stays in force",
            (_, false) => "the mesh acts on the object; an API server would not store it",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{ParseOptions, parse, parse_with};
    use crate::{Code, Diagnostic, Report, Severity};

    fn document(kind: &str, spec: &str) -> String {
        let group = if kind.ends_with("Authentication") { "security" } else { "networking" };
        format!("apiVersion: {group}.istio.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec:\n  {spec}\n")
    }

    fn found(kind: &str, spec: &str) -> Vec<Diagnostic> {
        parse("f", &document(kind, spec)).1.into_iter().collect()
    }

    fn codes(report: &Report) -> Vec<&str> {
        report.iter().map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn a_document_that_the_api_server_refuses_is_not_kept() {
        let text = document("ServiceEntry", "hosts: ['*']");
        let (documents, report) = parse("f", &text);
        assert!(documents.is_empty());
        assert_eq!(
            report.to_string(),
            "f:5:11: error[MESH0020] ServiceEntry default/x: spec.hosts[0]: Invalid value: \"*\": hostname cannot be \
             wildcard\n  at run time: the API server refuses the object, so what was stored before stays in force\n  \
             help: name the hosts, or all below a domain, as in `*.example.com`\n"
        );
    }

    #[test]
    fn read_leniently_it_is_kept_with_a_warning() {
        let (documents, report) =
            parse_with("f", &document("ServiceEntry", "hosts: ['*']"), &ParseOptions::default().lenient());
        assert_eq!((documents.len(), report.count(Severity::Warning), report.len()), (1, 1, 1));
    }

    #[test]
    fn without_the_rules_it_is_the_webhooks_to_judge() {
        let options = ParseOptions::default().crd_rules(false);
        let (documents, report) = parse_with("f", &document("ServiceEntry", "hosts: ['*']"), &options);
        assert_eq!((documents.len(), report.len()), (1, 0));
    }

    #[test]
    fn a_wrong_type_stays_in_the_readers_words_with_the_api_servers_below() {
        let found = found("VirtualService", "hosts: [123]");
        assert_eq!((found.len(), found[0].code), (1, Code::WRONG_TYPE));
        assert!(found[0].message.starts_with("`123` is a number in YAML"));
        assert!(found[0].effect.as_deref().unwrap().ends_with("must be of type string: \"integer\""));
    }

    #[test]
    fn a_type_that_only_the_api_server_minds_is_found() {
        let spec = "hosts: [a]\n  http: [{route: [{weight: '50', destination: {host: a}}]}]";
        let found = found("VirtualService", spec);
        assert_eq!((found.len(), found[0].code), (1, Code::SCHEMA_RULE), "{found:?}");
        assert_eq!(found[0].help.as_deref(), Some("write the value without quotes"));
    }

    #[test]
    fn any_other_fact_is_in_the_api_servers_words_with_the_readers_help() {
        let found = found("ServiceEntry", "hosts: [a]\n  resolution: DNS_ROUNDROBIN");
        assert_eq!((found.len(), found[0].code), (1, Code::SCHEMA_RULE));
        assert!(found[0].message.starts_with("spec.resolution: Unsupported value: \"DNS_ROUNDROBIN\""));
        assert_eq!(found[0].help.as_deref(), Some("did you mean `DNS_ROUND_ROBIN`?"));
        let lenient = ParseOptions::default().lenient();
        let text = document("ServiceEntry", "hosts: [a]\n  resolution: DNS_ROUNDROBIN");
        assert!(parse_with("f", &text, &lenient).1.has_errors(), "what cannot be read cannot be kept");
    }

    #[test]
    fn a_single_letter_is_a_boolean_to_the_api_server_and_said_to_be_one_once() {
        let found = found("VirtualService", "hosts: [y]");
        assert_eq!((found.len(), found[0].code, found[0].severity), (1, Code::SCHEMA_RULE, Severity::Error));
    }

    #[test]
    fn a_placeholder_is_called_one() {
        let found = found("ServiceEntry", "hosts: [a]\n  resolution: ${RESOLUTION}");
        assert_eq!((found.len(), found[0].code), (1, Code::PLACEHOLDER), "{found:?}");
        let number = self::found("WorkloadEntry", "address: a\n  weight: ${WEIGHT}");
        assert_eq!((number.len(), number[0].code), (1, Code::PLACEHOLDER), "{number:?}");
        assert_eq!(number[0].effect, None, "of what is not filled in yet the type does not matter");
        let duration = self::found("VirtualService", "hosts: [a]\n  http: [{timeout: \"${TIMEOUT}\"}]");
        assert_eq!((duration.len(), duration[0].code), (1, Code::PLACEHOLDER), "{duration:?}");
    }

    #[test]
    fn all_findings_of_a_document_come_together_in_the_order_of_the_text() {
        let spec = "hosts: [1]\n  location: HERE\n  nonsense: 1\n  ports: [{name: a, number: 0}]";
        let (_, report) = parse("f", &document("ServiceEntry", spec));
        assert_eq!(codes(&report), ["MESH0005", "MESH0020", "MESH0020", "MESH0001"], "{report}");
    }

    #[test]
    fn a_spec_that_has_to_be_there_is_missed_once() {
        let text = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x}\n";
        assert_eq!(codes(&parse("f", text).1), ["MESH0020"]);
        let text = text.replace("WorkloadEntry", "Gateway");
        assert_eq!(codes(&parse("f", &text).1), ["MESH0017"]);
    }
}
