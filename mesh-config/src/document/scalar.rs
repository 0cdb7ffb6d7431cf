//! What a plain YAML scalar stands for, as Kubernetes reads it (YAML 1.1: `yes` is a boolean, `0755` is octal).

/// The meaning of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'t str),
}

/// The meaning of a text, which is itself where it is quoted.
pub(crate) fn resolve(text: &str, plain: bool) -> Scalar<'_> {
    if !plain {
        return Scalar::Text(text);
    }
    if is_null(text) {
        return Scalar::Null;
    }
    // Nearly every scalar is a name; those that are not begin like this.
    let begins = text.trim_start_matches(BLANK).as_bytes().first();
    if !begins.is_some_and(|c| {
        matches!(
            c,
            b'0'..=b'9' | b'+' | b'-' | b'.' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'n' | b'N' | b'o' | b'O'
        )
    }) {
        return Scalar::Text(text);
    }
    if let Some(value) = boolean(text) {
        return Scalar::Bool(value);
    }
    if let Some(value) = integer(text) {
        if let Ok(value) = u64::try_from(value) {
            return Scalar::Unsigned(value);
        }
        if let Ok(value) = i64::try_from(value) {
            return Scalar::Signed(value);
        }
    }
    float(text).map_or(Scalar::Text(text), Scalar::Float)
}

/// Blanks around a value do not count.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    const TRUE: &[&str] = &["true", "yes", "y", "on"];
    const FALSE: &[&str] = &["false", "no", "n", "off"];
    let text = text.trim_matches(BLANK);
    let among = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if among(TRUE) { Some(true) } else { among(FALSE).then_some(false) }
}

/// A whole number: decimal, or with `0x`, `0o`, `0b` or a leading zero in base 16, 8, 2 or 8; digits may be grouped with
/// single underscores.
pub(super) fn integer(text: &str) -> Option<i128> {
    let text = text.trim_matches(BLANK);
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    let digits = if radix == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    let grouped = digits.contains('_');
    if digits.starts_with(['+', '-', '_']) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let magnitude = match grouped {
        true => i128::from_str_radix(&digits.replace('_', ""), radix).ok()?,
        false => i128::from_str_radix(digits, radix).ok()?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// A number with a fraction or an exponent, or one of YAML's `.inf` and `.nan`.
pub(super) fn float(text: &str) -> Option<f64> {
    let text = text.trim_matches(BLANK);
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        // With a sign it is a text.
        ".nan" | ".NaN" | ".NAN" => return (!text.starts_with(['+', '-'])).then_some(f64::NAN),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust would take `inf` and `infinity`, too.
    let numeral = digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|_: &f64| numeral)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_means_what_kubernetes_reads() {
        for (text, expected) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("Null", Scalar::Null),
            ("no", Scalar::Bool(false)),
            ("True", Scalar::Bool(true)),
            ("ON", Scalar::Bool(true)),
            ("10", Scalar::Unsigned(10)),
            ("+10", Scalar::Unsigned(10)),
            ("-1", Scalar::Signed(-1)),
            ("0", Scalar::Unsigned(0)),
            ("0755", Scalar::Unsigned(493)),
            ("0o17", Scalar::Unsigned(15)),
            ("0x1F", Scalar::Unsigned(31)),
            ("0b11", Scalar::Unsigned(3)),
            ("1_000", Scalar::Unsigned(1000)),
            ("1__0", Scalar::Text("1__0")),
            ("0899", Scalar::Float(899.0)),
            ("1e3", Scalar::Float(1000.0)),
            (".5", Scalar::Float(0.5)),
            ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
            ("1e999", Scalar::Float(f64::INFINITY)),
            ("99999999999999999999", Scalar::Float(1e20)),
            ("+.nan", Scalar::Text("+.nan")),
            ("inf", Scalar::Text("inf")),
            ("nan", Scalar::Text("nan")),
            ("infinity", Scalar::Text("infinity")),
            ("1.2.3.4", Scalar::Text("1.2.3.4")),
            ("10s", Scalar::Text("10s")),
            ("v1", Scalar::Text("v1")),
            ("-", Scalar::Text("-")),
            ("0x", Scalar::Text("0x")),
            ("0_", Scalar::Text("0_")),
        ] {
            assert_eq!(resolve(text, true), expected, "{text}");
            assert_eq!(resolve(text, false), Scalar::Text(text), "{text}");
        }
        assert!(matches!(resolve(".nan", true), Scalar::Float(value) if value.is_nan()));
    }

    proptest::proptest! {
        #[test]
        fn whole_numbers_are_read_back(number in proptest::prelude::any::<i64>()) {
            proptest::prop_assert_eq!(integer(&number.to_string()), Some(i128::from(number)));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = (resolve(&text, true), integer(&text), float(&text));
        }

        #[test]
        fn the_glance_at_the_first_letter_misses_nothing(text in "[-+.0-9a-zA-Z_~ ]{0,6}") {
            let means_more = is_null(&text) || boolean(&text).is_some() || integer(&text).is_some() || float(&text).is_some();
            proptest::prop_assert_eq!(means_more, !matches!(resolve(&text, true), Scalar::Text(_)));
        }
    }
}
