//! `meshctl certs dev-ca`: an authority for a laptop, and certificates of it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_tower::identity::inspect;
use mesh_tower::mesh_core::identity::{SpiffeId, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::DnsName;

use super::super::output::Outcome;
use super::{now, print};

/// Make an authority and certificates for development
///
/// Writes `ca.pem` and `ca-key.pem` to the directory, or uses those that are there, and for each workload the files of
/// Istio's agent in `NAMESPACE/ACCOUNT`: `cert-chain.pem`, `key.pem`, `root-cert.pem`. For a DNS name it writes `tls.crt`,
/// `tls.key` and `ca.crt`, as a gateway's Secret has them. Whoever can read `ca-key.pem` can be anybody: not for production.
#[derive(Debug, Args)]
pub(super) struct DevCa {
    /// Where to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The trust domain of workloads that are given as NAMESPACE/ACCOUNT
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    trust_domain: TrustDomain,

    /// How long the certificates count
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,

    /// Whom to make certificates for: NAMESPACE/ACCOUNT, a SPIFFE id, or a DNS name
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// The name of the authority.
const NAME: &str = "mesh development CA";

/// Whose a certificate is.
enum Owner {
    Workload(SpiffeId),
    Host(String),
}

impl DevCa {
    pub(super) fn run(self) -> Result<Outcome, String> {
        let owners: Vec<_> = self.ids.iter().map(|id| self.owner(id)).collect::<Result<_, _>>()?;
        make_directory(&self.out)?;
        let (root, issuer) = self.authority()?;
        for owner in owners {
            let at = self.issue(&owner, &root, &issuer)?;
            print(&format!(
                "{}: {}",
                at.display(),
                match &owner {
                    Owner::Workload(id) => id.as_str(),
                    Owner::Host(name) => name,
                }
            ))?;
        }
        Ok(Outcome::Clean)
    }

    fn owner(&self, id: &str) -> Result<Owner, String> {
        let refused = |why| format!("{id}: {why}");
        if id.contains("://") {
            return id.parse().map(Owner::Workload).map_err(refused);
        }
        match id.split_once('/') {
            Some((namespace, account)) => SpiffeId::of_service_account(&self.trust_domain, namespace, account)
                .map(Owner::Workload)
                .map_err(refused),
            None if DnsName::try_from(id.strip_prefix("*.").unwrap_or(id)).is_ok() => Ok(Owner::Host(id.to_owned())),
            None => Err(format!("{id}: this is neither NAMESPACE/ACCOUNT nor a SPIFFE id nor a DNS name")),
        }
    }

    /// The authority of the directory, made where there is none: its certificate and what signs by it.
    fn authority(&self) -> Result<(String, Issuer<'static, KeyPair>), String> {
        let (root, key) = (self.out.join("ca.pem"), self.out.join("ca-key.pem"));
        if root.exists() && key.exists() {
            let root = fs::read_to_string(&root).map_err(|error| format!("{}: {error}", root.display()))?;
            let pem = fs::read_to_string(&key).map_err(|error| format!("{}: {error}", key.display()))?;
            let pair = KeyPair::from_pem(&pem).map_err(|_| format!("{}: this is no private key", key.display()))?;
            let is_ours = inspect(&root).is_ok_and(|found| found.iter().all(|one| one.subject == format!("CN={NAME}")));
            if !is_ours {
                return Err(format!("{} holds an authority that was not made here", self.out.display()));
            }
            return Ok((root, Issuer::new(self.authority_params()?, pair)));
        }
        let params = self.authority_params()?;
        let pair = KeyPair::generate().map_err(|error| error.to_string())?;
        let certificate = params.self_signed(&pair).map_err(|error| error.to_string())?;
        write(&root, &certificate.pem(), false)?;
        write(&key, &pair.serialize_pem(), true)?;
        Ok((certificate.pem(), Issuer::new(params, pair)))
    }

    fn authority_params(&self) -> Result<CertificateParams, String> {
        let mut params = self.params(3650)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, NAME);
        Ok(params)
    }

    fn params(&self, days: u32) -> Result<CertificateParams, String> {
        let mut params = CertificateParams::new(Vec::new()).map_err(|error| error.to_string())?;
        params.distinguished_name = DistinguishedName::new();
        // Clocks of containers may be a little behind.
        params.not_before = (now() - std::time::Duration::from_secs(300)).into();
        params.not_after = (now() + std::time::Duration::from_secs(u64::from(days) * 86_400)).into();
        Ok(params)
    }

    fn issue(&self, owner: &Owner, root: &str, issuer: &Issuer<'_, KeyPair>) -> Result<PathBuf, String> {
        let mut params = self.params(self.days)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let name = |name: &str| name.try_into().map_err(|_| format!("{name}: this cannot stand in a certificate"));
        let (directory, files) = match owner {
            Owner::Workload(id) => {
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
                params.subject_alt_names = vec![SanType::URI(name(id.as_str())?)];
                let place = id.workload().map_or_else(
                    || PathBuf::from(id.path().trim_start_matches('/')),
                    |(namespace, account)| Path::new(namespace).join(account),
                );
                (self.out.join(place), ["cert-chain.pem", "key.pem", "root-cert.pem"])
            }
            Owner::Host(host) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params.subject_alt_names = vec![SanType::DnsName(name(host)?)];
                (self.out.join(host.replace('*', "_")), ["tls.crt", "tls.key", "ca.crt"])
            }
        };
        let pair = KeyPair::generate().map_err(|error| error.to_string())?;
        let certificate = params.signed_by(&pair, issuer).map_err(|error| error.to_string())?;
        make_directory(&directory)?;
        let [chain, key, roots] = files.map(|file| directory.join(file));
        write(&chain, &certificate.pem(), false)?;
        write(&key, &pair.serialize_pem(), true)?;
        write(&roots, root, false)?;
        Ok(directory)
    }
}

fn make_directory(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file; one that is secret can be read by its owner only.
fn write(path: &Path, text: &str, is_secret: bool) -> Result<(), String> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if is_secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
