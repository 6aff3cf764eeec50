//! Tells formats apart by their first bytes.

/// What a file is, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A carstone pack.
    Pack,
    /// A CARv1.
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
    // A varint of one to five bytes, then a map whose first key is `roots` or `version`.
    let body = front.iter().position(|byte| byte & 0x80 == 0).filter(|&at| at < 5);
    let body = body.and_then(|at| front.get(at + 1..)).unwrap_or_default();
    match body.starts_with(b"\xa2\x65roots") || body.starts_with(b"\xa2\x67version") {
        true => Format::Car,
        false => Format::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_format() {
        assert_eq!(detect(b"\x89CSTN\r\n\x1a\x01"), Format::Pack);
        assert_eq!(detect(b"\x11\xa2\x65roots\x80"), Format::Car);
        assert_eq!(detect(b"\x80\x01\xa2\x65roots\x80"), Format::Car);
        assert_eq!(detect(b"\x0a\xa1\x67version\x02\0\0"), Format::CarV2);
        assert_eq!(detect(b"age-encryption.org/v1\n"), Format::Age);
        assert_eq!(detect(b""), Format::Unknown);
        assert_eq!(detect(&[0x80; 64]), Format::Unknown);
    }
}
