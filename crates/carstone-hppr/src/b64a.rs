//! B64A (HPPR 006): base 64 whose texts sort like their bytes, and are safe in paths.

use std::sync::LazyLock;

use data_encoding::{DecodeError, DecodeKind, Encoding, Specification};

use crate::error::{Error, ErrorKind, Result};

/// The text of bytes: `ceil(8 n / 6)` characters, without padding.
///
/// ```
/// use carstone_hppr::b64a;
/// assert_eq!(b64a::encode(&[0xff, 0x00]), "~l0");
/// assert_eq!(b64a::decode(b"~l0")?, [0xff, 0x00]);
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
pub fn encode(bytes: &[u8]) -> String {
    ENCODING.encode(bytes)
}

/// The bytes of a text.
///
/// # Errors
/// [`ErrorKind::BadSymbol`] at a byte that is none of the 64; [`ErrorKind::BadLength`] where no bytes have a text of this length; [`ErrorKind::BadTail`] at the last symbol, if
/// bits behind the last byte are set.
pub fn decode(text: &[u8]) -> Result<Vec<u8>> {
    ENCODING.decode(text).map_err(fault)
}

/// Exactly so many bytes.
///
/// # Errors
/// As [`decode`], and [`ErrorKind::BadLength`] for another number of bytes.
pub fn decode_array<const N: usize>(text: &[u8]) -> Result<[u8; N]> {
    // No text of another length is looked at.
    if text.len() != (N * 8).div_ceil(6) {
        return Err(Error::new(ErrorKind::BadLength).at(text.len() as u64));
    }
    let mut bytes = [0; N];
    ENCODING.decode_mut(text, &mut bytes).map_err(|partial| fault(partial.error))?;
    Ok(bytes)
}

/// Puts the text of bytes behind another one. A text with room for it is not moved, so that no copy of a secret is left behind.
pub(crate) fn append(text: &mut String, bytes: &[u8]) {
    ENCODING.encode_append(bytes, text);
}

fn fault(error: DecodeError) -> Error {
    let kind = match error.kind {
        DecodeKind::Length => ErrorKind::BadLength,
        DecodeKind::Trailing => ErrorKind::BadTail,
        DecodeKind::Symbol | DecodeKind::Padding => ErrorKind::BadSymbol,
    };
    Error::new(kind).at(error.position as u64)
}

/// Symbols of the values 0 to 63, in the order of ASCII.
const SYMBOLS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

static ENCODING: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str(SYMBOLS);
    specification.encoding().unwrap_or(data_encoding::BASE64URL_NOPAD)
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_the_specification() {
        for (bytes, text) in [
            (&[][..], ""),
            (&[0], "00"),
            (&[0, 0], "000"),
            (&[0, 0, 0], "0000"),
            (&[0xff], "~l"),
            (&[0xff, 0], "~l0"),
            (&[0, 1, 2], "0042"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text.as_bytes()).expect(text), bytes);
        }
        assert_eq!(encode(&[0; 32]), "0".repeat(43));
        assert_eq!(encode(&[0xff; 32]), format!("{}x", "~".repeat(42)));
        assert_eq!(ENCODING.specification().symbols, SYMBOLS);
    }

    #[test]
    fn what_is_no_text_is_refused_at_its_place() {
        for (text, at) in
            [("01", 1), ("001", 2), ("~m", 1), ("~l1", 2), ("=", 0), ("+", 0), ("/", 0)]
        {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
            let padded = format!("0000{text}");
            let error = decode(padded.as_bytes()).expect_err(text);
            assert_eq!(error.offset(), Some(4 + at), "{text}: {error}");
        }
        assert_eq!(*decode(b"00000").expect_err("no bytes").kind(), ErrorKind::BadLength);
        assert_eq!(*decode_array::<32>(b"00").expect_err("too few").kind(), ErrorKind::BadLength);
    }

    proptest! {
        #[test]
        fn texts_come_back_and_sort_like_their_bytes(
            one in prop::collection::vec(any::<u8>(), 0..80),
            two in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            prop_assert_eq!(decode(encode(&one).as_bytes()).expect("a text"), one.clone());
            let two: Vec<u8> = two.into_iter().chain(std::iter::repeat(7)).take(one.len()).collect();
            prop_assert_eq!(encode(&one).cmp(&encode(&two)), one.cmp(&two));
        }

        #[test]
        fn a_text_that_is_taken_is_the_one_that_is_made(text in "[0-9A-Z_a-z~]{0,20}") {
            if let Ok(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
