//! Zstandard (RFC 8878) with windows up to 2^24 and without dictionaries.

use std::io::Read;

use zstd::bulk::{Compressor, Decompressor};
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{self, CParameter, ResetDirective};

use crate::spares::Spares;

/// Contexts that nobody uses now: setting one up takes longer than compressing a small block.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    encoders: Spares<Compressor<'static>>,
    decoders: Spares<Decompressor<'static>>,
}

impl Contexts {
    /// Compresses `plain` into at most `limit` bytes; `None` where that is not enough.
    pub(crate) fn encode(&self, plain: &[u8], level: i32, limit: usize) -> Option<Vec<u8>> {
        let mut encoder = match self.encoders.take() {
            Some(encoder) => encoder,
            None => Compressor::new(level).ok()?,
        };
        // The window spans the block, as it does for brotli. Set anew each time, so that nothing depends on earlier blocks.
        let window = plain.len().max(1).next_power_of_two().ilog2().clamp(10, WINDOW_BITS);
        // Where there was no room, the context is still in the middle of a frame and takes no parameters.
        encoder.context_mut().reset(ResetDirective::SessionOnly).ok()?;
        encoder.set_parameter(CParameter::WindowLog(window)).ok()?;
        let mut payload = Vec::with_capacity(limit);
        let whole = encoder.compress_to_buffer(plain, &mut payload).is_ok();
        self.encoders.give(encoder);
        payload.shrink_to_fit();
        // The library uses what the allocator gave, which can be more than was asked for.
        (whole && payload.len() <= limit).then_some(payload)
    }

    /// Fills `plain` from exactly one frame.
    pub(crate) fn decode(&self, payload: &[u8], plain: &mut [u8]) -> bool {
        // The library decodes any number of frames in a row, and knows older formats.
        if !has_plain_header(payload)
            || zstd_safe::find_frame_compressed_size(payload) != Ok(payload.len())
        {
            return false;
        }
        let spare = self.decoders.take();
        let Some(mut decoder) = spare.or_else(|| Decompressor::new().ok()) else { return false };
        let filled = decoder.decompress_to_buffer(payload, plain).ok();
        self.decoders.give(decoder);
        filled == Some(plain.len())
    }
}

/// The plain bytes up to the first fault that shows, at most `len`.
pub(crate) fn decode_prefix(payload: &[u8], len: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    if !has_plain_header(payload) {
        return plain;
    }
    if let Ok(decoder) = Decoder::with_buffer(payload) {
        let mut decoder = decoder.single_frame();
        if decoder.window_log_max(WINDOW_BITS).is_ok() {
            // On a fault, what came before it stays in `plain`.
            let _ = decoder.take(len as u64).read_to_end(&mut plain);
        }
    }
    plain
}

/// Whether the payload starts as a frame without dictionary, and with a window that the format allows.
fn has_plain_header(payload: &[u8]) -> bool {
    let Some((&MAGIC, rest)) = payload.split_first_chunk() else { return false };
    let Some((&descriptor, rest)) = rest.split_first() else { return false };
    let single_segment = descriptor & 0x20 != 0;
    let dictionary = descriptor & 0x03 != 0;
    // A single segment has no window; its content is limited by the room there is for it.
    let window_fits = single_segment
        || rest.first().is_some_and(|&window| {
            let bits = 10 + u32::from(window >> 3);
            bits < WINDOW_BITS || (bits == WINDOW_BITS && window & 7 == 0)
        });
    !dictionary && window_fits
}

const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const WINDOW_BITS: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_without_room_does_not_spoil_the_next() {
        let plain: Vec<u8> = (0..90_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for level in [1, 3, 9] {
            let used = Contexts::default();
            assert_eq!(used.encode(&plain, level, 100), None);
            let next = used.encode(&plain[9..], level, plain.len());
            assert!(
                next.is_some()
                    && next == Contexts::default().encode(&plain[9..], level, plain.len())
            );
        }
    }

    #[test]
    fn headers_outside_the_format_are_refused() {
        let plain = vec![b'a'; 100_000];
        let good = zstd::bulk::compress(&plain, 3).expect("compresses");
        let mut back = plain.clone();
        assert!(Contexts::default().decode(&good, &mut back));
        let mut with_dictionary = good.clone();
        with_dictionary[4] |= 1;
        assert!(!has_plain_header(&with_dictionary));
        let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0], &good[..]].concat();
        assert!(!Contexts::default().decode(&skippable, &mut back));
        assert!(has_plain_header(&[0x28, 0xB5, 0x2F, 0xFD, 0x00, 14 << 3]));
        assert!(!has_plain_header(&[0x28, 0xB5, 0x2F, 0xFD, 0x00, (14 << 3) | 1]));
        assert!(!has_plain_header(&[0x28, 0xB5, 0x2F, 0xFD, 0x00]));
    }
}
