//! Where certificates and keys are that documents name.

use std::path::{Path, PathBuf};

use mesh_core::secrets::Pem;

use super::BadMaterial;

/// What a PEM holds at the moment.
pub(super) fn text(pem: &Pem) -> Result<Vec<u8>, BadMaterial> {
    match pem {
        Pem::File(path) => read(Path::new(&**path)),
        Pem::Text(text) => Ok(text.to_vec()),
        _ => Err(BadMaterial::Pem),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, BadMaterial> {
    std::fs::read(path).map_err(|error| BadMaterial::Unreadable(format!("{}: {error}", path.display())))
}

/// The directory of a credential that no Secret among the documents is; `all` holds one for each.
pub(super) fn directory_of(all: Option<&Path>, name: &str) -> Result<PathBuf, BadMaterial> {
    let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    let directory = all.filter(|_| is_name).map(|all| all.join(name));
    directory
        .ok_or_else(|| BadMaterial::Unreadable(format!("there is no Secret {name} in the namespace of the workload")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_directory_and_never_one_elsewhere() {
        let all = Some(Path::new("/all"));
        assert_eq!(directory_of(all, "web").unwrap(), Path::new("/all/web"));
        for elsewhere in ["", ".", "..", "../web", "a/b", "a\\b", "/etc"] {
            assert!(directory_of(all, elsewhere).is_err(), "{elsewhere}");
        }
        assert!(directory_of(None, "web").is_err());
    }
}
