//! From the syntax to what is evaluated: attributes found by their names, patterns compiled, and what can only err noted.

use mesh_config::value::cel::{Expression, Literal, Name, Step};
use mesh_config::value::regex;

use super::Note;
use super::attribute::{self, Attribute, Found};
use super::eval::{Node, NodeStep};
use super::function::Function;
use crate::telemetry::record::Wanted;

/// Names of types, which are values.
const TYPES: [&str; 10] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

pub(super) struct Lowering {
    pub(super) wanted: Wanted,
    pub(super) notes: Vec<Note>,
    pub(super) reads_peer: bool,
}

impl Lowering {
    pub(super) fn lower(&mut self, expression: &Expression) -> Node {
        match expression {
            Expression::Literal(literal) => Node::Constant(literal.clone()),
            Expression::Name(_) => self.member(expression, &[]),
            Expression::Member(base, steps) => self.member(base, steps),
            Expression::Has(base, steps) => self.has(base, steps),
            Expression::Call(name, arguments) => self.call(name, arguments),
            Expression::Not(operand) => Node::Not(Box::new(self.lower(operand))),
            Expression::Negated(operand) => Node::Negated(Box::new(self.lower(operand))),
            Expression::All(operands) => Node::All(self.several(operands)),
            Expression::Any(operands) => Node::Any(self.several(operands)),
            Expression::Chain(first, others) => {
                let first = Box::new(self.lower(first));
                Node::Chain(first, others.iter().map(|(operator, other)| (*operator, self.lower(other))).collect())
            }
            Expression::Choice(parts) => Node::Choice(Box::new((**parts).each_ref().map(|part| self.lower(part)))),
            Expression::List(items) => Node::List(self.several(items)),
            Expression::Map(entries) => {
                Node::Map(entries.iter().map(|(key, value)| (self.lower(key), self.lower(value))).collect())
            }
            Expression::Other(what) => self.erring(format!("{} is not evaluated", what.text), what.column),
        }
    }

    fn several(&mut self, expressions: &[Expression]) -> Vec<Node> {
        expressions.iter().map(|expression| self.lower(expression)).collect()
    }

    fn erring(&mut self, what: String, column: usize) -> Node {
        self.notes.push(Note { what, column });
        Node::Erring
    }

    fn member(&mut self, base: &Expression, steps: &[Step]) -> Node {
        let (base, used) = match base {
            Expression::Name(name) => match self.attribute(name, steps) {
                Ok((attribute, used)) => (Node::Attribute(attribute), used),
                Err(other) => (other, 0),
            },
            other => (self.lower(other), 0),
        };
        self.steps(base, steps.get(used..).unwrap_or_default())
    }

    /// The attribute that a name and the first steps lead to, and how many steps those are.
    fn attribute(&mut self, name: &Name, steps: &[Step]) -> Result<(Attribute, usize), Node> {
        let path = path(name, steps);
        match attribute::find(&path) {
            Found::Attribute(attribute, used) => {
                attribute.want(&mut self.wanted);
                self.reads_peer |= matches!(attribute, Attribute::Workload(..));
                Ok((attribute, used - 1))
            }
            Found::NoVariable => {
                if let Some(known) = TYPES.iter().find(|known| **known == name.text) {
                    return Err(Node::Type(known));
                }
                Err(self.erring(format!("there is no variable {}", name.text), name.column))
            }
            Found::Never => {
                let what = format!("the attribute {} is never there in a process", shown(&path));
                Err(self.erring(what, name.column))
            }
            Found::Unknown if path.len() == 1 => {
                Err(self.erring(format!("{} is no value, only its attributes are", name.text), name.column))
            }
            Found::Unknown => Err(self.erring(format!("there is no attribute {}", shown(&path)), name.column)),
        }
    }

