//! What a search for the next frame looks at.

use crate::{FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, LayerId, PackId, ScanLimits};

/// Whether a good header of ours stands here. Most bytes are turned down before a checksum is computed.
pub(super) fn is_header(
    bytes: &[u8; FRAME_HEADER_LEN],
    layer: LayerId,
    pack: Option<PackId>,
    limits: ScanLimits,
) -> bool {
    bytes[..8] == FRAME_MAGIC
        && bytes[13] == layer.0
        && pack.is_none_or(|pack| bytes[20..36] == *pack.as_bytes())
        && FrameHeader::probe(bytes)
            .is_some_and(|header| header.stored_len <= limits.of(header.kind))
}

/// Position of the first `byte`. Eight are compared at once.
pub(super) fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // Bytes that are the same are zero. A borrow from the first of these can only be taken for one behind it.
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if zeros != 0 {
            return Some(index * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    Some(words.len() * 8 + rest.iter().position(|&b| b == byte)?)
}

/// The lowest bit of each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for len in [0, 1, 7, 8, 9, 15, 16, 40] {
            for (byte, other) in [(9, 0), (9, 8), (0, 1), (0x80, 0), (0xff, 0xfe), (0xf4, 0x74)] {
                assert_eq!(find_byte(&vec![other; len], byte), None);
                for at in 0..len {
                    let mut bytes = vec![other; len];
                    bytes[at] = byte;
                    assert_eq!(find_byte(&bytes, byte), Some(at));
                    bytes[at..].fill(byte);
                    assert_eq!(find_byte(&bytes, byte), Some(at));
                }
            }
        }
    }
}
