//! Tokens of numbers and texts to their values.

use super::Literal;

/// The value of a number; `negative` where a minus stands before it.
pub(super) fn number(text: &str, negative: bool) -> Option<Literal> {
    let (digits, is_unsigned) = match text.strip_suffix(['u', 'U']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if radix == 10 && digits.contains(['.', 'e', 'E']) {
        let value: f64 = digits.parse().ok().filter(|value: &f64| value.is_finite() && !is_unsigned)?;
        return Some(Literal::Double(if negative { -value } else { value }));
    }
    if is_unsigned {
        return u64::from_str_radix(digits, radix).ok().filter(|_| !negative).map(Literal::Uint);
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -value } else { value }).ok().map(Literal::Int)
}

/// The value of a text or of bytes whose form has been checked.
pub(super) fn text(token: &str) -> Option<Literal> {
    let prefix = token.find(['"', '\''])?;
    let (kind, quoted) = token.split_at(prefix);
    let (is_raw, is_bytes) = (kind.contains(['r', 'R']), kind.contains(['b', 'B']));
    let quotes = if quoted.starts_with("\"\"\"") || quoted.starts_with("'''") { 3 } else { 1 };
    let body = quoted.get(quotes..quoted.len().checked_sub(quotes)?)?;
    if is_raw {
        return Some(if is_bytes { Literal::Bytes(body.into()) } else { Literal::Text(body.into()) });
    }
    let (mut written, mut bytes, mut rest) = (String::new(), Vec::new(), body);
    while let Some(c) = rest.chars().next() {
        let length = if c == '\\' {
            let (code, length) = escape(rest)?;
            match (is_bytes, code) {
                // One of two or three digits is a byte.
                (true, Escape::Number(byte)) => bytes.push(u8::try_from(byte).ok()?),
                (false, Escape::Number(code)) | (_, Escape::Character(code)) => {
                    let c = char::from_u32(code)?;
                    written.push(c);
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            length
        } else {
            written.push(c);
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            c.len_utf8()
        };
        rest = rest.get(length..)?;
    }
    Some(if is_bytes { Literal::Bytes(bytes) } else { Literal::Text(written) })
}

/// What an escape stands for.
enum Escape {
    Number(u32),
    Character(u32),
}

fn escape(text: &str) -> Option<(Escape, usize)> {
    let code = |range: std::ops::Range<usize>, radix| u32::from_str_radix(text.get(range)?, radix).ok();
    let control = |c: char| Some((Escape::Character(u32::from(c)), 2));
    match text.as_bytes().get(1)? {
        b'a' => control('\u{7}'),
        b'b' => control('\u{8}'),
        b'f' => control('\u{c}'),
        b'n' => control('\n'),
        b'r' => control('\r'),
        b't' => control('\t'),
        b'v' => control('\u{b}'),
        b'x' | b'X' => Some((Escape::Number(code(2..4, 16)?), 4)),
        b'u' => Some((Escape::Character(code(2..6, 16)?), 6)),
        b'U' => Some((Escape::Character(code(2..10, 16)?), 10)),
        b'0'..=b'3' => Some((Escape::Number(code(1..4, 8)?), 4)),
        other => control(char::from(*other)),
    }
}