    fn has(&mut self, base: &Expression, steps: &[Step]) -> Node {
        if let Expression::Name(name) = base {
            let names = path(name, steps);
            let is_all = names.len() == steps.len() + 1;
            match attribute::find(&names) {
                Found::Attribute(attribute, used) if is_all && used == names.len() => {
                    attribute.want(&mut self.wanted);
                    self.reads_peer |= matches!(attribute, Attribute::Workload(..));
                    return Node::Present(attribute);
                }
                // Nobody has it, which is no mistake: that is what is asked.
                Found::Never | Found::Unknown if is_all && names.len() == 2 => {
                    return Node::Constant(Literal::Bool(false));
                }
                _ => {}
            }
        }
        match steps.split_last() {
            Some((Step::Field(field), before)) => {
                let whole = self.member(base, before);
                with_step(whole, NodeStep::HasField(field.text.as_str().into()))
            }
            _ => Node::Erring,
        }
    }

    fn steps(&mut self, base: Node, steps: &[Step]) -> Node {
        // What a value is taken from that is never there has been noted already.
        if matches!(base, Node::Erring) {
            return base;
        }
        let mut found = Vec::with_capacity(steps.len());
        for step in steps {
            match self.step(step) {
                Some(step) => found.push(step),
                None => return Node::Erring,
            }
        }
        if found.is_empty() { base } else { Node::Member(Box::new(base), found) }
    }

    fn step(&mut self, step: &Step) -> Option<NodeStep> {
        match step {
            Step::Field(name) => Some(NodeStep::Field(name.text.as_str().into())),
            Step::Index(key) => Some(NodeStep::Index(self.lower(key))),
            Step::Call(name, arguments) => self.function(name, arguments, true),
        }
    }

    fn call(&mut self, name: &Name, arguments: &[Expression]) -> Node {
        let Some((first, others)) = arguments.split_first() else {
            return self.erring(format!("there is no function {} without arguments", name.text), name.column);
        };
        let first = self.lower(first);
        match self.function(name, others, false) {
            Some(step) => with_step(first, step),
            None => Node::Erring,
        }
    }

    /// A function with its arguments beside the first.
    fn function(&mut self, name: &Name, arguments: &[Expression], is_method: bool) -> Option<NodeStep> {
        if name.text == "matches"
            && let [pattern] = arguments
        {
            return self.matches(name, pattern);
        }
        match Function::named(&name.text, is_method) {
            Some((function, count)) if count.contains(&arguments.len()) => {
                Some(NodeStep::Call(function, self.several(arguments)))
            }
            Some(_) => {
                self.erring(format!("{} does not take so many arguments", name.text), name.column);
                None
            }
            None => {
                self.erring(format!("there is no function {}", name.text), name.column);
                None
            }
        }
    }

    /// The pattern is compiled in advance: nobody who sends requests makes up patterns.
    fn matches(&mut self, name: &Name, pattern: &Expression) -> Option<NodeStep> {
        let problem = match pattern {
            Expression::Literal(Literal::Text(pattern)) => match regex::search(pattern) {
                Ok(regex) => return Some(NodeStep::Matches(regex)),
                Err(problem) => format!("the pattern of matches cannot be read: {problem}"),
            },
            _ => "the pattern of matches has to be a text in quotes".to_owned(),
        };
        self.erring(problem, name.column);
        None
    }
}

/// A name and the names behind it, as far as they are written out.
fn path<'e>(name: &'e Name, steps: &'e [Step]) -> Vec<&'e str> {
    let names = steps.iter().map_while(|step| match step {
        Step::Field(name) => Some(name.text.as_str()),
        Step::Index(Expression::Literal(Literal::Text(text))) => Some(text.as_str()),
        _ => None,
    });
    // No attribute has longer ones.
    std::iter::once(name.text.as_str()).chain(names).take(6).collect()
}

/// The first names of a path, which say which attribute is meant.
fn shown(path: &[&str]) -> String {
    path.iter().take(2).copied().collect::<Vec<_>>().join(".")
}

fn with_step(base: Node, step: NodeStep) -> Node {
    match base {
        Node::Erring => Node::Erring,
        Node::Member(base, mut steps) => {
            steps.push(step);
            Node::Member(base, steps)
        }
        base => Node::Member(Box::new(base), vec![step]),
    }
}
