//! Texts that are nobody's to see.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that is kept out of debug output: what a Secret holds, or keys that are written out in a document.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl SecretText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretText({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_length_is_printed() {
        let text = SecretText("hush".to_owned());
        assert_eq!(format!("{text:?} {:#?}", Some(&text)), "SecretText(4 bytes) Some(\n    SecretText(4 bytes),\n)");
    }
}
