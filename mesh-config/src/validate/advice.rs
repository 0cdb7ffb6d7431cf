//! What happens with what Istio's webhook speaks about, and how it is mended.
//!
//! Istio's messages say what is wrong and stop there. The tables here go on: a row is found by a part of the message, and
//! adds what happens at run time and what to do. A check that knows more about its case says so itself.

mod gateway;
mod general;
mod policy;
mod routing;

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::resource::Kind;

/// What to add to a message.
struct Advice {
    /// A part of the message, without the values that differ from case to case.
    part: &'static str,
    /// The kinds it is for. Empty: all.
    kinds: &'static [Kind],
    /// How it is mended.
    help: &'static str,
    /// What happens at run time, where Istio accepts the object.
    effect: Option<&'static str>,
}

const fn refused(part: &'static str, help: &'static str) -> Advice {
    Advice { part, kinds: &[], help, effect: None }
}

const fn accepted(part: &'static str, effect: &'static str, help: &'static str) -> Advice {
    Advice { part, kinds: &[], help, effect: Some(effect) }
}

impl Advice {
    const fn of(mut self, kinds: &'static [Kind]) -> Self {
        self.kinds = kinds;
        self
    }

    fn fits(&self, kind: Kind, message: &str) -> bool {
        message.contains(self.part) && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

const TABLES: &[&[Advice]] = &[routing::ADVICE, policy::ADVICE, gateway::ADVICE, general::ADVICE];

/// What becomes of an object with an error.
const REFUSED: &str =
    "Istio refuses the object, so nothing in it acts; this mesh stays with the configuration that it has";

/// Adds effect and help to a finding, where it has none and there are some.
pub(super) fn complete(kind: Kind, mut finding: Diagnostic) -> Diagnostic {
    if finding.code == Code::SCHEMA_ERROR && finding.severity == Severity::Error && finding.effect.is_none() {
        finding = finding.effect(REFUSED);
    }
    let mut rows = TABLES.iter().copied().flatten();
    let Some(advice) = rows.find(|advice| advice.fits(kind, &finding.message)) else { return finding };
    if let (None, Some(effect)) = (&finding.effect, advice.effect) {
        finding = finding.effect(effect);
    }
    match finding.help {
        None => finding.help(advice.help),
        Some(_) => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_hides_a_later_one() {
        let rows: Vec<_> = TABLES.iter().copied().flatten().collect();
        for (index, row) in rows.iter().enumerate() {
            let hides = |earlier: &&&Advice| earlier.kinds.is_empty() && row.part.contains(earlier.part);
            assert!(!rows[..index].iter().any(|earlier| hides(&earlier)), "{} is never found", row.part);
        }
    }

    #[test]
    fn an_error_says_that_nothing_acts_and_a_warning_what_does() {
        let error =
            complete(Kind::VirtualService, Diagnostic::error(Code::SCHEMA_ERROR, "duration must be greater than 1ms"));
        assert_eq!(error.effect.as_deref(), Some(REFUSED));
        assert!(error.help.is_some_and(|help| help.contains("leave the field out")));
        let warning = complete(
            Kind::DestinationRule,
            Diagnostic::warning(Code::SCHEMA_WARNING, "outlier detection policy must be provided for failover"),
        );
        assert!(warning.effect.is_some_and(|effect| effect.contains("no failover")));
    }

    #[test]
    fn a_check_that_knows_more_is_heard() {
        let said = Diagnostic::warning(Code::SCHEMA_WARNING, "duration must be greater than 1ms").help("a").effect("b");
        let finding = complete(Kind::Sidecar, said);
        assert_eq!((finding.help.as_deref(), finding.effect.as_deref()), (Some("a"), Some("b")));
    }
}
