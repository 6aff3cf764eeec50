//! What is said of a file.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::names::escaped;

/// What is said of a file, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Nothing tells what it should be.
    Passed,
    /// It is as it should be.
    Sound,
    /// It is again, or its parity is.
    Healed,
    /// It is not.
    Damaged,
}

/// A verdict, the words for it, and what programs are told of the parity.
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) lines: Vec<String>,
    /// Where the damaged file is kept.
    pub(super) kept: Option<PathBuf>,
    pub(super) parity: Option<Map<String, Value>>,
    /// Whether other parity of the file need not be asked.
    pub(super) is_settled: bool,
}

impl Found {
    pub(super) fn new(verdict: Verdict, lines: Vec<String>) -> Self {
        Self { verdict, lines, kept: None, parity: None, is_settled: true }
    }

    pub(super) fn open(lines: Vec<String>) -> Self {
        Self { is_settled: false, ..Self::new(Verdict::Damaged, lines) }
    }

    pub(super) fn healed(kept: Option<PathBuf>, lines: Vec<String>) -> Self {
        Self { kept, ..Self::new(Verdict::Healed, lines) }
    }

    /// With what the next parity of the same file says of it.
    pub(super) fn and(mut self, next: Self) -> Self {
        match (self.is_settled, next.is_settled) {
            // Another parity may do better.
            (false, true) => next,
            (false, false) => self,
            _ if next.verdict <= self.verdict && self.verdict > Verdict::Sound => {
                if next.verdict > Verdict::Sound {
                    self.lines.extend(next.lines);
                }
                Self { kept: self.kept.or(next.kept), ..self }
            }
            _ => {
                self.lines.extend(next.lines);
                let kept = self.kept.or(next.kept);
                Self { lines: self.lines, kept, is_settled: true, ..next }
            }
        }
    }
}

/// How it is told that a file is healed. A link stays a link: what it leads to is healed.
pub(super) fn healed_text(path: &Path, kept: Option<&Path>) -> String {
    let real = path.is_symlink().then(|| fs::canonicalize(path).ok()).flatten();
    let shown = |path: &Path| escaped(path.as_os_str().as_bytes()).into_owned();
    let real = real.map_or(String::new(), |real| format!(" in {}", shown(&real)));
    match kept {
        Some(kept) => format!("healed{real}; the damaged file is {}", shown(kept)),
        None => format!("healed{real}"),
    }
}
