//! A file of questions, one of JSON a line, and an answer for each.

use std::io::{self, BufRead, Write};

use serde_json::Value;

use super::output::Outcome;

/// The lines of a file, or of standard input for `-`, that are not empty. They need not be text: what is none spoils its
/// own line only.
pub(crate) fn read(file: &str) -> Result<Vec<Vec<u8>>, String> {
    let input: Box<dyn BufRead> = match file {
        "-" => Box::new(io::stdin().lock()),
        path => Box::new(io::BufReader::new(std::fs::File::open(path).map_err(|error| format!("{path}: {error}"))?)),
    };
    let lines = input.split(b'\n').collect::<Result<Vec<_>, _>>().map_err(|error| format!("{file}: {error}"))?;
    Ok(lines.iter().map(|line| line.trim_ascii().to_vec()).filter(|line| !line.is_empty()).collect())
}

/// Prints an answer for each question. One that cannot be answered gets `{"error": ..}`; with such a one, or with an
/// answer that says that its configuration is `refused`, the exit status is 1.
pub(crate) fn answer(answers: impl Iterator<Item = Result<Value, String>>) -> Result<Outcome, String> {
    let mut out = io::stdout().lock();
    let mut outcome = Outcome::Clean;
    for answer in answers {
        let answer = answer.unwrap_or_else(|error| serde_json::json!({ "error": error }));
        if answer.get("error").is_some() || answer.get("refused") == Some(&Value::Bool(true)) {
            outcome = Outcome::Findings;
        }
        match writeln!(out, "{answer}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written.map_err(|error| format!("cannot print: {error}"))?,
        }
    }
    Ok(outcome)
}
