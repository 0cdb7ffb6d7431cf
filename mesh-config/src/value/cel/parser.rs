//! Tokens to a verdict.

use super::{Kind, Token};

/// Checks that the tokens are one expression.
pub(super) fn check(tokens: &[Token<'_>]) -> Result<(), String> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    parser.expression()?;
    match parser.peek() {
        None => Ok(()),
        Some(_) => Err(parser.expected("the end")),
    }
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    depth: usize,
}

/// Deeper nesting is refused: the parser calls itself.
const DEEPEST: usize = 250;

/// The operators between two operands, in any order of binding: only the form is looked at.
const BETWEEN: &[&str] = &["||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"];

impl<'t> Parser<'t> {
    /// Operands with operators between them, and a choice perhaps.
    fn expression(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("nested too deeply".to_owned());
        }
        self.operand()?;
        while self.takes_one_of(BETWEEN) || self.takes_word("in") {
            self.operand()?;
        }
        if self.takes("?") {
            self.expression()?;
            self.expect(":")?;
            self.expression()?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// A value with its signs in front, and with what is taken from it.
    fn operand(&mut self) -> Result<(), String> {
        while self.takes_one_of(&["!", "-"]) {}
        self.primary()?;
        loop {
            if self.takes(".") {
                self.takes("?");
                self.name()?;
                if self.takes("(") {
                    self.arguments()?;
                }
            } else if self.takes("[") {
                self.takes("?");
                self.expression()?;
                self.expect("]")?;
            } else {
                return Ok(());
            }
        }
    }

    fn primary(&mut self) -> Result<(), String> {
        if self.takes("(") {
            self.expression()?;
            return self.expect(")");
        }
        if self.takes("[") {
            return self.list("]", |parser| {
                parser.takes("?");
                parser.expression()
            });
        }
        if self.takes("{") {
            return self.entries();
        }
        match self.peek() {
            Some(Token { kind: Kind::Number | Kind::Text, .. }) => {
                self.at += 1;
                Ok(())
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
    fn variable(&mut self) -> Result<(), String> {
        let word = self.peek();
        self.name()?;
        if let Some(Token { text, column, .. }) = word.filter(|word| RESERVED.contains(&word.text)) {
            return Err(format!("column {column}: `{text}` is a reserved word"));
        }
        if self.takes("(") {
            return self.arguments();
        }
        let name = self.at;
        while self.takes(".") {
            if self.name().is_err() || self.peek().is_some_and(|token| token.text == "(") {
                break;
            }
        }
        if self.takes("{") {
            return self.entries();
        }
        // The names are what is taken from the variable, and are read as such.
        self.at = name;
        Ok(())
    }

    fn arguments(&mut self) -> Result<(), String> {
        if self.takes(")") {
            return Ok(());
        }
        self.expression()?;
        while self.takes(",") {
            self.expression()?;
        }
        self.expect(")")
    }

    fn entries(&mut self) -> Result<(), String> {
        self.list("}", |parser| {
            parser.takes("?");
            parser.expression()?;
            parser.expect(":")?;
            parser.expression()
        })
    }

    /// Items with commas between them, and one behind the last perhaps.
    fn list(&mut self, end: &str, item: impl Fn(&mut Self) -> Result<(), String>) -> Result<(), String> {
        while !self.takes(end) {
            item(self)?;
            if !self.takes(",") {
                return self.expect(end);
            }
        }
        Ok(())
    }

    fn name(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(Token { kind: Kind::Identifier, .. }) => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.expected("a name")),
        }
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    fn takes(&mut self, symbol: &str) -> bool {
        self.takes_one_of(&[symbol])
    }

    fn takes_one_of(&mut self, symbols: &[&str]) -> bool {
        let is_there = self.peek().is_some_and(|token| token.kind == Kind::Symbol && symbols.contains(&token.text));
        self.at += usize::from(is_there);
        is_there
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_there = self.peek().is_some_and(|token| token.kind == Kind::Identifier && token.text == word);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.takes(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> String {
        match self.peek() {
            Some(Token { text, column, .. }) => format!("column {column}: expected {what}, found `{text}`"),
            None => {
                let last = self.tokens.last();
                let column = last.map_or(1, |last| last.column + last.text.chars().count());
                format!("column {column}: expected {what}, found the end")
            }
        }
    }
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
