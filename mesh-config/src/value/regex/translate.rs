//! Reads a regex by RE2's grammar and writes it in the dialect of the `regex` crate.

use std::fmt::Write as _;

use super::RegexError;
use super::class;

/// The source in the other dialect. Groups keep their numbers and lose their names.
pub(super) fn translate(source: &str) -> Result<String, RegexError> {
    let mut translator = Translator {
        source,
        rest: source,
        out: String::with_capacity(source.len() * 2),
        groups: vec![Group::default()],
        names: Vec::new(),
    };
    while !translator.rest.is_empty() {
        translator.step()?;
    }
    if translator.groups.len() > 1 {
        return Err(RegexError::syntax("missing closing )", source));
    }
    Ok(translator.out)
}

/// A source that is being read: what is left of it, and what has been written.
struct Translator<'a> {
    source: &'a str,
    rest: &'a str,
    out: String,
    /// The open groups; the first is the whole.
    groups: Vec<Group>,
    names: Vec<&'a str>,
}

#[derive(Clone, Copy, Default)]
struct Group {
    /// What stands before the next character, and so what a repetition would repeat.
    last: Last,
    /// Highest product of nested counted repetitions in the group so far.
    product: u32,
}

#[derive(Clone, Copy, Default)]
enum Last {
    /// Nothing to repeat: the beginning, an alternative, or flags.
    #[default]
    Nothing,
    /// Something to repeat, holding repetitions with this product.
    Atom(u32),
    /// A repetition, which cannot be repeated. Where it began in the source.
    Repetition(usize),
}

