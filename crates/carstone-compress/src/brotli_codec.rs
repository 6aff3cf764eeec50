//! Brotli (RFC 7932) with windows up to 2^24.

use mbrotli::{
    Compressor, ConfigError, DecodeConfigError, DecodeError, DecodeOperation, DecodeStreamConfig,
    DecoderConfig, Decompressor, EncoderConfig, Quality, Window, WindowLimit,
};

use crate::spares::Spares;

/// Encoders that no thread uses now, each with the memory of the blocks it has compressed.
#[derive(Debug, Default)]
pub(crate) struct Encoders(Spares<Bench>);

/// An encoder and the room it writes to.
struct Bench {
    encoder: Compressor,
    room: Vec<u8>,
}

impl Encoders {
    /// Compresses `plain` into at most `limit` bytes; `None` where that is not enough.
    pub(crate) fn encode(&self, plain: &[u8], quality: u32, limit: usize) -> Option<Vec<u8>> {
        let config = config(plain.len(), quality).ok()?;
        let mut bench = match self.0.take() {
            Some(bench) => bench,
            None => Bench { encoder: Compressor::new(config).ok()?, room: Vec::new() },
        };
        bench.room.clear();
        bench.encoder.reconfigure(config).ok()?;
        bench.encoder.compress_into(plain, &mut bench.room).ok()?;
        let stream = (bench.room.len() <= limit).then(|| bench.room.as_slice().to_vec());
        self.0.give(bench);
        stream
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

/// Decoders that no thread uses now.
#[derive(Debug, Default)]
pub(crate) struct Decoders(Spares<Decompressor>);

impl Decoders {
    /// Fills `plain` from exactly one stream.
    pub(crate) fn decode(&self, payload: &[u8], plain: &mut [u8]) -> bool {
        self.run(payload, plain).is_some_and(|result| result.is_ok_and(|n| n == plain.len()))
    }

    /// Fills `plain` with the first bytes of a stream.
    pub(crate) fn decode_start(&self, payload: &[u8], plain: &mut [u8]) -> bool {
        self.run(payload, plain).is_some_and(|result| match result {
            Ok(n) | Err(DecodeError::OutputTooSmall { written: n }) => n == plain.len(),
            Err(_) => false,
        })
    }

    fn run(&self, payload: &[u8], plain: &mut [u8]) -> Option<Result<usize, DecodeError>> {
        let mut decoder = self.0.take().or_else(|| new_decoder().ok())?;
        let result = decoder.decompress_to_slice(payload, plain);
        self.0.give(decoder);
        Some(result)
    }
}

/// Large windows, which RFC 7932 does not have, are refused.
fn new_decoder() -> Result<Decompressor, DecodeConfigError> {
    let window = WindowLimit::standard(24)?;
    Decompressor::new(DecoderConfig::default().with_window_limit(window))
}

/// The plain bytes up to the first fault that shows, at most `len`.
pub(crate) fn decode_prefix(payload: &[u8], len: usize) -> Vec<u8> {
    let mut plain = vec![0; len];
    let filled = new_decoder().map_or(0, |mut decoder| {
        let Ok(mut session) = decoder.start(DecodeStreamConfig::default()) else { return 0 };
        let mut filled = 0;
        // What is decoded when a fault shows is lost; so the payload is given in small pieces.
        for piece in payload.chunks(STEP) {
            let room = plain.get_mut(filled..).unwrap_or_default();
            match session.process(piece, room, DecodeOperation::Process) {
                Ok(progress) => filled += progress.produced,
                Err(failure) => return filled + failure.produced,
            }
            if filled == len {
                break;
            }
        }
        filled
    });
    plain.truncate(filled);
    plain
}

const STEP: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..u32::MAX)
            .flat_map(|n| {
                format!("{:x} stone {}\n", n.wrapping_mul(2_654_435_761), n % 97).into_bytes()
            })
            .take(len)
            .collect()
    }

    /// The `brotli` crate shares no code with the one that is used.
    #[test]
    fn another_implementation_reads_ours_and_the_other_way_round() {
        let text = text(300_000);
        for quality in 0..=11 {
            let plain = if quality < 10 { &text[..] } else { &text[..40_000] };
            let ours = Encoders::default().encode(plain, quality, plain.len()).expect("shorter");
            let mut read = Vec::new();
            brotli::BrotliDecompress(&mut &ours[..], &mut read).expect("sound");
            assert!(read == plain, "quality {quality}");

            let mut theirs = Vec::new();
            let params = brotli::enc::BrotliEncoderParams {
                quality: i32::try_from(quality).expect("small"),
                ..Default::default()
            };
            brotli::BrotliCompress(&mut &plain[..], &mut theirs, &params).expect("in memory");
            let mut read = vec![0; plain.len()];
            assert!(Decoders::default().decode(&theirs, &mut read));
            assert!(read == plain, "quality {quality}");
            let mut start = vec![0; plain.len() / 3];
            assert!(Decoders::default().decode_start(&theirs, &mut start));
            assert!(plain.starts_with(&start), "quality {quality}");
        }
    }

    #[test]
    fn a_start_is_refused_where_the_stream_is_shorter() {
        let plain = text(20_000);
        let payload = Encoders::default().encode(&plain, 5, 20_000).expect("shorter");
        let decoders = Decoders::default();
        assert!(decoders.decode_start(&payload, &mut vec![0; 20_000]));
        assert!(!decoders.decode_start(&payload, &mut vec![0; 20_001]));
        assert!(!decoders.decode_start(&payload[..payload.len() / 2], &mut vec![0; 20_000]));
    }

    /// The bytes must not depend on what was compressed before: a pack is the same for any number of threads.
    #[test]
    fn memory_of_earlier_blocks_does_not_show() {
        let text = text(1_200_000);
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
