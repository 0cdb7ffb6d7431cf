//! The way to a value, kept on the stack until somebody asks for it.

use std::fmt;

use crate::diagnostic::FieldPath;

/// One step, and those before it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) above: Option<&'a At<'a>>,
    pub(super) step: Step<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    pub(super) fn root(name: &'a str) -> Self {
        Self { above: None, step: Step::Field(name) }
    }

    pub(super) fn then(&'a self, step: Step<'a>) -> Self {
        Self { above: Some(self), step }
    }

    pub(super) fn path(&self) -> FieldPath {
        let above = self.above.map_or_else(FieldPath::root, At::path);
        match self.step {
            Step::Field(name) => above.field(name.to_owned()),
            Step::Index(index) => above.index(index),
            Step::Key(key) => above.key(key),
        }
    }

    /// As the check of the schema prints it: with dots before keys, as if they were fields.
    pub(super) fn dotted(&self) -> Dotted<'_> {
        Dotted(self)
    }
}

/// As the rules print it: keys in brackets.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, f, true)
    }
}

pub(super) struct Dotted<'a>(&'a At<'a>);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, f, false)
    }
}

fn print(at: &At<'_>, f: &mut fmt::Formatter<'_>, brackets: bool) -> fmt::Result {
    if let Some(above) = at.above {
        print(above, f, brackets)?;
    }
    match at.step {
        Step::Field(name) if at.above.is_none() => f.write_str(name),
        Step::Key(key) if brackets => write!(f, "[{key}]"),
        Step::Field(name) | Step::Key(name) => write!(f, ".{name}"),
        Step::Index(index) => write!(f, "[{index}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_prints_as_the_schema_and_as_the_rules_print_it() {
        let root = At::root("spec");
        let (http, first) = (root.then(Step::Field("http")), Step::Index(0));
        let rule = http.then(first);
        let key = rule.then(Step::Key("a.b"));
        assert_eq!(key.to_string(), "spec.http[0][a.b]");
        assert_eq!(key.dotted().to_string(), "spec.http[0].a.b");
        assert_eq!(key.path(), FieldPath::root().field("spec").field("http").index(0).key("a.b"));
    }
}
