//! Files that are not part of the repository.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A folder among the cases in `$MESH_CASES`, or where that is not set, in a folder `shared` beside the repository.
///
/// `None`, said aloud, where they are not there; but who set `MESH_CASES` wants them read.
pub(crate) fn folder(path: &str) -> Option<PathBuf> {
    let given = std::env::var_os("MESH_CASES").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = given.clone().unwrap_or_else(beside).join(path);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(given.is_none(), "MESH_CASES is set, but {} is not there", folder.display());
    let text = format!("SKIPPED, since {} is not there; MESH_CASES says where cases are\n", folder.display());
    // Past the capture of the test harness, so that it is seen.
    let _unseen = std::io::stderr().write_all(text.as_bytes());
    None
}
