//! Tells formats apart by their first bytes.

/// What a file is, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A carstone pack.
    Pack,
    /// A CARv1, or what starts like a CAR and has a header that no version allows: its reader says what is wrong.
    Car,
    /// A CARv2.
    CarV2,
    /// An age file.
    Age,
    /// None of these.
    Unknown,
}

/// Looks at the first bytes of a file; 64 are enough.
pub fn detect(front: &[u8]) -> Format {
    const PACK: [u8; 8] = [0x89, b'C', b'S', b'T', b'N', 0x0D, 0x0A, 0x1A];
    const CAR_V2: &[u8] = b"\x0a\xa1\x67version\x02";
    if front.starts_with(&PACK) {
        return Format::Pack;
    }
    if front.starts_with(CAR_V2) {
        return Format::CarV2;
    }
    if front.starts_with(b"age-encryption.org/") {
        return Format::Age;
    }
    match is_like_car(front) {
        true => Format::Car,
        false => Format::Unknown,
    }
}

/// Whether it starts with a varint and a map whose first key is `roots` or `version`, in any form that CBOR has for them, or
/// ends in that key.
fn is_like_car(front: &[u8]) -> bool {
    let body = front.iter().position(|byte| byte & 0x80 == 0).filter(|&at| at < 10);
    let map = body.and_then(|at| front.get(at + 1..));
    let key = map.and_then(|map| behind_head(map, MAP)).and_then(|key| behind_head(key, TEXT));
    let key = key.filter(|key| !key.is_empty()).unwrap_or(b"?");
    let names: [&[u8]; 2] = [b"roots", b"version"];
    names.iter().any(|name| key.starts_with(name) || name.starts_with(key))
}

/// What stands behind the head of a CBOR item of this major type.
fn behind_head(item: &[u8], major: u8) -> Option<&[u8]> {
    let (head, rest) = item.split_first()?;
    let argument = match head & 0x1f {
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => 0,
    };
    rest.get(argument..).filter(|_| head >> 5 == major)
}

const MAP: u8 = 5;
const TEXT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_format() {
        assert_eq!(detect(b"\x89CSTN\r\n\x1a\x01"), Format::Pack);
        assert_eq!(detect(b"\x11\xa2\x65roots\x80"), Format::Car);
        assert_eq!(detect(b"\x80\x01\xa2\x65roots\x80"), Format::Car);
        assert_eq!(detect(b"\x0a\xa1\x67version\x02\0\0"), Format::CarV2);
        // What is wrong with a header is for its reader to say.
        assert_eq!(detect(b"\x0a\xa1\x67version\x03"), Format::Car);
        assert_eq!(detect(b"\x0a\xa1\x67vers"), Format::Car);
        assert_eq!(detect(b"\x19\xb9\0\x02\x78\x05roots"), Format::Car);
        assert_eq!(detect(b"\x19\xbf\x65roots"), Format::Car);
        for other in [&b"\x11\xa2\x65"[..], b"\x11\xa2\x65bricks", b"\x11\x82\x65roots", b"\x11"] {
            assert_eq!(detect(other), Format::Unknown);
        }
        assert_eq!(detect(b"age-encryption.org/v1\n"), Format::Age);
        assert_eq!(detect(b""), Format::Unknown);
        assert_eq!(detect(&[0x80; 64]), Format::Unknown);
    }
}
