//! Findings for a person: the lines that they are about, underlined, and below them what to do.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin as Place, Patch, Renderer, Snippet};

use super::escape;
use super::escape::tame;
use crate::diagnostic::{Code, Diagnostic, Report, Severity, origin::Source};

/// How to print for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TextOptions {
    /// Whether the reader is a terminal that shows colours (default: no).
    pub color: bool,
    /// How many characters fit on a line (default: 120).
    pub width: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { color: false, width: 120 }
    }
}

impl TextOptions {
    /// Sets whether colours are used.
    #[must_use]
    pub fn color(mut self, color: bool) -> Self {
        self.color = color;
        self
    }
}

/// The findings with the lines that they are about, an empty line between two.
#[must_use]
pub fn text(report: &Report, options: &TextOptions) -> String {
    let renderer = if options.color { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let renderer = renderer.term_width(options.width);
    let mut out = String::new();
    let findings = report.sorted();
    for finding in &findings {
        if findings.iter().any(|cause| follows(finding, cause)) {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let follow: Vec<_> = findings.iter().copied().filter(|other| follows(other, finding)).collect();
        for line in renderer.render(&groups(finding, &follow)).lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

/// Whether a finding is there only because of another one: a template that was never filled in is no good host either.
fn follows(finding: &Diagnostic, cause: &Diagnostic) -> bool {
    cause.code == Code::PLACEHOLDER
        && finding.code != Code::PLACEHOLDER
        && !finding.path.segments().is_empty()
        && (&finding.path, &finding.resource) == (&cause.path, &cause.resource)
        && (&finding.origin.file, finding.origin.line) == (&cause.origin.file, cause.origin.line)
}

/// `follow`: what is found because of it.
fn groups<'d>(finding: &'d Diagnostic, follow: &[&'d Diagnostic]) -> Vec<Group<'d>> {
    let severity =
        follow.iter().map(|other| other.severity).max().map_or(finding.severity, |most| most.max(finding.severity));
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let mut group = Group::with_title(level.primary_title(readable(&finding.message)).id(finding.code.as_str()));
    let window = finding.span.as_ref().and_then(|span| Window::of(finding.origin.source()?, span.bytes.clone()));
    group = match &window {
        // The place is made out from the line, if it is whole.
        Some(window) if !window.is_cut => group.element(window.snippet(finding.origin.line).path(file(finding))),
        Some(window) => group.element(place(finding)).element(window.snippet(finding.origin.line)),
        None => group.element(place(finding)),
    };
    group = group.elements(notes(finding, follow));
    let patch = finding.patch.as_ref().zip(window.filter(|window| !window.is_cut));
    match patch {
        Some((patch, window)) => {
            vec![group, Group::with_level(Level::HELP).element(window.patched(finding.origin.line, &patch.replacement))]
        }
        None => vec![group],
    }
}

/// A text without control characters, and no longer than somebody reads.
fn readable(text: &str) -> Cow<'_, str> {
    const MOST: usize = 600;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}...", escape(&text[..end]))),
        None => escape(text),
    }
}

fn place(finding: &Diagnostic) -> Place<'_> {
    let origin = &finding.origin;
    let place = Place::path(file(finding));
    match (origin.line, origin.column) {
        (0, _) => place,
        (line, 0) => place.line(line as usize),
        (line, column) => place.line(line as usize).char_column(column as usize),
    }
}

fn file(finding: &Diagnostic) -> Cow<'_, str> {
    escape(if finding.origin.file.is_empty() { "(no file)" } else { &finding.origin.file })
}

/// What it is about, what follows, and what helps.
fn notes<'d>(finding: &'d Diagnostic, follow: &[&'d Diagnostic]) -> Vec<Element<'d>> {
    let about = [finding.resource.as_ref().map(ToString::to_string), Some(finding.path.to_string())];
    let about: Vec<_> = about.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let mut notes = Vec::new();
    let mut note = |name: &'static str, level: Level<'static>, text: &str| {
        notes.push(level.with_name(name).message(readable(text).into_owned()).into());
    };
    // That it is in `kind` can be seen.
    if finding.resource.is_some() || finding.path.segments().len() > 1 {
        note("in", Level::NOTE, &about.join(" "));
    }
    for other in follow {
        note("therefore", Level::NOTE, &format!("{}: {}", other.code, other.message));
    }
    if let Some(effect) = finding.effect.as_ref().or(follow.iter().find_map(|other| other.effect.as_ref())) {
        note("at run time", Level::NOTE, effect);
    }
    if let Some(help) = &finding.help {
        note("help", Level::HELP, help);
    }
    notes
}

/// The line that a finding is about, or so much of it as can be read, and which bytes of it are meant.
struct Window {
    line: String,
    marked: Range<usize>,
    is_cut: bool,
}

/// How many bytes of a line are shown before and behind the place.
const MOST: usize = 200;

impl Window {
    /// The first line that is covered. Nothing of a Secret is shown.
    fn of(source: &Source, bytes: Range<usize>) -> Option<Self> {
        if source.holds_secret() {
            return None;
        }
        let text = source.text.as_str();
        let first = text.get(bytes.clone())?.lines().next()?;
        let far = text.floor_char_boundary(bytes.start.saturating_sub(MOST));
        let above = text[far..bytes.start].rfind('\n');
        let start = above.map_or(far, |newline| far + newline + 1);
        let shown = &first[..first.floor_char_boundary(MOST)];
        let end = bytes.start + shown.len();
        let far_end = text.floor_char_boundary((end + MOST).min(text.len()));
        let below = text[end..far_end].find('\n');
        let stop = below.map_or(far_end, |newline| end + newline);
        let is_cut = (above.is_none() && start > 0) || (below.is_none() && stop < text.len());
        let prefix = if above.is_none() && start > 0 { "..." } else { "" };
        let before = format!("{prefix}{}", tame(&text[start..bytes.start]));
        let marked = tame(shown);
        let behind = tame(text[end..stop].trim_end());
        let range = before.len()..before.len() + marked.len();
        Some(Self { line: format!("{before}{marked}{behind}"), marked: range, is_cut })
    }

    fn snippet(&self, line: u32) -> Snippet<'static, Annotation<'static>> {
        Snippet::source(self.line.clone())
            .line_start(line as usize)
            .annotation(AnnotationKind::Primary.span(self.marked.clone()))
    }

    fn patched(self, line: u32, replacement: &str) -> Snippet<'static, Patch<'static>> {
        let patch = Patch::new(self.marked.clone(), escape(replacement).into_owned());
        Snippet::source(self.line).line_start(line as usize).patch(patch)
    }
}
