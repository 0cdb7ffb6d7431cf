//! The syntax of CEL expressions, which filters of access logs and values of tags are written in.
//!
//! Whether an expression can be read is found out here, as Istio's webhook does. Which variables there are, which types they
//! have, and what comes out is for `mesh-core`.

mod lexer;
mod literal;
mod parser;

/// Checks that a text is one CEL expression.
///
/// ```
/// use mesh_config::value::cel;
///
/// assert!(cel::check("response.code >= 400 && has(request.headers.referer)").is_ok());
/// assert!(cel::check("response.code >=").is_err());
/// ```
///
/// # Errors
/// What was expected where.
pub fn check(expression: &str) -> Result<(), String> {
    parse(expression).map(drop)
}

/// Reads an expression.
///
/// ```
/// use mesh_config::value::cel::{self, Expression, Literal};
///
/// assert_eq!(cel::parse("-1"), Ok(Expression::Literal(Literal::Int(-1))));
/// ```
///
/// # Errors
/// As [`check`].
pub fn parse(expression: &str) -> Result<Expression, String> {
    parser::parse(&lexer::tokens(expression)?)
}

/// An expression. Columns are those of characters of its text, from 1. No tree is deeper than the parser goes, however long the
/// text: what is written one behind the other is kept in a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A value that is written out.
    Literal(Literal),
    /// A variable.
    Name(Name),
    /// What is taken from a value, one step after the other.
    Member(Box<Self>, Vec<Step>),
    /// `has(a.b)`: whether the last step, a field, is there.
    Has(Box<Self>, Vec<Step>),
    /// A function.
    Call(Name, Vec<Self>),
    /// `!`.
    Not(Box<Self>),
    /// `-`.
    Negated(Box<Self>),
    /// Operands of `&&`.
    All(Vec<Self>),
    /// Operands of `||`.
    Any(Vec<Self>),
    /// Operators that bind equally, from left to right.
    Chain(Box<Self>, Vec<(Operator, Self)>),
    /// `a ? b : c`.
    Choice(Box<[Self; 3]>),
    /// `[a, b]`.
    List(Vec<Self>),
    /// `{a: b}`.
    Map(Vec<(Self, Self)>),
    /// Syntax that can be read and that nobody here evaluates: what it is.
    Other(Name),
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// The column that it begins at.
    pub column: usize,
}

/// What is taken from a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `.name`.
    Field(Name),
    /// `[key]`.
    Index(Expression),
    /// `.name(arguments)`.
    Call(Name, Vec<Expression>),
}

/// A value that is written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// `1`.
    Int(i64),
    /// `1u`.
    Uint(u64),
    /// `1.5`.
    Double(f64),
    /// `'text'`.
    Text(String),
    /// `b'bytes'`.
    Bytes(Vec<u8>),
}

/// An operator between two operands, other than `&&` and `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say which")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
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
            "request.headers['x-a'] in ['b'] && !has(x.y) || has(a['b'].c)",
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
            ("a || has(b['c'])", "6: invalid argument to has() macro"),
            ("has(a)", "1: invalid argument to has() macro"),
            ("1 < 9223372036854775808", "5: the number `9223372036854775808` is too large"),
            ("'\\ud800'", "1: a text with an escape that is no character"),
        ] {
            assert_eq!(check(bad).unwrap_err(), format!("column {problem}"), "{bad}");
        }
    }

    #[test]
    fn operators_bind_as_tightly_as_in_cel() {
        let read = |text: &str| parse(text).unwrap();
        let same = [
            ("a || b && c == d + e * f", "a || (b && (c == (d + (e * f))))"),
            ("a * b + c < d && e || f", "((((a * b) + c) < d) && e) || f"),
            ("a - b - c", "(a - b) - c"),
            ("a ? b : c ? d : e", "a ? b : (c ? d : e)"),
            ("!a.b == c", "(!(a.b)) == c"),
            ("a in b == c", "(a in b) == c"),
        ];
        for (plain, grouped) in same {
            let text = |expression: Expression| plain_text(&expression);
            assert_eq!(text(read(plain)), text(read(grouped)), "{plain}");
        }
        assert_eq!(read("--1"), Expression::Negated(Box::new(Expression::Literal(Literal::Int(-1)))));
        assert_eq!(read("-9223372036854775808"), Expression::Literal(Literal::Int(i64::MIN)));
        assert_eq!(read(r"'a\x41\101\n'"), Expression::Literal(Literal::Text("aAA\n".into())));
        assert_eq!(read(r"b'\xff\377é'"), Expression::Literal(Literal::Bytes(vec![255, 255, 0xc3, 0xa9])));
        assert_eq!(read(r"r'\d'"), Expression::Literal(Literal::Text(r"\d".into())));
        assert_eq!(read("0x1F"), Expression::Literal(Literal::Int(31)));
        assert_eq!(read("1e3"), Expression::Literal(Literal::Double(1_000.0)));
    }

    /// With brackets around each part, whatever brackets were written.
    fn plain_text(expression: &Expression) -> String {
        match expression {
            Expression::Name(name) => name.text.clone(),
            Expression::Member(base, steps) => format!("{}{}", plain_text(base), ".".repeat(steps.len())),
            Expression::Not(operand) => format!("(!{})", plain_text(operand)),
            Expression::All(parts) | Expression::Any(parts) => {
                let is_all = matches!(expression, Expression::All(_));
                let parts: Vec<_> = parts.iter().map(plain_text).collect();
                format!("({})", parts.join(if is_all { " && " } else { " || " }))
            }
            Expression::Chain(first, others) => others.iter().fold(plain_text(first), |text, (operator, other)| {
                format!("({text} {operator:?} {})", plain_text(other))
            }),
            Expression::Choice(parts) => format!("({})", parts.each_ref().map(plain_text).join(" ? ")),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(check(&deep).unwrap_err().contains("nested too deeply"));
        assert!(check(&"!".repeat(100_000)).is_err());
        let signs_and_brackets = format!("{}a{}", "!-!-(".repeat(25), ")".repeat(25));
        assert!(check(&signs_and_brackets).unwrap_err().contains("nested too deeply"));
        assert!(check(&format!("{}a{}", "!-(".repeat(25), ")".repeat(25))).is_ok());
        assert!(check(&format!("a{}", " ? b : c".repeat(100_000))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_checked(text in "[a-c0-9.?:!&|()\\[\\]{}'\"\\\\ ,=<>+*/%é-]{0,32}") {
            drop(check(&text));
        }
    }
}
