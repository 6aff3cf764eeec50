//! Lines `Name: value`.

use std::cmp::Ordering;
use std::fmt;

use memchr::memchr;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_LINE;

/// A header: its name and value, as its line `Name: value` has them. They sort by the bytes of their names, and then of their values.
///
/// ```
/// use carstone_hppr::Header;
/// let header = Header::parse("X-Custom: a: b".as_bytes())?;
/// assert_eq!((header.name(), header.value()), ("X-Custom", "a: b"));
/// assert_eq!(header, Header::new("X-Custom", "a: b")?);
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Header {
    line: Box<str>,
    colon: usize,
}

impl Header {
    /// One of this name and value.
    ///
    /// # Errors
    /// [`ErrorKind::NameHasColon`] at its byte of the name, or as [`parse`](Self::parse) of the line that they make.
    pub fn new(name: &str, value: &str) -> Result<Self> {
        if let Some(at) = memchr(b':', name.as_bytes()) {
            return Err(Error::new(ErrorKind::NameHasColon).at(at as u64));
        }
        Self::parse(format!("{name}: {value}").as_bytes())
    }

    /// Reads its line, which is without the line feed.
    ///
    /// # Errors
    /// At the byte of the line where it shows: [`ErrorKind::LineTooLong`], [`ErrorKind::NotUtf8`], [`ErrorKind::CarriageReturn`], [`ErrorKind::ControlByte`],
    /// [`ErrorKind::NoColon`], [`ErrorKind::EmptyName`], [`ErrorKind::NameHasSpace`], [`ErrorKind::NoSpace`], [`ErrorKind::EmptyValue`], [`ErrorKind::SecondSpace`] and
    /// [`ErrorKind::NotNfc`]; of several the first of these.
    pub fn parse(line: &[u8]) -> Result<Self> {
        let (line, colon) = split(line)?;
        Ok(Self { line: line.into(), colon })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.line[..self.colon]
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.line[self.colon + SEPARATOR..]
    }

    /// The line, without a line feed.
    pub fn line(&self) -> &str {
        &self.line
    }
}

impl Ord for Header {
    fn cmp(&self, other: &Self) -> Ordering {
        // Not by their lines: a name that another begins with comes first, though a colon is above a hyphen.
        (self.name(), self.value()).cmp(&(other.name(), other.value()))
    }
}

impl PartialOrd for Header {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({:?})", self.line)
    }
}

/// The text of a line that keeps all rules, and where its colon is. The value begins [`SEPARATOR`] bytes behind that.
pub(crate) fn split(line: &[u8]) -> Result<(&str, usize)> {
    if line.len() > MAX_LINE {
        return fault(ErrorKind::LineTooLong, MAX_LINE);
    }
    let text = utf8(line)?;
    no_controls(text)?;
    let Some(colon) = memchr(b':', line) else {
        return fault(ErrorKind::NoColon, line.len());
    };
    if colon == 0 {
        return fault(ErrorKind::EmptyName, 0);
    }
    if let Some(space) = memchr(b' ', &line[..colon]) {
        return fault(ErrorKind::NameHasSpace, space);
    }
    match line[colon + 1..] {
        [b' '] => return fault(ErrorKind::EmptyValue, line.len()),
        [b' ', b' ', ..] => return fault(ErrorKind::SecondSpace, colon + SEPARATOR),
        [b' ', ..] => normal(text)?,
        _ => return fault(ErrorKind::NoSpace, colon + 1),
    }
    Ok((text, colon))
}

/// Whether this can be the value of a header, at the byte where it cannot. How long it is has no part in that.
pub(crate) fn check_value(value: &str) -> Result<()> {
    no_controls(value)?;
    match value.as_bytes().first() {
        None => fault(ErrorKind::EmptyValue, 0),
        Some(b' ') => fault(ErrorKind::SecondSpace, 0),
        Some(_) => normal(value),
    }
}

/// Whether this can be a part of a value, at the byte where it cannot.
pub(crate) fn check_text(text: &str) -> Result<()> {
    no_controls(text)?;
    normal(text)
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|error| Error::new(ErrorKind::NotUtf8).at(error.valid_up_to() as u64))
}

fn no_controls(text: &str) -> Result<()> {
    match text.bytes().position(|byte| byte.is_ascii_control()) {
        None => Ok(()),
        Some(at) if text.as_bytes()[at] == b'\r' => fault(ErrorKind::CarriageReturn, at),
        Some(at) => fault(ErrorKind::ControlByte, at),
    }
}

