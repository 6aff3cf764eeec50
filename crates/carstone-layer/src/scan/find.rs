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
