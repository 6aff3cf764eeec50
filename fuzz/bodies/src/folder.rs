//! Where files are made.

use std::path::Path;

use tempfile::TempDir;

/// A directory in memory where there is such a file system: a disk would take most of the time.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    folder.expect("a temporary directory")
}
