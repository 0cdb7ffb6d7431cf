//! CEL expressions over what is known of a request: filters of access logs, values of tags of metrics.
//!
//! The syntax is read by `mesh-config`; here an expression is compiled once, when the configuration is, and evaluated for each
//! request that came to its end. Attributes, types, and what comes out where something is missing are Envoy's, measured with
//! 1.40 (`mesh-tower/tests/against_envoy/telemetry`). The evaluator is our own: the crate `cel` brings some 47 others, copies every
//! attribute into maps before it looks at one, and differs from Envoy where errors meet `&&` and `||`.
//!
//! # What evaluating costs
//!
//! There are no loops (Envoy refuses comprehensions, too) and the patterns of `matches` are compiled in advance, so each part of an
//! expression is looked at once at most: the cost is bounded by the length of the expression and of the values it reads.
//!
//! # What errs
//!
//! An attribute or header that is not there, an operation that its operands do not have, an overflow: the error is the value of
//! what it stands in, up to an `&&` or `||` whose other operand decides. A filter that errs is false, as in Envoy, and so is one
//! whose value is no truth value; a tag whose value errs is `unknown`, as in Istio.

mod arithmetic;
mod attribute;
mod eval;
mod function;
mod lower;
mod time;
mod value;

#[cfg(test)]
mod tests;

use mesh_config::value::cel;

use self::eval::Node;
use crate::telemetry::record::{NOTHING, Wanted};
use crate::telemetry::{Record, UNKNOWN, Workload};

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Program {
    text: Box<str>,
    root: Node,
    wanted: Wanted,
    reads_peer: bool,
}

/// Equal where their texts are.
impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Program {}

/// A part of an expression that always errs: what, and the column of its text, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is wrong.
    pub what: String,
    /// Where.
    pub column: usize,
}

/// What an expression is evaluated over.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'r> {
    /// The request.
    pub record: &'r Record,
    /// The workload on the other side, where it is known.
    pub peer: Option<&'r Workload>,
    /// This workload, where it is known.
    pub own: Option<&'r Workload>,
}

/// The most bytes that a tag's value has; what is longer is cut.
pub const LONGEST_TAG: usize = 256;

impl Program {
    /// Compiles an expression. With it come notes on what in it can only err.
    ///
    /// ```
    /// use mesh_core::cel::Program;
    ///
    /// let (program, notes) = Program::compile("response.code >= 400 || request.nosuch == 1")?;
    /// assert_eq!(notes[0].what, "there is no attribute request.nosuch");
    /// assert_eq!(notes[0].column, 25);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// The text is no expression; says where.
    pub fn compile(text: &str) -> Result<(Self, Vec<Note>), String> {
        let expression = cel::parse(text)?;
        let mut lowering = lower::Lowering { wanted: NOTHING.clone(), notes: Vec::new(), reads_peer: false };
        let root = lowering.lower(&expression);
        let lower::Lowering { wanted, notes, reads_peer } = lowering;
        Ok((Self { text: text.into(), root, wanted, reads_peer }, notes))
    }

    /// Headers that have to be in the records.
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The text that it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it tells of the workload on the other side.
    pub const fn reads_peer(&self) -> bool {
        self.reads_peer
    }

    /// Whether it is true. Where evaluating errs it is not, nor where something else than a truth value comes out.
    pub fn is_true(&self, scope: Scope<'_>) -> bool {
        self.root.truth(scope) == Ok(true)
    }

    /// What comes out as the value of a tag: `unknown` where evaluating errs. At most [`LONGEST_TAG`] bytes of it.
    pub fn tag(&self, scope: Scope<'_>) -> Box<str> {
        let mut text = self.root.value(scope).map_or_else(|_| UNKNOWN.to_owned(), |value| value.to_text());
        if text.len() > LONGEST_TAG {
            let cut = (0..=LONGEST_TAG).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            text.truncate(cut);
        }
        text.into()
    }
}
