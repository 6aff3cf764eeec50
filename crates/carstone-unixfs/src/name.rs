//! Names that must not reach a file system, or a directory that others will read.

use std::fmt;

/// Why a name cannot stand in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameFault {
    /// No byte at all.
    Empty,
    /// `.` or `..`, which every file system takes for something else.
    Dots,
    /// A slash, which would make a path of the name.
    Slash,
    /// A NUL byte, at which some programs would stop reading.
    Nul,
    /// With its parents it makes a path longer than [`Limits::path`](crate::Limits::path).
    TooLong,
}

/// Checks that `name` is one plain step of a path.
pub fn check_name(name: &[u8]) -> Result<(), NameFault> {
    match name {
        b"" => Err(NameFault::Empty),
        b"." | b".." => Err(NameFault::Dots),
        _ if name.contains(&b'/') => Err(NameFault::Slash),
        _ if name.contains(&0) => Err(NameFault::Nul),
        _ => Ok(()),
    }
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Dots => "it is a dot or two dots",
            Self::Slash => "it contains a slash",
            Self::Nul => "it contains a NUL byte",
            Self::TooLong => "its path is too long",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &[u8], expected: Result<(), NameFault>) {
        assert_eq!(check_name(name), expected, "{name:?}");
    }

    #[test]
    fn steps_that_leave_the_directory_are_refused() {
        check(b"", Err(NameFault::Empty));
        check(b".", Err(NameFault::Dots));
        check(b"..", Err(NameFault::Dots));
        check(b"a/b", Err(NameFault::Slash));
        check(b"/", Err(NameFault::Slash));
        check(b"a\0", Err(NameFault::Nul));
    }

    #[test]
    fn ordinary_names_pass() {
        for name in [&b"a"[..], b"...", b".hidden", b"a b", "ä".as_bytes(), b"\xff\xfe", b"a\\b"] {
            check(name, Ok(()));
        }
    }
}
