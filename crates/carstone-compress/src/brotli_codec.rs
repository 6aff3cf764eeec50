//! Brotli (RFC 7932) with windows up to 2^24.

use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter,
    BrotliEncoderStateStruct,
};
use brotli::enc::{Allocator, SliceWrapper, SliceWrapperMut};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use crate::recycle::{Cells, Fill, Recycler, Shelves};

/// Memory of blocks that are done.
#[derive(Debug, Default)]
pub(crate) struct Memory(Shelves);

impl Memory {
    /// Compresses `plain` into at most `limit` bytes; `None` where that is not enough.
    pub(crate) fn encode(&self, plain: &[u8], quality: u32, limit: usize) -> Option<Vec<u8>> {
        self.0.with(Fill::Encoder, |recycler| encode(recycler, plain, quality, limit))
    }

    /// Fills `plain` from exactly one stream.
    pub(crate) fn decode(&self, payload: &[u8], plain: &mut [u8]) -> bool {
        self.0.with(Fill::Zeros, |recycler| {
            let mut stream = Stream::new(recycler);
            let result = stream.feed(payload, plain);
            matches!(result, BrotliResult::ResultSuccess)
                && stream.filled == plain.len()
                && stream.taken == payload.len()
        })
    }
}

fn encode(mut recycler: Recycler, plain: &[u8], quality: u32, limit: usize) -> Option<Vec<u8>> {
    let mut state = BrotliEncoderStateStruct::new(recycler.clone());
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window_bits(plain.len()));
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, size_hint(plain.len()));

    let mut payload: Cells<u8> = recycler.alloc_cell(limit);
    let (mut left, mut taken) = (plain.len(), 0);
    let (mut room, mut filled) = (limit, 0);
    // One call takes the whole block, or stops as soon as the room is filled.
    let sound = state.compress_stream(
        BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        &mut left,
        plain,
        &mut taken,
        &mut room,
        payload.slice_mut(),
        &mut filled,
        &mut None,
        &mut |_, _, _, _| (),
    );
    let whole = sound && state.is_finished();
    BrotliEncoderDestroyInstance(&mut state);
    let stream = whole.then(|| payload.slice()[..filled].to_vec());
    recycler.free_cell(payload);
    stream
}

/// The plain bytes up to the first fault that shows, at most `len`.
pub(crate) fn decode_prefix(payload: &[u8], len: usize) -> Vec<u8> {
    let mut plain = vec![0; len];
    Shelves::default().with(Fill::Zeros, |recycler| {
        let mut stream = Stream::new(recycler);
        // What is decoded when a fault shows is lost; so the payload is given in small pieces.
        for end in (STEP..payload.len()).step_by(STEP).chain([payload.len()]) {
            match stream.feed(&payload[..end], &mut plain) {
                BrotliResult::NeedsMoreInput => {}
                _ => break,
            }
        }
        plain.truncate(stream.filled);
    });
    plain
}

struct Stream {
    state: BrotliState<Recycler, Recycler, Recycler>,
    taken: usize,
    filled: usize,
}

impl Stream {
    fn new(recycler: Recycler) -> Self {
        let state = BrotliState::new_strict(recycler.clone(), recycler.clone(), recycler);
        // Strict: large windows, which RFC 7932 does not have, are refused.
        Self { state, taken: 0, filled: 0 }
    }

    /// Decodes what `payload` holds behind the bytes taken so far.
    fn feed(&mut self, payload: &[u8], plain: &mut [u8]) -> BrotliResult {
        let mut left = payload.len().saturating_sub(self.taken);
        let mut room = plain.len().saturating_sub(self.filled);
        BrotliDecompressStream(
            &mut left,
            &mut self.taken,
            payload,
            &mut room,
            &mut self.filled,
            plain,
            &mut 0,
            &mut self.state,
        )
    }
}

/// The smallest window that spans the block. For windows of 64 KiB and less the encoder sets up a table of 32 MiB.
fn window_bits(len: usize) -> u32 {
    len.max(1).next_power_of_two().ilog2().clamp(17, 24)
}

/// What the encoder is told about the length, from which it takes nothing but the kind of its hash table.
///
/// Above 4 MiB it hashes five bytes instead of four and looks at fewer false matches. For blocks of 1 MiB and more that takes
/// four fifths of the time, and the output grows by 0.2 %.
fn size_hint(len: usize) -> u32 {
    let hint = if len >= 1 << 20 { len.max((4 << 20) + 1) } else { len };
    u32::try_from(hint).unwrap_or(u32::MAX)
}

const STEP: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes must not depend on what was compressed before: a pack is the same for any number of threads.
    #[test]
    fn memory_of_earlier_blocks_does_not_show() {
        let text: Vec<u8> = (0..400_000_u32)
            .flat_map(|n| {
                format!("{:x} stone {}\n", n.wrapping_mul(2_654_435_761), n % 97).into_bytes()
            })
            .take(1_200_000)
            .collect();
        let noise: Vec<u8> = (0..300_000_u64)
            .flat_map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).to_le_bytes())
            .take(1_100_000)
            .collect();
        let large = [&noise[..], &text, &text[..70_000], &text[1..], &noise[..500_000], &text];
        let small = [&noise[..9_000], &text[..20_000], &noise[..5_000], &text[1..20_000]];
        for (quality, blocks) in [(1, &large[..]), (5, &large), (9, &small), (11, &small)] {
            let used = Memory::default();
            for &block in blocks {
                let limit = block.len() * 2;
                let fresh = Memory::default().encode(block, quality, limit);
                assert!(used.encode(block, quality, limit) == fresh, "quality {quality}");
            }
        }
    }
}
