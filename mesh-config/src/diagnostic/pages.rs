//! Holds the page of every code to what it shows: the example has the finding, the mended form has not.
//!
//! A page is Markdown: a title `# CODE name`, what the finding means, a section `## At run time`, a section `## Example`
//! and a section `## Mend`, the last two each with one block of YAML (more than one document, if need be). A page whose
//! finding does not come from reading a text (a directory, a running mesh) says `## How it comes about` instead of
//! `## Example`.

use super::Code;
use crate::analyze::{ANALYZERS, Inventory, Options};
use crate::{ConfigSet, Report, parse};

/// What is found in a text; what only a whole cluster can show is looked for where a code is about nothing else.
fn findings(code: Code, yaml: &str) -> Report {
    let mut analyzers = ANALYZERS.iter().filter(|analyzer| analyzer.codes().contains(&code)).peekable();
    let needs_cluster = NEEDS_CLUSTER.contains(&code)
        || analyzers.peek().is_some() && analyzers.all(|analyzer| analyzer.needs_cluster());
    let inventory = if needs_cluster { Inventory::Cluster } else { Inventory::Configuration };

    let (documents, mut report) = parse("example.yaml", yaml);
    let (set, duplicates) = ConfigSet::from_documents(documents);
    report.extend(duplicates);
    report.extend(set.validate());
    report.extend(set.analyze_with(&Options::default().inventory(inventory)));
    report
}

/// Codes of analyzers that find other things without a cluster.
const NEEDS_CLUSTER: &[Code] = &[Code::CONFLICTING_SIDECARS, Code::INEFFECTIVE_POLICY];

/// The YAML of a section.
fn block<'p>(page: &'p str, section: &str) -> Option<&'p str> {
    let (_, below) = page.split_once(&format!("\n## {section}\n"))?;
    let below = below.split("\n## ").next()?;
    let (_, yaml) = below.split_once("```yaml\n")?;
    yaml.split("```").next()
}

#[test]
fn the_title_of_a_page_is_its_code_and_name() {
    for code in Code::all() {
        let title = format!("# {code} {}", code.name());
        assert_eq!(code.page().lines().next(), Some(title.as_str()));
    }
}

/// The text of a section; nothing if the page does not have it.
fn section<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    let (_, below) = page.split_once(&format!("\n## {name}\n"))?;
    below.split("\n## ").next().map(str::trim)
}

#[test]
fn a_page_says_what_it_means_what_happens_how_it_looks_and_how_to_mend_it() {
    for code in Code::all() {
        let page = code.page();
        let names: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert!(
            matches!(names[..], ["At run time", "Example" | "How it comes about", "Mend"]),
            "the sections of {code} are {names:?}"
        );
        let meaning = page.split_once('\n').and_then(|(_, rest)| rest.split("\n## ").next()).unwrap_or_default();
        let texts = names.iter().filter_map(|name| section(page, name)).chain([meaning.trim()]);
        assert!(texts.into_iter().all(|text| text.len() > 20), "a section of {code} says nothing");
        assert!(!names.contains(&"Example") || block(page, "Mend").is_some(), "{code} does not show the mended form");
    }
}

#[test]
fn a_page_fits_on_a_screen() {
    for code in Code::all() {
        let (lines, width) = (code.page().lines().count(), code.page().lines().map(str::len).max().unwrap_or(0));
        assert!(lines <= 72 && width <= 130, "{code} has {lines} lines of up to {width} characters");
    }
}

#[test]
fn the_example_of_a_page_has_the_finding_and_its_mended_form_has_not() {
    for code in Code::all() {
        let Some(example) = block(code.page(), "Example") else { continue };
        let found = findings(code, example);
        assert!(found.iter().any(|finding| finding.code == code), "the example of {code} gives only: {found}");
        let mended = findings(code, block(code.page(), "Mend").unwrap_or_else(|| panic!("{code} has no mended form")));
        assert!(mended.iter().all(|finding| finding.code != code), "the mended form of {code} still has it: {mended}");
    }
}
