//! Mode and modification time, which a node may carry.

use crate::error::Error;
use crate::proto::{put_bytes, put_number};

/// Optional facts about a file, directory or symlink, which stand in its root node.
///
/// What is set becomes part of the content: the root CID is another one. So nothing is written unless it is asked for.
///
/// ```
/// use carstone_unixfs::{Metadata, Profile, write_file_with_metadata};
/// let metadata = Metadata::default().with_mode(0o600).with_mtime(1_600_000_000, 5)?;
/// let profile = Profile::unixfs_v1_2025();
/// let root = write_file_with_metadata(&profile, &metadata, &b"keystone"[..], &mut |_, _| Ok(()))?;
/// assert_eq!(root.cid.codec(), 0x70); // A raw block could not hold them.
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Metadata {
    /// Permission bits; bits above the lowest twelve are as stored.
    pub mode: Option<u32>,
    /// Seconds since 1970 (may be negative) and nanoseconds (below 10⁹).
    pub mtime: Option<(i64, u32)>,
}

impl Metadata {
    /// Sets the mode, which is written as it is. The file type does not belong into it.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets the modification time: seconds since 1970, and nanoseconds after them, which must be below 10⁹, else
    /// [`ErrorKind::BadSetting`](crate::ErrorKind::BadSetting).
    pub fn with_mtime(mut self, seconds: i64, nanos: u32) -> Result<Self, Error> {
        self.mtime = Some((seconds, nanos));
        self.check().map(|()| self)
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The twelve bits of the mode that have a meaning: permissions, set-user-id, set-group-id, sticky.
    pub fn permissions(&self) -> Option<u32> {
        self.mode.map(|mode| mode & 0o7777)
    }

    fn check(&self) -> Result<(), Error> {
        match self.mtime {
            Some((_, nanos)) if nanos >= NANOS => {
                Err(Error::setting("nanoseconds", nanos as usize, "must be below 1000000000"))
            }
            _ => Ok(()),
        }
    }

    /// The last fields of a UnixFS message. Nanoseconds of 0 are left out, as the specification demands.
    pub(crate) fn encode(&self) -> Result<Tail, Error> {
        self.check()?;
        let mut tail = Vec::new();
        if let Some(mode) = self.mode {
            put_number(&mut tail, 7, u64::from(mode));
        }
        if let Some((seconds, nanos)) = self.mtime {
            let mut time = Vec::new();
            put_number(&mut time, 1, seconds.cast_unsigned()); // Negative ones as two's complement.
            if nanos > 0 {
                time.push(2 << 3 | 5);
                time.extend_from_slice(&nanos.to_le_bytes());
            }
            put_bytes(&mut tail, 8, &time);
        }
        Ok(Tail(tail))
    }
}

/// Encoded metadata: what stands at the end of a UnixFS message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Nanoseconds in a second.
pub(crate) const NANOS: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metadata: Metadata, expected: &[u8]) {
        assert_eq!(metadata.encode().expect("in range").bytes(), expected);
    }

    #[test]
    fn fields_are_as_the_specification_says() {
        let none = Metadata::default();
        check(none, b"");
        check(none.with_mode(0o644), b"\x38\xa4\x03");
        check(none.with_mode(u32::MAX), b"\x38\xff\xff\xff\xff\x0f");
        check(none.with_mtime(5, 0).expect("in range"), b"\x42\x02\x08\x05");
        check(none.with_mtime(0, 7).expect("in range"), b"\x42\x07\x08\x00\x15\x07\0\0\0");
        let before = b"\x42\x10\x08\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01\x15\xff\xc9\x9a\x3b";
        check(none.with_mtime(-5, NANOS - 1).expect("in range"), before);
    }

    #[test]
    fn a_second_has_a_thousand_million_nanoseconds() {
        Metadata::default().with_mtime(0, NANOS).expect_err("a whole second");
        let forced = Metadata { mtime: Some((0, NANOS)), ..Metadata::default() };
        forced.encode().expect_err("a whole second");
    }
}
