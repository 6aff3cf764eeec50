//! The small things of dag-json: strings, numbers, CIDs and bytes as text.

use std::borrow::Cow;

use cid::multibase::{self, Base};

use super::{bad, link};
use crate::Cid;
use crate::codec::DAG_JSON;
use crate::dag::error::Result;

/// A place in a text that is known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Text<'a> {
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes this, after white space, if it is there.
    pub(super) fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Takes this word if it is there.
    pub(super) fn takes_word(&mut self, word: &[u8]) -> bool {
        let there = self.rest().starts_with(word);
        self.at += if there { word.len() } else { 0 };
        there
    }

    /// A string whose first quotation mark has been taken.
    pub(super) fn string(&mut self) -> Result<Cow<'a, [u8]>> {
        let start = self.at;
        let mut owned: Option<Vec<u8>> = None;
        loop {
            let from = self.at;
            let rest = self.rest();
            let len = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let Some(len) = len else {
                return fail("the text ends inside of a string", start);
            };
            self.at += len;
            let run = self.bytes.get(from..self.at).unwrap_or_default();
            match self.next() {
                Some(b'"') => {
                    return Ok(match owned {
                        None => Cow::Borrowed(run),
                        Some(mut owned) => {
                            owned.extend_from_slice(run);
                            Cow::Owned(owned)
                        }
                    });
                }
                Some(b'\\') => {
                    let owned = owned.get_or_insert_default();
                    owned.extend_from_slice(run);
                    let letter = self.escape()?;
                    owned.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return fail("a string has a control character", self.at - 1),
            }
        }
    }

    /// The character of an escape whose backslash has been taken.
    fn escape(&mut self) -> Result<char> {
        let at = self.at;
        Ok(match self.next() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.four(at)?;
                let code = match first {
                    0xd800..0xdc00 if self.takes_word(b"\\u") => match self.four(at)? {
                        second @ 0xdc00..0xe000 => {
                            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                        }
                        _ => return fail("a string has half of a character", at),
                    },
                    code => code,
                };
                match char::from_u32(code) {
                    Some(letter) => letter,
                    None => return fail("a string has half of a character", at),
                }
            }
            _ => return fail("a string has an unknown escape", at),
        })
    }

    /// Four hexadecimal digits.
    fn four(&mut self, at: usize) -> Result<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return fail("a string has an unknown escape", at);
            };
            value = (value << 4) | digit;
        }
        Ok(value)
    }

    /// A number: its value if it is whole and fits.
    pub(super) fn number(&mut self) -> Result<Option<i128>> {
        let start = self.at;
        self.takes_word(b"-");
        let whole = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                true
            }
            _ => self.digits(),
        };
        let mut is_whole = true;
        let mut right = whole;
        if self.takes_word(b".") {
            is_whole = false;
            right &= self.digits();
        }
        if self.takes_word(b"e") || self.takes_word(b"E") {
            is_whole = false;
            let _ = self.takes_word(b"+") || self.takes_word(b"-");
            right &= self.digits();
        }
        if !right {
            return fail("this is no value", start);
        }
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        Ok(if is_whole { text.parse().ok() } else { None })
    }

    /// Takes all digits, and says whether there was one.
    fn digits(&mut self) -> bool {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        digits > 0
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// The CID that this text is.
pub(super) fn cid(text: &[u8], at: usize) -> Result<Cid> {
    const NO_CID: &str = "a link is not the text of a CID";
    let text = std::str::from_utf8(text).unwrap_or_default();
    if text.len() > MAX_TEXT {
        return fail("the CID of a link is too long", at);
    }
    let bytes = match text.starts_with("Qm") {
        true => Base::Base58Btc.decode(text).ok(),
        false => multibase::decode(text).ok().map(|(_, bytes)| bytes),
    };
    match bytes {
        // Bytes of a CIDv0 in another base are none.
        Some(bytes) if text.starts_with("Qm") == bytes.starts_with(&[0x12, 0x20]) => {
            link(DAG_JSON, &bytes, at)
        }
        _ => fail(NO_CID, at),
    }
}

/// Whether this is base64 without padding.
pub(super) fn is_base64(text: &[u8]) -> bool {
    text.len() % 4 != 1
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

pub(super) fn fail<T>(what: &'static str, at: usize) -> Result<T> {
    Err(bad(DAG_JSON, what, at))
}

/// Letters of the longest CID there can be here, in base 2: a decoder of base 58 takes their square in time.
const MAX_TEXT: usize = 1 + 8 * crate::cid_bytes::MAX_CID;
