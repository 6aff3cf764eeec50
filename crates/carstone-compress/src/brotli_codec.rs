//! Brotli (RFC 7932) with windows up to 2^24.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use mbrotli::{Compressor, ConfigError, EncoderConfig, Quality, Window};

use crate::recycle::{Recycler, Shelves};

/// Encoders that no thread uses now, each with the memory of the blocks it has compressed.
#[derive(Default)]
pub(crate) struct Encoders(Mutex<Vec<Bench>>);

/// An encoder and the room it writes to.
struct Bench {
    encoder: Compressor,
    room: Vec<u8>,
}

impl Encoders {
    /// Compresses `plain` into at most `limit` bytes; `None` where that is not enough.
    pub(crate) fn encode(&self, plain: &[u8], quality: u32, limit: usize) -> Option<Vec<u8>> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let config = config(plain.len(), quality).ok()?;
        let mut bench = match spare {
            Some(bench) => bench,
            None => Bench { encoder: Compressor::new(config).ok()?, room: Vec::new() },
        };
        bench.room.clear();
        bench.encoder.reconfigure(config).ok()?;
        bench.encoder.compress_into(plain, &mut bench.room).ok()?;
        let stream = (bench.room.len() <= limit).then(|| bench.room.as_slice().to_vec());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
        stream
    }
}

impl fmt::Debug for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoders").finish_non_exhaustive()
    }
}

fn config(len: usize, quality: u32) -> Result<EncoderConfig, ConfigError> {
    let quality = Quality::try_from(u8::try_from(quality).unwrap_or(u8::MAX))?;
    let window = Window::standard(window_bits(len))?;
    Ok(EncoderConfig::default().with_quality(quality).with_window(window))
}

/// The smallest window that spans the block.
fn window_bits(len: usize) -> u8 {
    let bits = len.max(1).next_power_of_two().ilog2();
    u8::try_from(bits).map_or(24, |bits| bits.clamp(16, 24))
}

/// Memory of decoders of blocks that are done.
#[derive(Debug, Default)]
pub(crate) struct Decoders(Shelves);

impl Decoders {
    /// Fills `plain` from exactly one stream.
    pub(crate) fn decode(&self, payload: &[u8], plain: &mut [u8]) -> bool {
        self.0.with(|recycler| {
            let mut stream = Stream::new(recycler);
            let result = stream.feed(payload, plain);
            matches!(result, BrotliResult::ResultSuccess)
                && stream.filled == plain.len()
                && stream.taken == payload.len()
        })
    }
}

/// The plain bytes up to the first fault that shows, at most `len`.
pub(crate) fn decode_prefix(payload: &[u8], len: usize) -> Vec<u8> {
    let mut plain = vec![0; len];
    Shelves::default().with(|recycler| {
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
            let used = Encoders::default();
            for &block in blocks {
                let limit = block.len() * 2;
                let fresh = Encoders::default().encode(block, quality, limit);
                assert!(used.encode(block, quality, limit) == fresh, "quality {quality}");
            }
        }
    }
}
