//! Tokens to an expression.

use super::{Expression, Kind, Literal, Name, Operator, Step, Token, literal};

/// The expression that the tokens are.
pub(super) fn parse(tokens: &[Token<'_>]) -> Result<Expression, String> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let found = parser.expression()?;
    match parser.peek() {
        None => Ok(found),
        Some(_) => Err(parser.expected("the end")),
    }
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    depth: usize,
}

/// Deeper nesting is refused: the parser calls itself, and so does who evaluates. Istio's parser goes to 250.
const DEEPEST: usize = 100;

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Infix {
    Or,
    And,
    Operator(Operator),
}

const INFIX: [(&str, Infix); 14] = [
    ("||", Infix::Or),
    ("&&", Infix::And),
    ("==", Infix::Operator(Operator::Equal)),
    ("!=", Infix::Operator(Operator::NotEqual)),
    ("<=", Infix::Operator(Operator::LessOrEqual)),
    (">=", Infix::Operator(Operator::GreaterOrEqual)),
    ("<", Infix::Operator(Operator::Less)),
    (">", Infix::Operator(Operator::Greater)),
    ("in", Infix::Operator(Operator::In)),
    ("+", Infix::Operator(Operator::Add)),
    ("-", Infix::Operator(Operator::Subtract)),
    ("*", Infix::Operator(Operator::Multiply)),
    ("/", Infix::Operator(Operator::Divide)),
    ("%", Infix::Operator(Operator::Remainder)),
];

/// The tightest level.
const TIGHTEST: usize = 4;

impl Infix {
    /// How tightly it binds.
    const fn level(self) -> usize {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Operator(Operator::Add | Operator::Subtract) => 3,
            Self::Operator(Operator::Multiply | Operator::Divide | Operator::Remainder) => TIGHTEST,
            Self::Operator(_) => 2,
        }
    }
}

