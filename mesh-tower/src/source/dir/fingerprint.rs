//! Whether files have changed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

/// A hash over the names and contents of a directory's files, or of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// What stands at `path` now. Errors count as contents: they are something to report.
    pub(super) fn of(path: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => hash_directory(path, DEEPEST, &mut hasher),
            Ok(_) => hash_file(path, &mut hasher),
            Err(error) => error.kind().hash(&mut hasher),
        }
        Self(hasher.finish())
    }
}

/// The files that `mesh_config::dir` reads, and at most a few more. Hidden names are left out: among
/// them are those by which Kubernetes keeps two versions of a mounted volume.
fn hash_directory(path: &Path, depth: usize, hasher: &mut DefaultHasher) {
    let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return error.kind().hash(hasher),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            name.hash(hasher);
            if depth > 0 {
                hash_directory(&path, depth - 1, hasher);
            }
        } else if is_configuration(&path) {
            name.hash(hasher);
            hash_file(&path, hasher);
        }
    }
}

fn is_configuration(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) {
    match contents(path) {
        Ok(contents) => contents.hash(hasher),
        Err(error) => error.kind().hash(hasher),
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would never end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    fs::read(path)
}

const DEEPEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_and_names_count_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let write = |name: &str, text: &str| {
            fs::write(path.join(name), text).unwrap();
            Fingerprint::of(path)
        };
        let empty = Fingerprint::of(path);
        let one = write("a.yaml", "a: 1");
        assert_ne!(one, empty);
        assert_eq!(write("a.yaml", "a: 1"), one);
        assert_ne!(write("a.yaml", "a: 2"), one);
        assert_eq!(write("a.yaml", "a: 1"), one);
        assert_eq!(write("notes.txt", "-"), one);
        assert_eq!(write(".a.yaml.swp", "-"), one);

        fs::rename(path.join("a.yaml"), path.join("b.yaml")).unwrap();
        assert_ne!(Fingerprint::of(path), one);
    }

    #[test]
    fn what_is_not_there_differs_from_what_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        assert_ne!(Fingerprint::of(&directory.path().join("missing")), Fingerprint::of(directory.path()));
    }
}
