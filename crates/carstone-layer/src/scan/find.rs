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

/// Position of the first `byte`. Whole blocks are compared at once, which compilers turn into vector code.
pub(super) fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    if bytes.first() == Some(&byte) {
        return Some(0);
    }
    let (blocks, rest) = bytes.as_chunks::<64>();
    for (i, block) in blocks.iter().enumerate() {
        if block.iter().fold(false, |found, &b| found | (b == byte)) {
            return Some(i * 64 + block.iter().position(|&b| b == byte)?);
        }
    }
    Some(blocks.len() * 64 + rest.iter().position(|&b| b == byte)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for len in [0, 1, 63, 64, 65, 127, 128, 200] {
            assert_eq!(find_byte(&vec![0; len], 9), None);
            for at in 0..len {
                let mut bytes = vec![0; len];
                bytes[at] = 9;
                assert_eq!(find_byte(&bytes, 9), Some(at));
                bytes[at..].fill(9);
                assert_eq!(find_byte(&bytes, 9), Some(at));
            }
        }
    }
}
