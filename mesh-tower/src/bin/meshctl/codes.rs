//! `meshctl codes`: what findings mean.

use clap::Args;
use mesh_config::Code;
use mesh_config::diagnostic::render::escape;

use super::output::{Outcome, print};

/// List the codes of findings, or explain one: meaning, effect, example, how to mend it.
#[derive(Debug, Args)]
pub(crate) struct Codes {
    /// The code, such as MESH0001, or its name
    code: Option<String>,
}

impl Codes {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let text = match &self.code {
            Some(asked) => {
                let code = find(asked)
                    .ok_or_else(|| format!("there is no code {}; `meshctl codes` lists them", escape(asked)))?;
                code.page().to_owned()
            }
            None => list(),
        };
        print(&text)?;
        Ok(Outcome::Clean)
    }
}

fn find(asked: &str) -> Option<Code> {
    Code::all().find(|code| code.as_str().eq_ignore_ascii_case(asked) || code.name().eq_ignore_ascii_case(asked))
}

fn list() -> String {
    let mut codes: Vec<_> = Code::all().collect();
    codes.sort();
    let width = codes.iter().map(|code| code.name().len()).max().unwrap_or(0);
    codes.iter().map(|code| format!("{code:<8}  {:width$}  {}\n", code.name(), code.meaning())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_number_or_name_in_any_case() {
        assert_eq!(find("mesh0001"), Some(Code::UNKNOWN_FIELD));
        assert_eq!(find("Unknown-Field"), Some(Code::UNKNOWN_FIELD));
        assert_eq!(find("MESH9999"), None);
    }
}
