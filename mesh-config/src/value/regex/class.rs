//! Character classes and escapes.

use std::fmt::Write as _;

use super::RegexError;
use super::translate::push_literal;

/// Reads a class in brackets at the beginning of the text: the class in the other dialect and its length in the source.
pub(super) fn bracketed(text: &str) -> Result<(String, usize), RegexError> {
    let unclosed = || RegexError::syntax("missing closing ]", text);
    let mut out = String::from("[");
    let mut rest = text.strip_prefix('[').ok_or_else(unclosed)?;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        match rest.chars().next() {
            None => return Err(unclosed()),
            Some(']') if !first => break,
            Some(_) => {}
        }
        first = false;
        if let Some((class, length)) = posix(rest)? {
            out.push_str(class);
            rest = &rest[length..];
            continue;
        }
        if rest.starts_with('\\')
            && let Some((class, length)) = shorthand(rest)?
        {
            out.push_str(&class);
            rest = &rest[length..];
            continue;
        }
        let length = push_range(&mut out, rest, text)?;
        rest = &rest[length..];
    }
    out.push(']');
    Ok((out, text.len() - rest.len() + 1))
}

/// Reads one character or a range.
fn push_range(out: &mut String, rest: &str, whole: &str) -> Result<usize, RegexError> {
    let (low, mut length) = class_char(rest, whole)?;
    push_literal(out, low);
    let after = &rest[length..];
    // A hyphen before the closing bracket stands for itself.
    if let Some(end) = after.strip_prefix('-')
        && !end.starts_with(']')
        && !end.is_empty()
    {
        let (high, high_length) = class_char(end, whole)?;
        length += 1 + high_length;
        if high < low {
            return Err(RegexError::syntax("invalid character class range", &rest[..length]));
        }
        out.push('-');
        push_literal(out, high);
    }
    Ok(length)
}

fn class_char(rest: &str, whole: &str) -> Result<(char, usize), RegexError> {
    match rest.chars().next() {
        None => Err(RegexError::syntax("missing closing ]", whole)),
        Some('\\') => escaped_char(rest),
        Some(literal) => Ok((literal, literal.len_utf8())),
    }
}

/// Reads `[:name:]` or `[:^name:]`, which mean the same in both dialects.
fn posix(rest: &str) -> Result<Option<(&str, usize)>, RegexError> {
    let Some(end) = rest.strip_prefix("[:").and_then(|inside| inside.find(":]")).map(|at| at + 4) else {
        return Ok(None);
    };
    let class = &rest[..end];
    let name = class[2..end - 2].trim_start_matches('^');
    if POSIX.contains(&name) && class.matches('^').count() <= 1 {
        return Ok(Some((class, end)));
    }
    Err(RegexError::syntax("invalid character class range", class))
}

/// Reads `\d`, `\p{Greek}` and the like: items of a class, and their length in the source.
pub(super) fn shorthand(rest: &str) -> Result<Option<(String, usize)>, RegexError> {
    let mut chars = rest.chars();
    chars.next();
    let items = match chars.next() {
        Some('d') => "0-9",
        Some('D') => "[^0-9]",
        Some('s') => r"\t\n\x0c\r ",
        Some('S') => r"[^\t\n\x0c\r ]",
        Some('w') => "0-9A-Za-z_",
        Some('W') => "[^0-9A-Za-z_]",
        Some(kind @ ('p' | 'P')) => return unicode_class(rest, kind == 'P').map(Some),
        _ => return Ok(None),
    };
    Ok(Some((items.to_owned(), 2)))
}

/// Reads `\pN`, `\p{Name}`, `\p{^Name}` and their negations.
fn unicode_class(rest: &str, negated: bool) -> Result<(String, usize), RegexError> {
    let inside = &rest[2..];
    let (name, length) = if let Some(braced) = inside.strip_prefix('{') {
        let Some(end) = braced.find('}') else {
            return Err(RegexError::syntax("invalid character class range", rest));
        };
        (&braced[..end], end + 4)
    } else {
        let Some(single) = inside.chars().next() else {
            return Err(RegexError::syntax("invalid character class range", rest));
        };
        (&inside[..single.len_utf8()], 2 + single.len_utf8())
    };
    let (negated, name) = match name.strip_prefix('^') {
        Some(name) => (!negated, name),
        None => (negated, name),
    };
    let invalid = || RegexError::syntax("invalid character class range", &rest[..length]);
    let plain = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !plain {
        return Err(invalid());
    }
    let letter = if negated { 'P' } else { 'p' };
    let mut class = String::new();
    // Only categories and scripts are known; other properties must not slip through.
    let kind = if name == "Any" {
        ""
    } else if name.len() <= 2 {
        "gc="
    } else {
        "sc="
    };
    let _ = write!(class, "\\{letter}{{{kind}{name}}}");
    if name != "Any" && regex::Regex::new(&class).is_err() {
        return Err(invalid());
    }
    Ok((class, length))
}

/// Reads an escape that stands for one character, within a class or without: the character and the length in the source.
pub(super) fn escaped_char(rest: &str) -> Result<(char, usize), RegexError> {
    let mut chars = rest.chars();
    chars.next();
    let Some(kind) = chars.next() else {
        return Err(RegexError::syntax("trailing backslash at end of expression", ""));
    };
    let invalid = |length: usize| {
        let shown = rest.get(..length).unwrap_or(rest);
        RegexError::syntax("invalid escape sequence", shown)
    };
    let simple = match kind {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => return hexadecimal(rest).ok_or_else(|| invalid(rest.len().min(4))),
        '0'..='7' => return octal(rest).ok_or_else(|| invalid(2)),
        punctuation if punctuation.is_ascii() && !punctuation.is_ascii_alphanumeric() => punctuation,
        _ => return Err(invalid(1 + kind.len_utf8())),
    };
    Ok((simple, 2))
}

/// `\x7F` or `\x{10FFFF}`.
fn hexadecimal(rest: &str) -> Option<(char, usize)> {
    let inside = &rest[2..];
    let (digits, length) = if let Some(braced) = inside.strip_prefix('{') {
        let end = braced.find('}')?;
        (&braced[..end], end + 4)
    } else {
        (inside.get(..2)?, 4)
    };
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some((char::from_u32(number)?, length))
}

/// `\0`, `\012`, `\141`: up to three digits. One digit other than 0 alone would be a back-reference.
fn octal(rest: &str) -> Option<(char, usize)> {
    let digits = rest.bytes().skip(1).take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    if digits == 1 && !rest.starts_with(r"\0") {
        return None;
    }
    let number = u32::from_str_radix(&rest[1..=digits], 8).ok()?;
    Some((char::from_u32(number)?, 1 + digits))
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];
