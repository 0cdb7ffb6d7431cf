//! `meshctl certs`: certificates for development, and a look at those that are there.

mod dev_ca;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Subcommand};
use mesh_config::diagnostic::render::escape;
use mesh_tower::identity::{CertificateInfo, FileIdentity, IdentitySource as _, inspect};

use super::output::{self, Outcome};
use dev_ca::DevCa;

/// Make certificates for development, look at certificates and check them
#[derive(Debug, Args)]
pub(crate) struct Certs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    DevCa(DevCa),
    Show(Show),
    Check(Check),
}

impl Certs {
    pub(crate) fn run(self) -> Result<Outcome, String> {
        match self.command {
            Command::DevCa(dev_ca) => dev_ca.run(),
            Command::Show(show) => show.run(),
            Command::Check(check) => check.run(),
        }
    }
}

/// Print what certificates say: names, authority, dates
#[derive(Debug, Args)]
struct Show {
    /// PEM files with certificates
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Show {
    fn run(self) -> Result<Outcome, String> {
        for file in &self.files {
            for certificate in inspect(read(file)?).map_err(|problem| format!("{}: {problem}", file.display()))? {
                print(&described(file, &certificate))?;
            }
        }
        Ok(Outcome::Clean)
    }
}

/// Check whether the files of a directory make an identity: a mesh would start with them, or not
#[derive(Debug, Args)]
struct Check {
    /// The directory with `cert-chain.pem`, `key.pem` and `root-cert.pem`, or `tls.crt`, `tls.key` and `ca.crt`
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Check {
    fn run(self) -> Result<Outcome, String> {
        let directory = &self.directory;
        let is_secret = directory.join("tls.crt").exists();
        let (mut files, certificate) = if is_secret {
            (FileIdentity::secret(directory), directory.join("tls.crt"))
        } else {
            (FileIdentity::directory(directory), directory.join("cert-chain.pem"))
        };
        let material = match files.first() {
            Ok(material) => material,
            Err(problem) => {
                print(&format!("{}: {problem}", directory.display()))?;
                return Ok(Outcome::Findings);
            }
        };
        for certificate in inspect(read(&certificate)?).map_err(|problem| problem.to_string())? {
            let (now, name) = (now(), &certificate.subject);
            if !(certificate.not_before..=certificate.not_after).contains(&now) {
                print(&format!("{}: {} counts only {}", directory.display(), name, dates(&certificate)))?;
                return Ok(Outcome::Findings);
            }
        }
        print(&format!("{}: {} is good until {}", directory.display(), material.id(), date(material.expires())))?;
        Ok(Outcome::Clean)
    }
}

/// Prints lines.
fn print(text: &str) -> Result<(), String> {
    text.lines().try_for_each(|line| output::print(&format!("{}\n", escape(line))))
}

#[expect(clippy::disallowed_methods, reason = "certificates count by the calendar")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn described(file: &Path, certificate: &CertificateInfo) -> String {
    let mut lines = vec![format!("{}: {}", file.display(), dates(certificate))];
    let mut add = |what: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("  {what:<10}{value}"));
        }
    };
    add("subject", &certificate.subject);
    add("issuer", &certificate.issuer);
    add("uri", &certificate.uris.join(", "));
    add("dns", &certificate.dns_names.join(", "));
    add("identity", certificate.id().as_ref().map_or("", |id| id.as_str()));
    add("authority", if certificate.is_authority { "yes" } else { "" });
    lines.join("\n")
}

fn dates(certificate: &CertificateInfo) -> String {
    format!("from {} to {}", date(certificate.not_before), date(certificate.not_after))
}

/// A moment as `2026-11-30T12:00:00Z`.
fn date(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March have their odd day at the end.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        let at = |seconds| date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_795_435_200), "2026-11-23T12:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
    }
}
