//! Findings: what is wrong or remarkable about a configuration, and where.
//!
//! Nothing in this crate fails on bad configuration: every step adds [`Diagnostic`]s to a [`Report`] and goes on with
//! what is good. A finding names its [`Code`], how bad it is, the document and field it is about, and where there is
//! something to say, what to do about it and what happens at run time.
//!
//! ```
//! use mesh_config::{Code, Diagnostic, Report};
//!
//! let mut report = Report::new();
//! report.push(Diagnostic::warning(Code::DEPRECATED, "`mirrorPercent` is deprecated").help("use `mirrorPercentage`"));
//! assert!(!report.has_errors());
//! assert_eq!(report.to_string(), "warning[IST0002]: `mirrorPercent` is deprecated\n  help: use `mirrorPercentage`\n");
//! ```

mod code;
mod origin;
#[cfg(test)]
mod pages;
mod path;
pub mod render;
mod report;
mod span;

pub use self::code::Code;
pub(crate) use self::origin::Source;
pub use self::origin::{Origin, Places};
pub use self::path::{FieldPath, Segment};
use self::render::escape;
pub use self::report::Report;
pub(crate) use self::span::Advice;
pub use self::span::{Patch, Span};

use std::fmt;

use crate::locate::Tree;
use crate::resource::ResourceId;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Accepted by Istio, but probably not what was meant.
    Warning,
    /// Istio, its webhook or its proxy would refuse this, or it cannot be read at all.
    Error,
}

impl Severity {
    /// The lower-case word used in printed findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which part of `key: value` a finding points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// The name, as for a field that does not exist.
    Key,
    /// The value.
    #[default]
    Value,
}

/// One finding.
///
/// Printed as `file:line:column: error[CODE] spec.field: message`, followed by indented lines with the effect and
/// the help where there are any.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What kind of finding this is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The document, and once [`Report::locate`] has run, the exact place in it.
    pub origin: Origin,
    /// The resource it is about, if one was made out.
    pub resource: Option<ResourceId>,
    /// The field it is about; empty where the whole document is meant.
    pub path: FieldPath,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// What happens at run time if nothing is done.
    pub effect: Option<String>,
    /// The name or value that it is about; filled in by [`Report::locate`].
    pub span: Option<Span>,
    /// What to put there instead, where one change mends it and nothing else; filled in by [`Report::locate`].
    pub patch: Option<Patch>,
    advice: Option<Advice>,
    target: Target,
    /// Whether line and column are known.
    placed: bool,
    /// Whether [`Report::locate`] has been here.
    located: bool,
}

