//! What came of a damaged pack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;

/// Files and bytes that are as they were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub files: u64,
    pub bytes: u64,
    total_files: u64,
    total_bytes: u64,
}

impl Outcome {
    /// Compares what was restored with the originals; fails where a byte is wrong.
    pub fn compare(tree: &[(PathBuf, Vec<u8>)], restored: &Path) -> anyhow::Result<Self> {
        let mut outcome = Self::default();
        for (path, content) in tree {
            outcome.total_files += 1;
            outcome.total_bytes += content.len() as u64;
            let mut partial = restored.join(path).into_os_string();
            partial.push(".partial");
            if let Ok(found) = fs::read(restored.join(path)) {
                ensure!(found == *content, "{} has wrong bytes", path.display());
                outcome.files += 1;
                outcome.bytes += content.len() as u64;
            } else if let Ok(found) = fs::read(partial) {
                ensure!(found.len() <= content.len(), "{}.partial is too long", path.display());
                for (at, (byte, right)) in found.iter().zip(content).enumerate() {
                    // What is missing reads as zero.
                    ensure!(byte == right || *byte == 0, "{}.partial, byte {at}", path.display());
                    outcome.bytes += u64::from(byte == right);
                }
            }
        }
        Ok(outcome)
    }

    /// Counts the files that are as they were, whatever the others are.
    pub fn count(tree: &[(PathBuf, Vec<u8>)], restored: &Path) -> Self {
        let mut outcome = Self::default();
        for (path, content) in tree {
            let length = content.len() as u64;
            outcome.total_files += 1;
            outcome.total_bytes += length;
            if fs::read(restored.join(path)).is_ok_and(|found| found == *content) {
                outcome.files += 1;
                outcome.bytes += length;
            }
        }
        outcome
    }

    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.total_files += other.total_files;
        self.total_bytes += other.total_bytes;
    }

    /// Files and the share of bytes that are intact, on average.
    pub fn text(&self, trials: u64) -> String {
        let files = self.files as f64 / trials as f64;
        let share = self.bytes as f64 / self.total_bytes.max(1) as f64 * 100.0;
        format!("{files:.1} {share:.2} %")
    }
}