impl<'a> Translator<'a> {
    /// Reads one element.
    fn step(&mut self) -> Result<(), RegexError> {
        let Some(next) = self.rest.chars().next() else {
            return Ok(());
        };
        match next {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' => self.open_group(),
            ')' => self.close_group(),
            '|' => {
                self.take(1);
                self.out.push('|');
                self.group().last = Last::Nothing;
                Ok(())
            }
            '*' | '+' | '?' => {
                let operator = self.take(1);
                self.repeat(operator, operator, 1)
            }
            '{' => self.counted_repetition(),
            '^' | '$' | '.' => {
                self.take(1);
                self.out.push(next);
                self.atom(1);
                Ok(())
            }
            literal => {
                self.take(literal.len_utf8());
                push_literal(&mut self.out, literal);
                self.atom(1);
                Ok(())
            }
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn position(&self) -> usize {
        self.source.len() - self.rest.len()
    }

    fn group(&mut self) -> &mut Group {
        // The outermost group is never closed, so there always is one.
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    /// Notes that something that can be repeated was written.
    fn atom(&mut self, product: u32) {
        let group = self.group();
        group.product = group.product.max(product);
        group.last = Last::Atom(product);
    }

    fn escape(&mut self) -> Result<(), RegexError> {
        if let Some(quoted) = self.rest.strip_prefix(r"\Q") {
            return self.quoted(quoted);
        }
        let mut chars = self.rest.chars();
        chars.next();
        let Some(kind) = chars.next() else {
            return Err(RegexError::syntax("trailing backslash at end of expression", ""));
        };
        match kind {
            // A word boundary that knows ASCII only.
            'b' | 'B' => {
                self.take(2);
                let _ = write!(self.out, r"(?-u:\{kind})");
            }
            'A' | 'z' => {
                self.take(2);
                self.out.push('\\');
                self.out.push(kind);
            }
            // The end of a quotation that was not begun.
            'E' => {
                self.take(2);
                return Ok(());
            }
            _ => {
                if let Some((class, length)) = class::shorthand(self.rest)? {
                    self.take(length);
                    let _ = write!(self.out, "[{class}]");
                } else {
                    let (literal, length) = class::escaped_char(self.rest)?;
                    self.take(length);
                    push_literal(&mut self.out, literal);
                }
            }
        }
        self.atom(1);
        Ok(())
    }

    /// Literal text up to `\E` or the end.
    fn quoted(&mut self, quoted: &'a str) -> Result<(), RegexError> {
        let (text, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        for literal in text.chars() {
            push_literal(&mut self.out, literal);
            self.atom(1);
        }
        self.rest = rest;
        Ok(())
    }

    fn class(&mut self) -> Result<(), RegexError> {
        let (class, length) = class::bracketed(self.rest)?;
        self.take(length);
        self.out.push_str(&class);
        self.atom(1);
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), RegexError> {
        if let Some(rest) = self.rest.strip_prefix("(?") {
            let named =
                rest.strip_prefix("P<").or_else(|| rest.strip_prefix('<').filter(|rest| !rest.starts_with(['=', '!'])));
            if let Some(rest) = named {
                return self.open_named_group(rest);
            }
            return self.flags(rest);
        }
        self.take(1);
        self.out.push('(');
        self.groups.push(Group::default());
        Ok(())
    }

    fn open_named_group(&mut self, rest: &'a str) -> Result<(), RegexError> {
        let Some((name, after)) = rest.split_once('>') else {
            return Err(RegexError::syntax("invalid named capture", self.rest));
        };
        let whole = &self.rest[..self.rest.len() - after.len()];
        let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return Err(RegexError::syntax("invalid named capture", whole));
        }
        if self.names.contains(&name) {
            return Err(RegexError::syntax("duplicate capture group name", name));
        }
        self.names.push(name);
        self.rest = after;
        self.out.push('(');
        self.groups.push(Group::default());
        Ok(())
    }

    /// `(?flags)` for the rest of the group, or `(?flags:...)`, which is a group.
    fn flags(&mut self, rest: &'a str) -> Result<(), RegexError> {
        let end = rest.find(|c: char| !matches!(c, 'i' | 'm' | 's' | 'U' | '-')).unwrap_or(rest.len());
        let (flags, after) = rest.split_at(end);
        let refused = || {
            let shown = rest.chars().take(end + 1).map(char::len_utf8).sum::<usize>();
            RegexError::syntax("invalid or unsupported Perl syntax", &self.rest[..2 + shown])
        };
        let off = flags.split_once('-').map(|(_, off)| off);
        if off.is_some_and(|off| off.is_empty() || off.contains('-')) {
            return Err(refused());
        }
        let is_group = match after.chars().next() {
            Some(':') => true,
            Some(')') => false,
            Some(_) => return Err(refused()),
            None => return Err(RegexError::syntax("missing closing )", self.source)),
        };
        if !flags.is_empty() || is_group {
            self.out.push_str("(?");
            push_flags(&mut self.out, flags);
            self.out.push(if is_group { ':' } else { ')' });
        }
        self.rest = &after[1..];
        if is_group {
            self.groups.push(Group::default());
        } else {
            self.group().last = Last::Nothing;
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        if self.groups.len() < 2 {
            return Err(RegexError::syntax("unexpected )", self.source));
        }
        let product = self.groups.pop().map_or(1, |group| group.product.max(1));
        self.take(1);
        self.out.push(')');
        self.atom(product);
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else that begins with a brace is text.
    fn counted_repetition(&mut self) -> Result<(), RegexError> {
        let Some((count, length)) = Count::read(self.rest) else {
            self.take(1);
            self.out.push_str(r"\{");
            self.atom(1);
            return Ok(());
        };
        let whole = self.take(length);
        let highest = count.most.unwrap_or(count.least);
        if count.least > MAX_COUNT || highest > MAX_COUNT || count.most.is_some_and(|most| most < count.least) {
            return Err(RegexError::syntax("invalid repeat count", whole));
        }
        let written = match count.most {
            Some(most) => format!("{{{},{most}}}", count.least),
            None => format!("{{{},}}", count.least),
        };
        self.repeat(&written, whole, highest)
    }

    /// Writes a repetition, and the `?` that makes it prefer less.
    fn repeat(&mut self, written: &str, whole: &str, factor: u32) -> Result<(), RegexError> {
        let begin = self.position() - whole.len();
        let product = match self.group().last {
            Last::Nothing => {
                return Err(RegexError::syntax("missing argument to repetition operator", whole));
            }
            Last::Repetition(first) => {
                let both = &self.source[first..begin + whole.len()];
                return Err(RegexError::syntax("invalid nested repetition operator", both));
            }
            // Repeating something zero times counts for nothing.
            Last::Atom(product) => product.saturating_mul(factor.max(1)),
        };
        if product > MAX_COUNT {
            return Err(RegexError::TooLarge { problem: "invalid repeat count", part: whole.to_owned() });
        }
        self.out.push_str(written);
        if self.rest.starts_with('?') {
            self.take(1);
            self.out.push('?');
        }
        let group = self.group();
        group.product = group.product.max(product);
        group.last = Last::Repetition(begin);
        Ok(())
    }
}

/// The bounds of a counted repetition.
struct Count {
    least: u32,
    /// `None`: no upper bound.
    most: Option<u32>,
}

impl Count {
    /// Reads one from the beginning of the text: the bounds and how long it is.
    fn read(text: &str) -> Option<(Self, usize)> {
        let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
        let (least, most) = match inside.split_once(',') {
            None => {
                let exactly = count(inside)?;
                (exactly, Some(exactly))
            }
            Some((least, "")) => (count(least)?, None),
            Some((least, most)) => (count(least)?, Some(count(most)?)),
        };
        Some((Self { least, most }, inside.len() + 2))
    }
}

/// A decimal number without leading zeros. Too large a one is some number beyond the limit.
fn count(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// Writes each flag once on either side, as the other dialect wants it; the later mention of a flag counts.
fn push_flags(out: &mut String, flags: &str) {
    let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
    for flag in ['i', 'm', 's', 'U'] {
        if on.contains(flag) && !off.contains(flag) {
            out.push(flag);
        }
    }
    if !off.is_empty() {
        out.push('-');
        for flag in ['i', 'm', 's', 'U'] {
            if off.contains(flag) {
                out.push(flag);
            }
        }
    }
}

/// Writes a character that stands for itself.
pub(super) fn push_literal(out: &mut String, literal: char) {
    if literal.is_ascii_alphanumeric() || !literal.is_ascii() {
        out.push(literal);
    } else {
        let _ = write!(out, "\\x{:02x}", u32::from(literal));
    }
}

/// Highest count of a repetition, and of nested ones together.
const MAX_COUNT: u32 = 1000;
