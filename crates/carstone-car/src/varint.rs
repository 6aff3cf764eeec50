//! Unsigned varints by the multiformats rule: at most 9 bytes, shortest form only.

/// What the bytes of a slice start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Varint {
    /// A value, and how many bytes it takes.
    Value(u64, usize),
    /// All bytes belong to a varint, and at least one more does.
    Incomplete,
    /// More than 9 bytes, or not the shortest form.
    Malformed,
}

/// Decodes the varint at the start of `bytes`.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Varint {
    // Nearly all are of one byte.
    match bytes {
        [byte @ 0..0x80, ..] => Varint::Value(u64::from(*byte), 1),
        _ => decode_long(bytes),
    }
}

/// The same, where a form that is not the shortest counts too if `padded` ones are accepted.
#[inline]
pub(crate) fn decode_with(bytes: &[u8], padded: bool) -> Varint {
    match decode(bytes) {
        Varint::Malformed if padded => decode_padded(bytes),
        decoded => decoded,
    }
}

fn decode_padded(bytes: &[u8]) -> Varint {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Varint::Value(value, index + 1);
        }
    }
    Varint::Malformed
}

fn decode_long(bytes: &[u8]) -> Varint {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index); // At most 7 · 9 = 63 bits.
        if byte & 0x80 == 0 {
            // A last byte of zero adds nothing: the value has a shorter form.
            return if byte == 0 && index > 0 {
                Varint::Malformed
            } else {
                Varint::Value(value, index + 1)
            };
        }
    }
    if bytes.len() < MAX_LEN { Varint::Incomplete } else { Varint::Malformed }
}

/// Writes `value` to the start of `out` and returns its length. Values of lengths and CID codes fit in 9 bytes, any `u64` in 10.
pub(crate) fn encode(mut value: u64, out: &mut [u8; 10]) -> usize {
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return index + 1;
        }
        *byte |= 0x80;
    }
    out.len()
}

/// The number of bytes that [`encode`] writes.
pub(crate) fn encoded_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Bytes of the longest varint that is accepted.
pub(crate) const MAX_LEN: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Varint) {
        assert_eq!(decode(bytes), expected);
    }

    #[test]
    fn shortest_forms_are_accepted() {
        check(&[0], Varint::Value(0, 1));
        check(&[0x7f, 9], Varint::Value(127, 1));
        check(&[0x80, 1], Varint::Value(128, 2));
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            Varint::Value((1 << 63) - 1, 9),
        );
    }

    #[test]
    fn padded_forms_are_refused() {
        check(&[0x80, 0], Varint::Malformed);
        check(&[0x81, 0], Varint::Malformed);
        check(&[0x80, 0x80, 0x80, 0], Varint::Malformed);
    }

    #[test]
    fn padded_forms_count_where_they_are_accepted() {
        for (bytes, value) in [(&[0x80, 0][..], 0), (&[0x81, 0x80, 0], 1), (&[0xff, 1], 255)] {
            assert_eq!(decode_with(bytes, true), Varint::Value(value, bytes.len()));
        }
        let nine = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0];
        assert_eq!(decode_with(&nine, true), Varint::Value(1, 9));
        assert_eq!(decode_with(&nine, false), Varint::Malformed);
        assert_eq!(decode_with(&[0x80; 9], true), Varint::Malformed);
        assert_eq!(decode_with(&[0x80; 8], true), Varint::Incomplete);
    }

    #[test]
    fn more_than_nine_bytes_are_refused() {
        check(&[0x80; 8], Varint::Incomplete);
        check(&[0x80; 9], Varint::Malformed);
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], Varint::Malformed);
    }

    #[test]
    fn a_cut_varint_is_incomplete() {
        check(&[], Varint::Incomplete);
        check(&[0x80], Varint::Incomplete);
    }

    #[test]
    fn encoding_is_the_inverse() {
        for shift in 0..63 {
            for value in [(1u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let mut out = [0; 10];
                let len = encode(value, &mut out);
                assert_eq!(len, encoded_len(value));
                assert_eq!(decode(&out[..len]), Varint::Value(value, len));
            }
        }
        let mut out = [0; 10];
        assert_eq!(encode(u64::MAX, &mut out), 10);
        assert_eq!(encoded_len(u64::MAX), 10);
    }
}