impl Diagnostic {
    /// A finding of the given severity that is not yet tied to a place.
    #[must_use]
    pub fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            origin: Origin::default(),
            resource: None,
            path: FieldPath::default(),
            message: message.into(),
            help: None,
            effect: None,
            span: None,
            patch: None,
            advice: None,
            target: Target::Value,
            placed: false,
            located: false,
        }
    }

    /// A finding that makes the document unusable.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    /// A finding that is probably a mistake.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    /// A finding that is only worth knowing.
    #[must_use]
    pub fn info(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Info, message)
    }

    /// Names the document.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = origin.clone();
        self
    }

    /// Names an exact place, which [`Report::locate`] then leaves alone.
    #[must_use]
    pub(crate) fn at_place(mut self, origin: &Origin, line: u32, column: u32) -> Self {
        self.origin = origin.clone();
        self.origin.line = line;
        self.origin.column = column;
        self.placed = true;
        self
    }

    /// Names the resource.
    #[must_use]
    pub fn resource(mut self, id: ResourceId) -> Self {
        self.resource = Some(id);
        self
    }

    /// Names the field.
    #[must_use]
    pub fn path(mut self, path: impl Into<FieldPath>) -> Self {
        self.path = path.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self.advice = None;
        self
    }

    /// Says what happens at run time.
    #[must_use]
    pub fn effect(mut self, effect: impl Into<String>) -> Self {
        self.effect = Some(effect.into());
        self
    }

    /// Says which name was probably meant by the name or value that the finding points at, and offers it as a patch.
    #[must_use]
    pub fn suggest(self, name: impl Into<String>) -> Self {
        self.advise(Some(Advice::Name(name.into())))
    }

    /// Says what to do, and offers this YAML as a patch of the name or value that the finding points at.
    #[must_use]
    pub fn suggest_yaml(self, help: impl Into<String>, yaml: impl Into<String>) -> Self {
        self.advise(Some(Advice::Yaml { words: help.into(), yaml: yaml.into() }))
    }

    /// Says what to do, or that there is nothing to say.
    #[must_use]
    pub(crate) fn advise(mut self, advice: Option<Advice>) -> Self {
        self.help = advice.as_ref().map(ToString::to_string);
        self.advice = advice;
        self
    }

    /// What it says to do.
    pub(crate) fn into_advice(self) -> Option<Advice> {
        self.advice.or_else(|| self.help.map(Advice::Words))
    }

    /// Points at the field's name instead of its value.
    #[must_use]
    pub(crate) fn at_key(mut self) -> Self {
        self.target = Target::Key;
        self
    }

    /// Whether its place or its extent is still to be looked up.
    fn needs_place(&self) -> bool {
        !self.located && self.origin.source().is_some()
    }

    /// Takes over where the finding is, by the tree of its document.
    fn locate(&mut self, source: &Source, tree: &Tree, searches: &mut usize) {
        let found = tree.search(&self.path, self.target).filter(|_| !self.path.is_empty());
        if let Some(found) = &found
            && !self.placed
        {
            self.origin.line = found.line + (source.first_line - 1);
            self.origin.column = found.column;
        }
        self.located = true;
        let here = (self.origin.line, self.origin.column);
        self.span = match found {
            Some(found) if (found.line + (source.first_line - 1), found.column) == here => {
                let span = Span::of(source, &found);
                let advice = self.advice.as_ref().filter(|_| found.exact);
                self.patch = advice.and_then(|advice| advice.patch(source, &span));
                Some(span)
            }
            // To look for a place in the text takes time, which a text of many mistakes must not multiply.
            _ if *searches >= MOST_SEARCHES => None,
            _ => {
                *searches += 1;
                match self.path.is_empty() && self.code != Code::SYNTAX {
                    true => Span::line(source, here.0),
                    false => Span::at(source, here.0, here.1).or_else(|| Span::line(source, here.0)),
                }
            }
        };
    }
}

/// How many places of one document are looked for in its text.
const MOST_SEARCHES: usize = 200;

/// Control characters are spelled out, as logs are read on terminals, too.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.origin.to_string();
        if !place.is_empty() {
            write!(f, "{}: ", escape(&place))?;
        }
        write!(f, "{}[{}]", self.severity, self.code)?;
        if let Some(id) = &self.resource {
            write!(f, " {}", escape(&id.to_string()))?;
        }
        let path = self.path.to_string();
        // The API server's own texts begin with the path.
        let told = self.message.strip_prefix(&path).is_some_and(|rest| rest.starts_with(": "));
        if !path.is_empty() && !told {
            write!(f, " {}", escape(&path))?;
        }
        write!(f, ": {}", escape(&self.message))?;
        if let Some(effect) = &self.effect {
            write!(f, "\n  at run time: {}", escape(effect))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {}", escape(help))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Kind;

    #[test]
    fn a_finding_prints_its_place_code_resource_field_and_message() {
        let origin = Origin::new("mesh/reviews.yaml", 7, 3);
        let finding = Diagnostic::error(Code::UNKNOWN_FIELD, "unknown field \"wieght\"")
            .at(&origin)
            .resource(ResourceId::new(Kind::VirtualService, "default", "reviews"))
            .path("spec.http[0].route[1].wieght")
            .help("did you mean `weight`?")
            .effect("nothing");
        assert_eq!(
            finding.to_string(),
            "mesh/reviews.yaml:7:3: error[MESH0001] VirtualService default/reviews spec.http[0].route[1].wieght: \
             unknown field \"wieght\"\n  at run time: nothing\n  help: did you mean `weight`?"
        );
    }

    #[test]
    fn severities_are_ordered_from_harmless_to_bad() {
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
