//! Globs of what is left out.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, ErrorKind};
use crate::path::split_path;

/// One glob.
#[derive(Clone, Debug)]
pub(in crate::fs) struct Exclude {
    glob: Glob,
    /// Whether it is matched with the name alone.
    by_name: bool,
}

impl Exclude {
    pub(super) fn new(pattern: &str) -> Result<Self, Error> {
        let ended = pattern.strip_suffix('/').unwrap_or(pattern);
        let by_name = !ended.contains('/');
        let bare = ended.strip_prefix('/').unwrap_or(ended);
        let glob = GlobBuilder::new(bare).literal_separator(true).build().map_err(|source| {
            let (pattern, why) = (pattern.to_owned(), source.kind().to_string());
            Error::new(ErrorKind::BadPattern { pattern, why }, 0)
        })?;
        Ok(Self { glob, by_name })
    }
}

/// All globs, matched at once.
pub(in crate::fs) struct ExcludeSet {
    names: GlobSet,
    paths: GlobSet,
}

impl ExcludeSet {
    pub(super) fn new(excludes: &[Exclude]) -> io::Result<Self> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for exclude in excludes {
            if exclude.by_name { &mut names } else { &mut paths }.add(exclude.glob.clone());
        }
        let build = |set: GlobSetBuilder| set.build().map_err(io::Error::other);
        Ok(Self { names: build(names)?, paths: build(paths)? })
    }

    /// Whether the entry at this path in the pack is left out. The root never is.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let Some((_, name)) = split_path(path) else { return false };
        (!self.names.is_empty() && self.names.is_match(OsStr::from_bytes(name)))
            || (!self.paths.is_empty() && self.paths.is_match(OsStr::from_bytes(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &[u8], expected: bool) {
        let exclude = Exclude::new(pattern).expect("a glob");
        let set = ExcludeSet::new(&[exclude]).expect("a small set");
        assert_eq!(set.matches(path), expected);
    }

    #[test]
    fn names_match_at_any_depth_and_paths_from_the_top() {
        check("*.o", b"a.o", true);
        check("*.o", b"d/e/a.o", true);
        check("*.o", b"a.o/b", false);
        check("build/", b"x/build", true);
        check("a/*.o", b"a/b.o", true);
        check("a/*.o", b"a/c/b.o", false);
        check("a/**/b.o", b"a/c/d/b.o", true);
        check("/top", b"top", true);
        check("/top", b"d/top", false);
        check("*", b"", false);
        check("x\u{e9}*", b"d/x\xc3\xa9\xff", true);
        check("?\n*", b"a\nb", true);
        assert!(Exclude::new("[").is_err());
    }
}
