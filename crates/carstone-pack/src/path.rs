//! Paths inside a pack: bytes, components joined by `/`.

/// Why a path cannot stand in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// It starts with `/`.
    Absolute,
    /// A component is empty.
    EmptyComponent,
    /// A component is `.` or `..`.
    DotComponent,
    /// A component holds a NUL byte.
    Nul,
    /// It is longer than [`MAX_PATH`] bytes.
    TooLong,
}

impl std::fmt::Display for PathFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absolute => "is absolute",
            Self::EmptyComponent => "has an empty component",
            Self::DotComponent => "has a component `.` or `..`",
            Self::Nul => "holds a NUL byte",
            Self::TooLong => "is longer than 65,535 bytes",
        })
    }
}

/// The most bytes in a path (`docs/format.md`, section 1).
pub const MAX_PATH: usize = 65_535;

/// Checks the rules of `docs/format.md`, section 7.2. The empty path is the root directory itself.
///
/// # Errors
/// The first rule that is broken.
pub fn check_path(path: &[u8]) -> Result<(), PathFault> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > MAX_PATH {
        return Err(PathFault::TooLong);
    }
    if path[0] == b'/' {
        return Err(PathFault::Absolute);
    }
    path.split(|&byte| byte == b'/').try_for_each(|component| match component {
        b"" => Err(PathFault::EmptyComponent),
        b"." | b".." => Err(PathFault::DotComponent),
        _ if component.contains(&0) => Err(PathFault::Nul),
        _ => Ok(()),
    })
}

/// The order of the manifest: component by component, bytewise.
pub fn compare_paths(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.iter().map(sort_byte).cmp(b.iter().map(sort_byte))
}

/// The directory a path stands in, and its last component. `None` for the root.
pub fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None => Some((b"", path)),
    }
}

/// Whether `path` is `directory` or lies below it.
pub fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// A component never holds NUL, so it can stand for the separator, which sorts before everything.
fn sort_byte(byte: &u8) -> u8 {
    match byte {
        b'/' => 0,
        other => *other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &[u8], expected: Result<(), PathFault>) {
        assert_eq!(check_path(path), expected);
    }

    #[test]
    fn names_that_would_escape_are_refused() {
        check(b"a/b", Ok(()));
        check(b"", Ok(()));
        check(b"..a/.b", Ok(()));
        check(b"/a", Err(PathFault::Absolute));
        check(b"a//b", Err(PathFault::EmptyComponent));
        check(b"a/", Err(PathFault::EmptyComponent));
        check(b"a/../b", Err(PathFault::DotComponent));
        check(b".", Err(PathFault::DotComponent));
        check(b"a\0", Err(PathFault::Nul));
        check(&[b'a'; MAX_PATH + 1], Err(PathFault::TooLong));
    }

    #[test]
    fn a_directory_sorts_right_before_what_it_holds() {
        let mut paths: Vec<&[u8]> = vec![b"a-b", b"a/c", b"a", b"", b"a!", b"a/b/c", b"ab", b"a/b"];
        paths.sort_by(|a, b| compare_paths(a, b));
        let sorted: Vec<&[u8]> = vec![b"", b"a", b"a/b", b"a/b/c", b"a/c", b"a!", b"a-b", b"ab"];
        assert_eq!(paths, sorted);
    }

    #[test]
    fn splitting_gives_parent_and_name() {
        assert_eq!(split_path(b""), None);
        assert_eq!(split_path(b"a"), Some((&b""[..], &b"a"[..])));
        assert_eq!(split_path(b"a/b/c"), Some((&b"a/b"[..], &b"c"[..])));
        assert!(is_within(b"a/b", b"a") && is_within(b"a", b"a") && is_within(b"x", b""));
        assert!(!is_within(b"ab", b"a"));
    }
}
