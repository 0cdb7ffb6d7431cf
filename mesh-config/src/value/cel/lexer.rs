//! Text to tokens.

use super::{Kind, Token};

/// The tokens of a text, without blanks and comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut found = Vec::new();
    let (mut rest, mut column) = (text, 1);
    loop {
        let after_blanks = skip_blanks(rest);
        column += rest[..rest.len() - after_blanks.len()].chars().count();
        if after_blanks.is_empty() {
            return Ok(found);
        }
        let (kind, length) = next(after_blanks).map_err(|problem| format!("column {column}: {problem}"))?;
        let (token, after) = after_blanks.split_at(length);
        found.push(Token { kind, text: token, column });
        column += token.chars().count();
        rest = after;
    }
}

fn skip_blanks(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        match text.strip_prefix("//") {
            Some(comment) => text = comment.split_once('\n').map_or("", |(_, after)| after),
            None => return text,
        }
    }
}

/// The kind of the first token and its length in bytes.
fn next(text: &str) -> Result<(Kind, usize), String> {
    if let Some(length) = string(text)? {
        return Ok((Kind::Text, length));
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    if digit(0) || (bytes[0] == b'.' && digit(1)) {
        return number(text).map(|length| (Kind::Number, length));
    }
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if is_letter(bytes[0]) {
        let is_part = |byte: &u8| is_letter(*byte) || byte.is_ascii_digit();
        return Ok((Kind::Identifier, bytes.iter().take_while(|byte| is_part(byte)).count()));
    }
    match SYMBOLS.iter().find(|symbol| text.starts_with(**symbol)) {
        Some(symbol) => Ok((Kind::Symbol, symbol.len())),
        None => Err(format!("unexpected character `{}`", text.chars().next().unwrap_or_default())),
    }
}

/// The longer symbols first.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

/// The length of a number: hexadecimal, decimal, with a fraction or an exponent, unsigned.
fn number(text: &str) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    let mut length = match text.strip_prefix("0x") {
        Some(_) => 2 + run(2, u8::is_ascii_hexdigit),
        None => run(0, u8::is_ascii_digit),
    };
    if !text.starts_with("0x") {
        let fraction =
            bytes.get(length).filter(|byte| **byte == b'.').map_or(0, |_| run(length + 1, u8::is_ascii_digit));
        length += if fraction > 0 { fraction + 1 } else { 0 };
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = run((length + 1 + sign).min(bytes.len()), u8::is_ascii_digit);
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
    }
    length += usize::from(matches!(bytes.get(length), Some(b'u' | b'U')));
    let trailing = run(length, |byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if trailing > 0 || text[..length] == *"0x" {
        return Err(format!("`{}` is no number", &text[..length + trailing]));
    }
    Ok(length)
}

/// The length of a string or of bytes, if the text begins with one.
fn string(text: &str) -> Result<Option<usize>, String> {
    let prefix = text.bytes().take_while(|byte| matches!(byte, b'r' | b'R' | b'b' | b'B')).count();
    let body = &text[prefix..];
    let Some(quote) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| body.starts_with(quote)) else {
        return Ok(None);
    };
    if prefix > 2 {
        return Ok(None);
    }
    let is_raw = text[..prefix].contains(['r', 'R']);
    let mut at = quote.len();
    loop {
        let rest = &body[at..];
        if rest.starts_with(quote) {
            return Ok(Some(prefix + at + quote.len()));
        }
        let c = rest.chars().next().ok_or("a text that does not end")?;
        if quote.len() == 1 && matches!(c, '\n' | '\r') {
            return Err("a text that does not end".to_owned());
        }
        at += match c {
            '\\' if !is_raw => escape(rest).ok_or("a text with an unknown escape")?,
            c => c.len_utf8(),
        };
    }
}

/// The length of an escape.
fn escape(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let hexadecimal = |digits: usize| {
        let all = bytes.get(2..2 + digits)?;
        all.iter().all(u8::is_ascii_hexdigit).then_some(2 + digits)
    };
    match bytes.get(1)? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => Some(2),
        b'x' | b'X' => hexadecimal(2),
        b'u' => hexadecimal(4),
        b'U' => hexadecimal(8),
        b'0'..=b'3' => {
            let octal = bytes.get(2..4)?;
            octal.iter().all(|byte| (b'0'..=b'7').contains(byte)).then_some(4)
        }
        _ => None,
    }
}
