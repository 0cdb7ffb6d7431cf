//! Findings as workflow commands of GitHub Actions, which shows them beside the changed lines.

use super::escape;
use crate::diagnostic::{Diagnostic, Report, Severity};

/// One `::error file=...,line=...::message` a line.
#[must_use]
pub fn github(report: &Report) -> String {
    report.sorted().into_iter().map(|finding| command(finding) + "\n").collect()
}

fn command(finding: &Diagnostic) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let mut properties = vec![format!("file={}", property(&finding.origin.file))];
    if finding.origin.line > 0 {
        properties.push(format!("line={}", finding.origin.line));
    }
    if let Some(span) = &finding.span {
        properties.push(format!("endLine={}", span.end_line));
    }
    // Columns are not taken together with several lines.
    if finding.origin.column > 0 && finding.span.as_ref().is_none_or(|span| span.line == span.end_line) {
        properties.push(format!("col={}", finding.origin.column));
        properties.extend(finding.span.as_ref().map(|span| format!("endColumn={}", span.end_column)));
    }
    properties.push(format!("title={}", property(&format!("{} {}", finding.code, finding.code.name()))));
    format!("::{level} {}::{}", properties.join(","), message(finding))
}

fn message(finding: &Diagnostic) -> String {
    let mut lines = Vec::new();
    let place = [finding.resource.as_ref().map(ToString::to_string), Some(finding.path.to_string())];
    let place: Vec<_> = place.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    match place.is_empty() {
        true => lines.push(finding.message.clone()),
        false => lines.push(format!("{}: {}", place.join(" "), finding.message)),
    }
    lines.extend(finding.effect.as_ref().map(|effect| format!("at run time: {effect}")));
    lines.extend(finding.help.as_ref().map(|help| format!("help: {help}")));
    lines.iter().map(|line| data(line)).collect::<Vec<_>>().join("%0A")
}

fn data(text: &str) -> String {
    escape(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Origin};

    #[test]
    fn a_finding_is_one_command_whatever_it_holds() {
        let finding = Diagnostic::warning(Code::PLACEHOLDER, "100%\n::error::x").at(&Origin::new("a,b:c.yaml", 3, 5));
        let mut report = Report::new();
        report.push(finding.path("spec.hosts[0]").effect("no host").help("fill it in"));
        assert_eq!(
            github(&report),
            "::warning file=a%2Cb%3Ac.yaml,line=3,col=5,title=MESH0008 placeholder::spec.hosts[0]: \
             100%25\\n::error::x%0Aat run time: no host%0Ahelp: fill it in\n"
        );
    }

    #[test]
    fn the_span_is_passed_on() {
        let (_, report) =
            crate::parse("f", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {x: 1}\n");
        assert!(github(&report).starts_with("::error file=f,line=4,endLine=4,col=8,endColumn=9,title=MESH0001 "));
    }
}
