//! Regexes in RE2 syntax.
//!
//! Istio's regexes are RE2's; the `regex` crate has the same guarantees (linear time, no look-around, no back-references) but
//! another dialect: it takes syntax that RE2 refuses, refuses some that RE2 takes, and reads a few things differently. So a
//! source is read by RE2's grammar and written anew in the crate's dialect before it is compiled:
//!
//! * `\d`, `\s`, `\w` and `\b` know ASCII only, as in RE2.
//! * `\Q..\E`, octal escapes, `[` within a class, and braces that are no repetition work as in RE2.
//! * `&&`, `--` and `~~` within a class are plain characters, as in RE2.
//! * What RE2 refuses is refused: repetitions beyond 1000, repetitions of repetitions, flags and escapes it does not have.
//!
//! Matching is on bytes, since header values need not be UTF-8; `.` stands for one character of valid UTF-8.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

mod class;
mod translate;

/// Longest source that Istio accepts, in bytes.
pub const MAX_SOURCE: usize = 1024;

/// Compiles a regex that has to match a whole string.
///
/// ```
/// use mesh_config::value::regex;
///
/// let regex = regex::full_match("/v[12]/.*")?;
/// assert!(regex.is_match(b"/v1/users"));
/// assert!(!regex.is_match(b"/api/v1/users"));
/// # Ok::<(), regex::RegexError>(())
/// ```
///
/// # Errors
/// The source is empty, longer than [`MAX_SOURCE`], or no RE2 regex; or what it compiles to is too large.
pub fn full_match(source: &str) -> Result<Regex, RegexError> {
    check_source(source)?;
    build(&format!("^(?:{})$", translate::translate(source)?))
}

/// Compiles a regex that is looked for anywhere in a string, as a rewrite does it. Groups keep their numbers.
///
/// # Errors
/// As for [`full_match`].
pub fn search(source: &str) -> Result<Regex, RegexError> {
    check_source(source)?;
    build(&translate::translate(source)?)
}

fn check_source(source: &str) -> Result<(), RegexError> {
    if source.is_empty() {
        return Err(RegexError::Empty);
    }
    if source.len() > MAX_SOURCE {
        return Err(RegexError::TooLong);
    }
    Ok(())
}

fn build(pattern: &str) -> Result<Regex, RegexError> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).nest_limit(MAX_NESTING).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            RegexError::TooLarge { problem: "expression too large", part: pattern.to_owned() }
        }
        other => RegexError::Refused(other.to_string()),
    })
}

/// Why a source is not taken for a regex. The message is the one of Istio's webhook without the name of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegexError {
    /// There is nothing to match.
    Empty,
    /// The source is longer than [`MAX_SOURCE`].
    TooLong,
    /// What the source stands for is too large to be compiled.
    TooLarge {
        /// What is too large.
        problem: &'static str,
        /// The part that makes it so.
        part: String,
    },
    /// The source is not in RE2's syntax.
    Syntax {
        /// What is wrong.
        problem: &'static str,
        /// The part that is wrong.
        part: String,
    },
    /// The source is in RE2's syntax, and the engine that is used here does not take it.
    Refused(String),
}

impl RegexError {
    fn syntax(problem: &'static str, part: &str) -> Self {
        Self::Syntax { problem, part: part.to_owned() }
    }
}

impl fmt::Display for RegexError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("regex string match should not be empty"),
            Self::TooLong => write!(formatter, "regex is too large, max length allowed is {MAX_SOURCE}"),
            Self::TooLarge { problem, part } | Self::Syntax { problem, part } => {
                write!(formatter, "error parsing regexp: {problem}: `{part}`{STYLE}")
            }
            Self::Refused(problem) => {
                write!(formatter, "error parsing regexp: {problem}{STYLE}")
            }
        }
    }
}

impl std::error::Error for RegexError {}

const STYLE: &str = "; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)";

/// Memory that a compiled regex may take, in bytes.
const MAX_COMPILED: usize = 10 << 20;

/// How deep groups and repetitions may nest, RE2's limit.
const MAX_NESTING: u32 = 1000;

#[cfg(test)]
mod tests;
