//! Files of recipients and of identities: one key a line, comments, blank lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::envelope::MAX_LEN;
use crate::error::{Error, ErrorKind};

/// Reads a key file of at most [`MAX_LEN`] bytes. What was read is wiped when dropped.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |error| Error::with_source(ErrorKind::Read, error).in_file(path, None);
    let file = File::open(path).map_err(unreadable)?;
    // A buffer that grows leaves copies of secrets behind, so room for the whole file comes first; a pipe
    // has no length and does grow.
    let len = file.metadata().map_or(0, |metadata| metadata.len());
    let room = usize::try_from(len).map_or(MAX_LEN, |len| len.min(MAX_LEN));
    read_from(file, path, room)
}

/// The same for any reader, which errors call `name`.
pub(crate) fn read_from(
    reader: impl Read,
    name: &Path,
    room: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    let most = u64::try_from(MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::with_source(ErrorKind::Read, error).in_file(name, None))?;
    if bytes.len() > MAX_LEN {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LEN }).in_file(name, None));
    }
    Ok(bytes)
}

/// Calls `take` with the number and the text of each line that is neither blank nor a comment, without the white space around it. An error
/// of `take` gets the place. A line that is not UTF-8 goes in as an empty text, which is no key.
pub(crate) fn each_key(
    bytes: &[u8],
    name: &Path,
    mut take: impl FnMut(u64, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut keys = 0_u64;
    for (number, line) in (1_u64..).zip(bytes.split(|&b| b == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let text = std::str::from_utf8(line).unwrap_or_default();
        take(number, text).map_err(|error| error.in_file(name, Some(number)))?;
        keys = keys.saturating_add(1);
    }
    if keys == 0 {
        return Err(Error::new(ErrorKind::NoKeysInFile).in_file(name, None));
    }
    Ok(())
}

/// Some editors put it before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], keys: &[&str]) {
        let mut seen = Vec::new();
        let result = each_key(bytes, Path::new("f"), |_, key| {
            seen.push(key.to_owned());
            Ok(())
        });
        assert_eq!(seen, keys);
        match result {
            Ok(()) => assert!(!keys.is_empty()),
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::NoKeysInFile);
                assert_eq!(error.to_string(), "f: the file holds no key");
            }
        }
    }

    #[test]
    fn comments_blank_lines_and_line_ends_do_not_count() {
        check(b"", &[]);
        check(b"\n\r\n  \n# only a comment\n", &[]);
        check(b"a", &["a"]);
        check(b"a\nb\n", &["a", "b"]);
        check(b"# x\r\n\r\n\ta b \r\n#y\r\nc", &["a b", "c"]);
        check(b"\xef\xbb\xbfa\n", &["a"]);
        check(b"\xff\xfe\n", &[""]);
    }

    #[test]
    fn errors_get_file_and_line() {
        let error = each_key(b"# x\n\na\n", Path::new("keys.txt"), |_, _| {
            Err(Error::new(ErrorKind::BadRecipient("why")))
        })
        .expect_err("refused");
        assert_eq!(error.line(), Some(3));
        assert_eq!(error.path(), Some(Path::new("keys.txt")));
        assert_eq!(error.to_string(), "keys.txt, line 3: not a usable recipient: why");
    }

    #[test]
    fn length_limit_is_exact() {
        let read = |len: u64| read_from(std::io::repeat(b'#').take(len), Path::new("f"), 0);
        assert_eq!(read(MAX_LEN as u64).expect("fits").len(), MAX_LEN);
        let error = read(MAX_LEN as u64 + 1).expect_err("one byte too long");
        assert_eq!(*error.kind(), ErrorKind::TooLarge { limit: MAX_LEN });
    }
}