impl<'t> Parser<'t> {
    /// Operands with operators between them, and a choice perhaps.
    fn expression(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        let first = self.operand()?;
        let mut others = Vec::new();
        while let Some(infix) = self.takes_infix() {
            others.push((infix, self.operand()?));
        }
        let condition = grouped(first, others, 0);
        let found = if self.takes("?") {
            let then = self.expression()?;
            self.expect(":")?;
            Expression::Choice(Box::new([condition, then, self.expression()?]))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(found)
    }

    /// A value with its signs in front, and with what is taken from it.
    fn operand(&mut self) -> Result<Expression, String> {
        let mut signs = Vec::new();
        while let Some(sign) = self.takes_sign() {
            // Two of one kind are none; so there is no deep tree of them.
            if signs.len() > 1 && signs.last() == Some(&sign) {
                signs.pop();
            } else {
                signs.push(sign);
            }
            if signs.len() > DEEPEST {
                return Err("nested too deeply".to_owned());
            }
        }
        // The smallest whole number has no counterpart that could be negated.
        let is_signed = |token: Token<'_>| token.kind == Kind::Number && !token.text.ends_with(['u', 'U']);
        let negative = signs.last() == Some(&"-") && self.peek().is_some_and(is_signed);
        if negative {
            signs.pop();
        }
        // Signs make the tree deeper as brackets do.
        let deeper = signs.len();
        self.depth += deeper;
        if self.depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        let mut found = self.member(negative)?;
        self.depth -= deeper;
        for sign in signs.into_iter().rev() {
            let operand = Box::new(found);
            found = if sign == "!" { Expression::Not(operand) } else { Expression::Negated(operand) };
        }
        Ok(found)
    }

    fn member(&mut self, negative: bool) -> Result<Expression, String> {
        let base = self.primary(negative)?;
        let (mut steps, mut optional) = (Vec::new(), None);
        loop {
            let column = self.column();
            if self.takes(".") {
                let is_optional = self.takes("?");
                let name = self.name()?;
                if self.takes("(") {
                    steps.push(Step::Call(name, self.arguments()?));
                } else {
                    steps.push(Step::Field(name));
                }
                optional = optional.or(is_optional.then_some(column));
            } else if self.takes("[") {
                let is_optional = self.takes("?");
                steps.push(Step::Index(self.expression()?));
                self.expect("]")?;
                optional = optional.or(is_optional.then_some(column));
            } else {
                break;
            }
        }
        if let Some(column) = optional {
            return Ok(other("an optional field", column));
        }
        Ok(if steps.is_empty() { base } else { Expression::Member(Box::new(base), steps) })
    }

    fn primary(&mut self, negative: bool) -> Result<Expression, String> {
        let column = self.column();
        if self.takes("(") {
            let found = self.expression()?;
            self.expect(")")?;
            return Ok(found);
        }
        if self.takes("[") {
            let mut is_optional = false;
            let item = |parser: &mut Self| {
                is_optional |= parser.takes("?");
                parser.expression()
            };
            let items = self.list("]", item)?;
            return Ok(if is_optional { other("an optional item", column) } else { Expression::List(items) });
        }
        if self.takes("{") {
            let (entries, is_optional) = self.entries()?;
            return Ok(if is_optional { other("an optional entry", column) } else { Expression::Map(entries) });
        }
        match self.peek() {
            Some(Token { kind: Kind::Number, text, .. }) => {
                self.at += 1;
                let value = literal::number(text, negative);
                value
                    .map(Expression::Literal)
                    .ok_or_else(|| format!("column {column}: the number `{text}` is too large"))
            }
            Some(Token { kind: Kind::Text, text, .. }) => {
                self.at += 1;
                let value = literal::text(text).map(Expression::Literal);
                value.ok_or_else(|| format!("column {column}: a text with an escape that is no character"))
            }
            Some(Token { kind: Kind::Identifier, .. }) => self.variable(),
            Some(Token { text: ".", .. }) => {
                self.at += 1;
                self.variable()
            }
            _ => Err(self.expected("an expression")),
        }
    }

    /// A variable, a call, or a message with its fields.
    fn variable(&mut self) -> Result<Expression, String> {
        let name = self.name()?;
        if RESERVED.contains(&name.text.as_str()) {
            return Err(format!("column {}: `{}` is a reserved word", name.column, name.text));
        }
        match name.text.as_str() {
            "true" => return Ok(Expression::Literal(Literal::Bool(true))),
            "false" => return Ok(Expression::Literal(Literal::Bool(false))),
            "null" => return Ok(Expression::Literal(Literal::Null)),
            _ => {}
        }
        if self.takes("(") {
            let arguments = self.arguments()?;
            return if name.text == "has" { has(&name, arguments) } else { Ok(Expression::Call(name, arguments)) };
        }
        let before = self.at;
        while self.takes(".") {
            if self.name().is_err() || self.peek().is_some_and(|token| token.text == "(") {
                break;
            }
        }
        if self.takes("{") {
            self.entries()?;
            return Ok(other("a message", name.column));
        }
        // The names are what is taken from the variable, and are read as such.
        self.at = before;
        Ok(Expression::Name(name))
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, String> {
        let mut found = Vec::new();
        if self.takes(")") {
            return Ok(found);
        }
        found.push(self.expression()?);
        while self.takes(",") {
            found.push(self.expression()?);
        }
        self.expect(")")?;
        Ok(found)
    }

    /// With whether there is an optional one.
    fn entries(&mut self) -> Result<(Vec<(Expression, Expression)>, bool), String> {
        let mut is_optional = false;
        let entry = |parser: &mut Self| {
            is_optional |= parser.takes("?");
            let key = parser.expression()?;
            parser.expect(":")?;
            Ok((key, parser.expression()?))
        };
        self.list("}", entry).map(|entries| (entries, is_optional))
    }

    /// Items with commas between them, and one behind the last perhaps.
    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut found = Vec::new();
        while !self.takes(end) {
            found.push(item(self)?);
            if !self.takes(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(found)
    }

    fn name(&mut self) -> Result<Name, String> {
        match self.peek() {
            Some(Token { kind: Kind::Identifier, text, column }) => {
                self.at += 1;
                Ok(Name { text: text.to_owned(), column })
            }
            _ => Err(self.expected("a name")),
        }
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    /// Of the next token, or of the end.
    fn column(&self) -> usize {
        let end = || self.tokens.last().map_or(1, |last| last.column + last.text.chars().count());
        self.peek().map_or_else(end, |token| token.column)
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let is_there = self.peek().is_some_and(|token| token.kind == Kind::Symbol && token.text == symbol);
        self.at += usize::from(is_there);
        is_there
    }

    fn takes_sign(&mut self) -> Option<&'static str> {
        ["!", "-"].into_iter().find(|sign| self.takes(sign))
    }

    fn takes_infix(&mut self) -> Option<Infix> {
        let next = self.peek().filter(|token| matches!(token.kind, Kind::Symbol | Kind::Identifier))?;
        let (_, infix) = INFIX.iter().find(|(text, _)| *text == next.text)?;
        self.at += 1;
        Some(*infix)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.takes(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> String {
        let column = self.column();
        match self.peek() {
            Some(Token { text, .. }) => format!("column {column}: expected {what}, found `{text}`"),
            None => format!("column {column}: expected {what}, found the end"),
        }
    }
}

/// Operands with what stands between them, by how tightly that binds, from a level on.
fn grouped(first: Expression, others: Vec<(Infix, Expression)>, level: usize) -> Expression {
    if others.is_empty() || level > TIGHTEST {
        return first;
    }
    let mut groups = Vec::new();
    let mut current = (None, first, Vec::new());
    for (infix, operand) in others {
        if infix.level() == level {
            groups.push(std::mem::replace(&mut current, (Some(infix), operand, Vec::new())));
        } else {
            current.2.push((infix, operand));
        }
    }
    let (infix, first, others) = current;
    let last = (infix, grouped(first, others, level + 1));
    if groups.is_empty() {
        return last.1;
    }
    let before = groups.into_iter().map(|(infix, first, others)| (infix, grouped(first, others, level + 1)));
    let mut parts = before.chain([last]);
    match level {
        0 => Expression::Any(parts.map(|(_, part)| part).collect()),
        1 => Expression::All(parts.map(|(_, part)| part).collect()),
        _ => {
            let first = parts.next().map_or(Expression::Literal(Literal::Null), |(_, first)| first);
            let others = parts.filter_map(|(infix, part)| match infix {
                Some(Infix::Operator(operator)) => Some((operator, part)),
                _ => None,
            });
            Expression::Chain(Box::new(first), others.collect())
        }
    }
}

/// `has` is a macro: it takes the choice of a field, which is not evaluated.
fn has(name: &Name, mut arguments: Vec<Expression>) -> Result<Expression, String> {
    let argument = arguments.pop().filter(|_| arguments.is_empty());
    match argument {
        Some(Expression::Member(base, steps)) if matches!(steps.last(), Some(Step::Field(_))) => {
            Ok(Expression::Has(base, steps))
        }
        Some(optional @ Expression::Other(_)) => Ok(optional),
        _ => Err(format!("column {}: invalid argument to has() macro", name.column)),
    }
}

fn other(what: &str, column: usize) -> Expression {
    Expression::Other(Name { text: what.to_owned(), column })
}

/// Words that are no variables.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
