//! Reads configuration from files.
//!
//! Of a directory all `*.yaml`, `*.yml` and `*.json` are read, in the order of their paths, subdirectories included.
//! Names that begin with a dot are left out, and links to directories are not followed; a link to a file is. A mounted
//! ConfigMap, whose files are links into `..data`, therefore counts once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Code, Diagnostic, Origin, Report};
use crate::document::{Document, ParseOptions, parse_with};

/// Reads a directory. A file that cannot be read, and a directory without files, is an error in the report.
#[must_use]
pub fn read_dir(path: impl AsRef<Path>, options: &ParseOptions) -> (Vec<Document>, Report) {
    let path = path.as_ref();
    let (files, mut report) = list_files(path);
    if files.is_empty() && report.is_empty() {
        let finding = Diagnostic::error(Code::NO_FILES, "the directory holds no *.yaml, *.yml or *.json");
        report.push(finding.at(&origin(path)));
    }
    let mut documents = Vec::new();
    for file in files {
        let (read, findings) = read_file(&file, options);
        documents.extend(read);
        report.extend(findings);
    }
    (documents, report)
}

/// The files of a directory that [`read_dir`] reads, in its order, and what could not be looked into.
#[must_use]
pub fn list_files(directory: impl AsRef<Path>) -> (Vec<PathBuf>, Report) {
    let mut report = Report::new();
    let mut files = Vec::new();
    list(directory.as_ref(), 0, &mut files, &mut report);
    files.sort();
    (files, report)
}

/// Reads a file, whatever its name, or a directory.
#[must_use]
pub fn read_path(path: impl AsRef<Path>, options: &ParseOptions) -> (Vec<Document>, Report) {
    let path = path.as_ref();
    if path.is_dir() { read_dir(path, options) } else { read_file(path, options) }
}

fn list(directory: &Path, depth: usize, files: &mut Vec<PathBuf>, report: &mut Report) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return report.push(unreadable(directory, &error)),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return report.push(unreadable(directory, &error)),
        };
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => list(&path, depth + 1, files, report),
            Ok(kind) if kind.is_dir() => {
                let finding = Diagnostic::error(Code::LIMIT, "directories are nested too deeply");
                report.push(finding.at(&origin(&path)));
            }
            Ok(_) if is_config_file(&path) && !path.is_dir() => files.push(path),
            Ok(_) => {}
            Err(error) => report.push(unreadable(&path, &error)),
        }
    }
}

const MAX_DEPTH: usize = 16;

/// Whether the name of a file ends as that of a configuration file does.
#[must_use]
pub fn is_config_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn read_file(path: &Path, options: &ParseOptions) -> (Vec<Document>, Report) {
    match read_text(path, options) {
        Ok(text) => parse_with(&path.to_string_lossy(), &text, options),
        Err(finding) => {
            let mut report = Report::new();
            report.push(*finding);
            (Vec::new(), report)
        }
    }
}

/// Reads the text of a file. Why it cannot be read is a finding.
///
/// # Errors
///
/// If it is no plain file, is larger than the limit, is not UTF-8, or access is denied.
pub fn read_text(path: &Path, options: &ParseOptions) -> Result<String, Box<Diagnostic>> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        // A pipe would never end.
        return Err(Diagnostic::error(Code::UNREADABLE, "not a file").at(&origin(path)).into());
    }
    let most = options.limits.max_stream_bytes;
    if metadata.len() > most as u64 {
        let message = format!("{} bytes, more than the {most} that are read", metadata.len());
        return Err(Diagnostic::error(Code::LIMIT, message).at(&origin(path)).into());
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| not_text(path, error.as_bytes(), error.utf8_error().valid_up_to()).into())
}

fn not_text(path: &Path, bytes: &[u8], valid_up_to: usize) -> Diagnostic {
    let message = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16; it has to be UTF-8",
        _ => "the file is not UTF-8 text",
    };
    let line = 1 + bytes[..valid_up_to].iter().filter(|byte| **byte == b'\n').count();
    let line = u32::try_from(line).unwrap_or(0);
    Diagnostic::error(Code::UNREADABLE, message).at(&Origin::new(path.to_string_lossy(), line, 0))
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::UNREADABLE, format!("cannot be read: {error}")).at(&origin(path))
}

fn origin(path: &Path) -> Origin {
    Origin::new(path.to_string_lossy(), 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> String {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
    }

    fn read(directory: &Path) -> (Vec<String>, Vec<Code>) {
        let (documents, report) = read_dir(directory, &ParseOptions::default());
        let names = documents.iter().map(|document| document.resource.meta().name.clone()).collect();
        (names, report.iter().map(|finding| finding.code).collect())
    }

    #[test]
    fn files_are_read_in_the_order_of_their_paths_and_others_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("b")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        for (file, name) in [
            ("c.yaml", "c"),
            ("a.YML", "a"),
            ("b/x.yaml", "b"),
            ("note.txt", "no"),
            (".d.yaml", "no"),
            (".git/e.yaml", "no"),
        ] {
            fs::write(root.join(file), object(name)).unwrap();
        }
        fs::write(
            root.join("d.json"),
            "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"d\"}}",
        )
        .unwrap();
        assert_eq!(read(root), (["a", "b", "c", "d"].map(str::to_owned).to_vec(), vec![]));
    }

    #[cfg(unix)]
    #[test]
    fn a_mounted_config_map_counts_once() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("..2024_01_01")).unwrap();
        fs::write(root.join("..2024_01_01/a.yaml"), object("a")).unwrap();
        symlink("..2024_01_01", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
        symlink(".", root.join("loop")).unwrap();
        assert_eq!(read(root), (vec!["a".to_owned()], vec![]));
    }

    #[test]
    fn missing_and_empty_directories_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), (vec![], vec![Code::NO_FILES]));
        assert_eq!(read(&directory.path().join("none")), (vec![], vec![Code::UNREADABLE]));
    }

    #[cfg(unix)]
    #[test]
    fn a_bad_file_is_named_and_the_others_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join("a.yaml"), object("a")).unwrap();
        fs::write(root.join("b.yaml"), b"a: 1\nb: \xff\n").unwrap();
        fs::write(root.join("c.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {na").unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("d.yaml")).unwrap();
        let (documents, report) = read_dir(root, &ParseOptions::default());
        assert_eq!(documents.len(), 1);
        let found: Vec<_> = report.iter().map(|finding| (finding.code, finding.origin.line)).collect();
        assert_eq!(found, [(Code::UNREADABLE, 2), (Code::SYNTAX, 3), (Code::UNREADABLE, 0)]);
        assert!(
            report
                .iter()
                .zip(["b.yaml", "c.yaml", "d.yaml"])
                .all(|(finding, name)| finding.origin.file.ends_with(name))
        );
    }

    #[test]
    fn a_file_over_the_limit_is_not_even_read() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.yaml"), object("a")).unwrap();
        let mut options = ParseOptions::default();
        options.limits.max_stream_bytes = 10;
        let (documents, report) = read_dir(directory.path(), &options);
        assert!(documents.is_empty());
        assert_eq!(report.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::LIMIT]);
    }

    #[test]
    fn a_single_file_may_have_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        fs::write(&file, object("a")).unwrap();
        assert_eq!(read_path(&file, &ParseOptions::default()).0.len(), 1);
        assert_eq!(read_path(directory.path().join("none"), &ParseOptions::default()).1.len(), 1);
    }
}
