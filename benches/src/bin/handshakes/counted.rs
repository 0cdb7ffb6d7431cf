//! Instructions of a connection, both ends of it, with TLS and without.

use std::process::ExitCode;

use benches::instructions;
use clap::ValueEnum as _;

use crate::certificates::{Authority, Sessions};
use crate::{BoxError, COMPARED, pair};

/// So many connections of one pair, one after the other.
pub(crate) fn solo(name: &str, sessions: Sessions, plain: bool, connections: u64) -> Result<(), BoxError> {
    let known = COMPARED.iter().flat_map(|(_, _, ends)| *ends).chain(&["bare to bare"]).find(|known| **known == name);
    let name = known.ok_or("no such pair")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let pair = pair(&Authority::new()?, sessions, name).await?;
        let client = if plain { pair.plain } else { pair.secure };
        for _ in 0..connections {
            client.call().await?;
        }
        Ok(())
    })
}

/// What TLS takes a pair, as a ratio to the bare one.
pub(crate) fn report(fail_under: Option<f64>) -> Result<ExitCode, BoxError> {
    let mut is_good = true;
    for (title, sessions, ends) in COMPARED {
        println!("{title}");
        println!("{:<16}{:>16}{:>16}{:>10}{:>10}", "instructions", "connection", "of it TLS", "ratio", "TLS");
        let bare = counted("bare to bare", sessions)?;
        for name in ["bare to bare"].iter().chain(ends) {
            let (whole, tls) = if *name == "bare to bare" { bare } else { counted(name, sessions)? };
            println!("{name:<16}{whole:>16.0}{tls:>16.0}{:>10.3}{:>10.3}", bare.0 / whole, bare.1 / tls);
            is_good &= fail_under.is_none_or(|bound| bare.1 / tls >= bound);
        }
        println!();
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// Of a connection, and of what TLS adds to one.
fn counted(name: &str, sessions: Sessions) -> Result<(f64, f64), BoxError> {
    let sessions = sessions.to_possible_value().ok_or("no name of a session")?;
    let of = |plain: &[&str]| {
        let arguments = ["--only", name, "--sessions", sessions.get_name()];
        instructions::per_step(&[&arguments, plain, &["--solo"]].concat())
    };
    let (secure, plain) = (of(&[])?, of(&["--plain"])?);
    Ok((secure, secure - plain))
}