fn normal(text: &str) -> Result<()> {
    if text.is_ascii() || is_nfc(text) {
        return Ok(());
    }
    let same = text.chars().zip(text.nfc()).take_while(|(is, normal)| is == normal);
    fault(ErrorKind::NotNfc, same.map(|(char, _)| char.len_utf8()).sum())
}

fn fault<T>(kind: ErrorKind, at: usize) -> Result<T> {
    Err(Error::new(kind).at(at as u64))
}

/// Bytes between name and value.
pub(crate) const SEPARATOR: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(line: &[u8], kind: ErrorKind, at: u64) {
        let error = Header::parse(line).expect_err("it is no header");
        assert_eq!(error, Error::new(kind).at(at), "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn a_line_without_a_colon() {
        refused(b"", ErrorKind::NoColon, 0);
        refused(b"Name value", ErrorKind::NoColon, 10);
    }

    #[test]
    fn no_space_behind_the_colon() {
        refused(b"Name:value", ErrorKind::NoSpace, 5);
        refused(b"Name:", ErrorKind::NoSpace, 5);
    }

    #[test]
    fn two_spaces_behind_the_colon() {
        refused(b"Name:  value", ErrorKind::SecondSpace, 6);
        refused(b"Name:  ", ErrorKind::SecondSpace, 6);
    }

    #[test]
    fn an_empty_name() {
        refused(b": value", ErrorKind::EmptyName, 0);
    }

    #[test]
    fn a_name_with_a_space() {
        refused(b"A name: value", ErrorKind::NameHasSpace, 1);
        refused(b" Name: value", ErrorKind::NameHasSpace, 0);
        refused(b"Name : value", ErrorKind::NameHasSpace, 4);
    }

    #[test]
    fn a_name_with_a_colon() {
        let error = Header::new("a:b", "value").expect_err("it has a colon");
        assert_eq!(error, Error::new(ErrorKind::NameHasColon).at(1));
    }

    #[test]
    fn an_empty_value() {
        refused(b"Name: ", ErrorKind::EmptyValue, 6);
    }

    #[test]
    fn what_is_not_utf8() {
        refused(b"Name: \xc3\xa9\xff", ErrorKind::NotUtf8, 8);
        refused(b"Na\xc3: x", ErrorKind::NotUtf8, 2);
    }

    #[test]
    fn what_is_not_in_normalization_form_c() {
        refused("Name: cafe\u{301}".as_bytes(), ErrorKind::NotNfc, 9);
        refused("e\u{301}: x".as_bytes(), ErrorKind::NotNfc, 0);
        refused("é: \u{212b}".as_bytes(), ErrorKind::NotNfc, 4); // A sign that is always another letter.
        Header::parse("Name: \u{301}e".as_bytes()).expect("it combines with nothing");
        Header::parse("Name: \u{85}".as_bytes()).expect("a control of two bytes");
    }

    #[test]
    fn control_bytes() {
        for byte in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\r') {
            refused(&[b'N', b':', b' ', byte], ErrorKind::ControlByte, 3);
            refused(&[b'N', byte, b':', b' ', b'x'], ErrorKind::ControlByte, 1);
        }
    }

    #[test]
    fn a_carriage_return() {
        refused(b"Name: value\r", ErrorKind::CarriageReturn, 11);
    }

    #[test]
    fn a_line_at_the_limit_and_one_over() {
        let most = format!("Name: {}", "x".repeat(MAX_LINE - 6));
        assert_eq!(Header::parse(most.as_bytes()).expect("it fits").line().len(), 1024);
        refused(format!("{most}x").as_bytes(), ErrorKind::LineTooLong, 1024);
    }

    #[test]
    fn spaces_at_the_end_are_kept() {
        assert_eq!(Header::parse(b"Name: value  ").expect("a header").value(), "value  ");
    }

    #[test]
    fn names_come_before_those_that_they_begin() {
        let header = |line: &str| Header::parse(line.as_bytes()).expect(line);
        assert!(header("A: z") < header("A-: a"));
        assert!(header("A: 1") < header("A: 2"));
        assert!(header("Z: 1") < header("a: 0"));
    }

    proptest! {
        #[test]
        fn lines_come_back(line in any::<String>(), name in "[a-zA-Z+-]{1,9}", value in any::<String>()) {
            for line in [line, format!("{name}: {value}")] {
                if let Ok(header) = Header::parse(line.as_bytes()) {
                    prop_assert_eq!(header.line(), &line);
                    prop_assert_eq!(Header::new(header.name(), header.value()), Ok(header));
                }
            }
        }
    }
}
