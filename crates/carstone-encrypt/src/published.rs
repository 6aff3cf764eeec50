//! What tests of published vectors share.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{self, Write};

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Straight to standard error, so that the numbers are seen when the test passes too.
pub(crate) fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").unwrap();
}
