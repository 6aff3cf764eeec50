//! What holds and what does not, told line by line.

#![expect(clippy::print_stdout, reason = "the lines are the result of the task")]

use anyhow::ensure;

/// Counts, and prints as it counts.
#[derive(Default)]
pub struct Checks {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Checks {
    /// Runs a check and tells how it went.
    pub fn check(&mut self, name: &str, holds: impl FnOnce() -> anyhow::Result<()>) {
        match holds() {
            Ok(()) => {
                self.passed += 1;
                println!("PASS {name}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL {name}: {error:#}");
            }
        }
    }

    /// Tells of a check that cannot be made here.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        println!("SKIP {name}: {why}");
    }

    /// Prints the closing line, and fails when a check did.
    pub fn close(&self) -> anyhow::Result<()> {
        let Self { passed, failed, skipped } = self;
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        ensure!(*failed == 0, "{failed} checks failed");
        Ok(())
    }
}
