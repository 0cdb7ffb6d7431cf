//! The syntax of CEL expressions, which filters of access logs are written in.
//!
//! Only whether an expression can be read is found out here, as Istio's webhook does; which variables there are, and which
//! types they have, is not looked at.

mod lexer;
mod parser;

/// Checks that a text is one CEL expression.
///
/// ```
/// use mesh_config::value::cel;
///
/// assert!(cel::check("response.code >= 400 && has(request.headers['x-user'])").is_ok());
/// assert!(cel::check("response.code >=").is_err());
/// ```
///
/// # Errors
/// What was expected where.
pub fn check(expression: &str) -> Result<(), String> {
    parser::check(&lexer::tokens(expression)?)
}

/// A part of the text: what it is, and the character it begins with, from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Identifier,
    Number,
    /// A string or bytes.
    Text,
    /// An operator or a bracket.
    Symbol,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_every_form_are_read() {
        for good in [
            "response.code >= 400",
            "a",
            ".a.b",
            "!a && -b < 3 || c ? d : e",
            "a ? b ? 1 : 2 : 3",
            "--1",
            "a.b(c, d)[e].f",
            "f()",
            "[1, 2u, 0xFF, 1.5e3, .5, 'a', \"b\", r'\\d', b\"x\", '''a'b''',]",
            "{'a': 1, b: [],}",
            "pkg.Type{field: 1, other: 'x'}",
            "request.headers['x-a'] in ['b'] && !has(x.y)",
            "items.all(i, i % 2 == 0)",
            "a // comment\n == b",
            "true && false != null",
            "'\\x41\\u0041\\U00000041\\101\\n\\\"'",
            "connection.mtls == true",
            "a.?b[?0]",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for (bad, problem) in [
            ("", "1: expected an expression, found the end"),
            ("response.code >=", "17: expected an expression, found the end"),
            ("a b", "3: expected the end, found `b`"),
            ("a &&", "5: expected an expression, found the end"),
            ("a & b", "3: unexpected character `&`"),
            ("a = b", "3: unexpected character `=`"),
            ("(a", "3: expected `)`, found the end"),
            ("f(a,)", "5: expected an expression, found `)`"),
            ("a.1", "2: expected the end, found `.1`"),
            ("a.", "3: expected a name, found the end"),
            ("'a", "1: a text that does not end"),
            ("'a\\q'", "1: a text with an unknown escape"),
            ("a ? b", "6: expected `:`, found the end"),
            ("a[", "3: expected an expression, found the end"),
            ("{a}", "3: expected `:`, found `}`"),
            ("for", "1: `for` is a reserved word"),
            ("12ab", "1: `12ab` is no number"),
            ("a @ b", "3: unexpected character `@`"),
        ] {
            assert_eq!(check(bad).unwrap_err(), format!("column {problem}"), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(check(&deep).unwrap_err().contains("nested too deeply"));
        assert!(check(&"!".repeat(100_000)).is_err());
        assert!(check(&format!("a{}", " ? b : c".repeat(100_000))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_checked(text in "[a-c0-9.?:!&|()\\[\\]{}'\"\\\\ ,=<>+*/%é-]{0,32}") {
            drop(check(&text));
        }
    }
}
