//! The form of substitutions in header values.
//!
//! Istio reads a value character by character as Envoy once did, and so do we, so that both take the same values: a
//! closing parenthesis ends the arguments even within quotes, and `%NAME()%` never ends.

/// Checks that every `%NAME%`, `%NAME(argument)%` and `%NAME(["a", "b"])%` ends.
pub(super) fn check(value: &str) -> Result<(), String> {
    let mut state = State::Literal;
    let mut bytes = value.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (state, byte) {
            (State::Literal, b'%') => match bytes.peek() {
                None => return Err(problem("Un-escaped %")),
                Some(b'%') => drop(bytes.next()),
                Some(_) => state = State::Name,
            },
            (State::Literal, _) => {}
            (State::Argument, b'\\') => {
                bytes.next().ok_or_else(|| problem("Un-terminated backslash in JSON string"))?;
            }
            _ => state = state.after(byte)?,
        }
    }
    match state {
        State::Literal => Ok(()),
        _ => Err(problem(&format!("Un-terminated variable expression '{value}'"))),
    }
}

/// What is expected next.
#[derive(Clone, Copy)]
enum State {
    Literal,
    Name,
    /// What begins the arguments: a bracket for a list, or the one argument.
    Arguments,
    /// An argument, quoted or not.
    Argument,
    /// The quote that opens an item of the list.
    Quote,
    /// What follows an item of the list.
    Separator,
    Parenthesis,
    Percent,
}

impl State {
    fn after(self, byte: u8) -> Result<Self, String> {
        Ok(match (self, byte) {
            (Self::Name | Self::Percent, b'%') => Self::Literal,
            (Self::Name, b'(') => Self::Arguments,
            (Self::Arguments, b'[') | (Self::Separator, b',') => Self::Quote,
            (Self::Quote, b'"') => Self::Argument,
            (Self::Argument, b'"') => Self::Separator,
            (Self::Separator, b']') => Self::Parenthesis,
            (Self::Argument | Self::Parenthesis, b')') => Self::Percent,
            (Self::Literal | Self::Name | Self::Argument, _) => self,
            (_, b' ') => self,
            (Self::Arguments, _) => Self::Argument,
            (Self::Quote, _) => return Err(problem("Expecting '\"'")),
            (Self::Separator, _) => return Err(problem("Expecting ',', ']', or whitespace")),
            (Self::Parenthesis, _) => return Err(problem("Expecting ')' or whitespace after '{}', but found '{}'")),
            (Self::Percent, _) => return Err(problem("Expecting '%' or whitespace after")),
        })
    }
}

fn problem(text: &str) -> String {
    format!("invalid header configuration. {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_substitutions_are_accepted() {
        for value in [
            "",
            "plain",
            "100%%",
            "%START_TIME%",
            "a-%REQ(x-a?x-b)%-b",
            "%START_TIME(%Y-%m)%",
            "%DYNAMIC_METADATA([\"a\", \"b\"])%",
            "%UPSTREAM_METADATA( [ \"a\\\"]\" ] ) %",
        ] {
            assert_eq!(check(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn incomplete_ones_are_refused_with_the_reason() {
        for (value, reason) in [
            ("50%", "Un-escaped %"),
            ("%START_TIME%%", "Un-escaped %"),
            ("%START_TIME", "Un-terminated variable expression '%START_TIME'"),
            ("%REQ(x", "Un-terminated variable expression"),
            ("%REQ()%", "Un-terminated variable expression"),
            ("%V([\"a\")%", "Expecting ',', ']', or whitespace"),
            ("%V([a])%", "Expecting '\"'"),
            ("%V([\"a\\", "Un-terminated backslash in JSON string"),
            ("%V([\"a\"]x)%", "Expecting ')' or whitespace"),
            ("%V([\"a)b\"])%", "Expecting '%' or whitespace"),
            ("%V(a)x%", "Expecting '%' or whitespace"),
            ("%REQ(x):10%", "Expecting '%' or whitespace"),
        ] {
            let problem = check(value).unwrap_err();
            assert!(problem.starts_with("invalid header configuration. "), "{problem}");
            assert!(problem.contains(reason), "{value}: {problem}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_value_can_be_checked(value in "[%()\\[\\]\", \\\\aé]{0,24}") {
            drop(check(&value));
        }
    }
}
